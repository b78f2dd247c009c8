//! How the image is linked: static, at a fixed address, nothing of libc, a layout of its own.
//!
//! The flags are given here and not in a configuration file because there they would reach build
//! scripts too, which are ordinary programs. In an optimised build a reachable panic is a link
//! error: the panic handler calls a function that does not exist (src/main.rs).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(prove_no_panic)");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("OPT_LEVEL") != "0" {
        println!("cargo:rustc-cfg=prove_no_panic");
    }
    let script = match variable("CARGO_CFG_TARGET_ARCH").as_str() {
        "aarch64" => "src/aarch64/link.ld",
        _ => "src/x86_64/link.ld",
    };
    println!("cargo:rerun-if-changed={script}");
    let script = format!("{}/{script}", variable("CARGO_MANIFEST_DIR"));
    let linker =
        ["--build-id=none", "--no-eh-frame-hdr", "-znorelro", "-znoexecstack", "--icf=all"];
    // Where there is an operating system for the target the C compiler links, else the linker
    // itself.
    let by_compiler = variable("CARGO_CFG_TARGET_OS") != "none";
    let (prefix, first): (_, &[&str]) = match by_compiler {
        true => ("-Wl,", &["-nostartfiles", "-nostdlib", "-static", "-no-pie"]),
        false => ("", &[]),
    };
    for argument in first {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    for argument in linker {
        println!("cargo:rustc-link-arg-bins={prefix}{argument}");
    }
    if !by_compiler {
        // A flat file: what an arm64 image is (src/aarch64/link.ld).
        println!("cargo:rustc-link-arg-bins=--oformat=binary");
    }
    println!("cargo:rustc-link-arg-bins={prefix}-T{script}");
}
