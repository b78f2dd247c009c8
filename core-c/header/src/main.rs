//! `cargo run --manifest-path core-c/header/Cargo.toml [-- --check]`: the sources of core-c in, the
//! header `core-c/include/qga.h` out; with `--check` nothing is written, and a header that differs
//! is an error.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let check = match std::env::args().skip(1).collect::<Vec<_>>() {
        words if words.is_empty() => false,
        words if words == ["--check"] => true,
        _ => return fail("usage: cargo run --manifest-path core-c/header/Cargo.toml [-- --check]"),
    };
    let Some(library) = Path::new(env!("CARGO_MANIFEST_DIR")).parent() else {
        return fail("the manifest has no folder above it");
    };
    let header = library.join("include/qga.h");
    let text = match text(library) {
        Ok(text) => text,
        Err(error) => return fail(&format!("cannot make the header: {error}")),
    };
    if !check {
        return match std::fs::write(&header, text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("cannot write {}: {error}", header.display())),
        };
    }
    match std::fs::read(&header) {
        Ok(bytes) if bytes == text => ExitCode::SUCCESS,
        Ok(_) => fail(&format!("{} is stale; run this without --check", header.display())),
        Err(error) => fail(&format!("cannot read {}: {error}", header.display())),
    }
}

fn text(library: &Path) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut builder = cbindgen::Builder::new()
        .with_config(cbindgen::Config::from_file(library.join("cbindgen.toml"))?);
    for file in ["operations.rs", "agent.rs"] {
        builder = builder.with_src(library.join("src").join(file));
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);
    Ok(text)
}

fn fail(why: &str) -> ExitCode {
    eprintln!("{why}");
    ExitCode::FAILURE
}
