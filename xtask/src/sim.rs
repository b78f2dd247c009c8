//! `cargo xtask sim`: builds the simulation optimised and runs it with the arguments given; what it
//! finds, and the line that repeats it, is on its output. See `simulation/src/lib.rs`.

use xtask::{ElseSay, Result, build, paths};

/// What `cargo xtask test` runs: sessions of the seeds from 0 on, each canary, and the torture of
/// the first sessions, whose fault points are more than 10^6.
pub const ORDINARY: [&[&str]; 2] = [&["--seeds", "1000000"], &["--torture", "490"]];

pub fn run(arguments: &[String]) -> Result<()> {
    let manifest = paths::root().join("simulation/Cargo.toml");
    let status = build::cargo()
        .args(["run", "--release", "--quiet", "--manifest-path"])
        .arg(&manifest)
        .arg("--")
        .args(arguments)
        .current_dir(paths::root())
        .status()
        .else_say("cannot run cargo")?;
    match status.code() {
        Some(0) => Ok(()),
        // It has said what is wrong with its options.
        Some(2) => std::process::exit(2),
        _ => Err("something was found; each finding above has the line that repeats it".into()),
    }
}
