//! Which lines the corpus reaches: the targets replay it with counters in them, and the counts are
//! printed file by file.
//!
//! Source: the rustc book, "Instrumentation-based Code Coverage".

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use super::{build, directory};
use serde_json::Value;
use xtask::{Result, install, paths, progress};

/// The sources of ours that the table names; what else is linked in does not concern us.
const SOURCES: [&str; 4] =
    ["core/src", "virtio-console/src", "platform-linux/src", "platform-baremetal/src"];

/// Prints lines and branches reached, file by file.
pub fn report(targets: &[String]) -> Result<()> {
    let [profdata, cov] = ["llvm-profdata", "llvm-cov"].map(tool);
    let (profdata, cov) = (profdata?, cov?);
    let built = build::counting(targets)?;
    let scratch = std::env::temp_dir().join(format!("qga-fuzz-coverage-{}", std::process::id()));
    fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    for target in targets {
        progress::say(&format!("replaying fuzz/corpus/{target}"));
        let mut command = Command::new(built.program(target));
        command.arg(directory().join("corpus").join(target));
        command.env("LLVM_PROFILE_FILE", scratch.join(format!("{target}.profraw")));
        install::run(command.env("RUST_BACKTRACE", "0"))?;
    }
    let merged = scratch.join("all.profdata");
    let raws = targets.iter().map(|target| scratch.join(format!("{target}.profraw")));
    let mut merge = Command::new(profdata);
    install::run(merge.args(["merge", "--sparse", "-o"]).arg(&merged).args(raws))?;
    let mut export = Command::new(cov);
    export.args(["export", "--summary-only", "--instr-profile"]).arg(&merged);
    for (number, target) in targets.iter().enumerate() {
        // The first is named alone, the others as further objects.
        if number > 0 {
            export.arg("--object");
        }
        export.arg(built.program(target));
    }
    let output = export.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cannot run llvm-cov: {error}"))?;
    let _ = fs::remove_dir_all(&scratch);
    if !output.status.success() {
        return Err(format!("llvm-cov failed ({})", output.status));
    }
    let json = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("llvm-cov printed no JSON: {error}"))?;
    println!("{}", table(&json, &paths::root())?);
    Ok(())
}

/// A table of the files in what llvm-cov exports.
fn table(json: &Value, root: &Path) -> Result<String> {
    let files = json["data"][0]["files"].as_array().ok_or("llvm-cov named no files")?;
    let mut text = format!("{:<50}{:>9}{:>9}{:>8}\n", "file", "lines", "reached", "%");
    let (mut all, mut all_reached) = (0, 0);
    for file in files {
        let Some(name) = of_ours(file["filename"].as_str().unwrap_or_default(), root) else {
            continue;
        };
        let lines = &file["summary"]["lines"];
        let number = |key: &str| lines[key].as_u64().unwrap_or(0);
        let (count, reached) = (number("count"), number("covered"));
        (all, all_reached) = (all + count, all_reached + reached);
        text.push_str(&row(&name, count, reached));
    }
    Ok(text + row("all of these", all, all_reached).trim_end())
}

/// The name of a source of ours below the root; a file that is included from elsewhere comes with
/// `..` in its name.
fn of_ours(name: &str, root: &Path) -> Option<String> {
    let mut plain = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    let name = plain.strip_prefix(root).ok()?;
    SOURCES.iter().any(|source| name.starts_with(source)).then(|| name.display().to_string())
}

fn row(name: &str, count: u64, reached: u64) -> String {
    let percent = 100.0 * reached as f64 / count.max(1) as f64;
    format!("{name:<50}{count:>9}{reached:>9}{percent:>8.1}\n")
}

/// A program of the compiler's own LLVM, which alone reads its counters for certain.
fn tool(name: &str) -> Result<PathBuf> {
    let find = || -> Option<PathBuf> {
        let output = Command::new("rustc").args(["--print", "target-libdir"]).output().ok()?;
        let libraries = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
        Some(libraries.parent()?.join("bin").join(name)).filter(|path| path.is_file())
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    progress::say("installing the Rust component llvm-tools with rustup");
    let mut rustup = Command::new("rustup");
    install::run(rustup.args(["component", "add", "llvm-tools"]))
        .map_err(|error| format!("{name} is missing: {error}"))?;
    find().ok_or_else(|| format!("the component llvm-tools brought no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_rows_and_summed_up() {
        let json = serde_json::json!({"data": [{"files": [
            {"filename": "/r/core/src/a.rs", "summary": {"lines": {"count": 10, "covered": 9}}},
            {"filename": "/r/fuzz/src/own.rs", "summary": {"lines": {"count": 5, "covered": 0}}},
            {"filename": "/r/fuzz/src/../../core/src/b.rs", "summary": {"lines": {"count": 30, "covered": 30}}},
        ]}]});
        let table = table(&json, Path::new("/r")).expect("a table");
        assert!(table.lines().all(|line| line.len() <= 80), "{table}");
        assert!(table.contains("core/src/a.rs ") && table.contains("90.0"), "{table}");
        assert!(table.ends_with("39    97.5"), "{table}");
        assert!(super::table(&serde_json::json!({}), Path::new("/r")).is_err());
    }
}
