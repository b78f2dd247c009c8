//! Builds the targets: with libFuzzer, the address sanitizer and counters on every edge, or, for
//! coverage, as plain programs that replay files.
//!
//! Source of the flags: LLVM's SanitizerCoverage document; they are those that cargo-fuzz gives,
//! but for traced comparisons, which cost more than they find here. The stable compiler takes them
//! when told so by RUSTC_BOOTSTRAP, and brings the sanitizer's library.

use std::path::PathBuf;

use super::directory;
use xtask::{Result, build, command, install, progress};

/// Sanitizers and instrumentation work where the compiler has them: this is where we are tested.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// An overflow or a broken assertion is a finding.
const CHECKED: &str = "-Cdebug-assertions=yes -Coverflow-checks=yes";

const FUZZING: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-simplifycfg-branch-fold-threshold=0";

/// Where the programs are, each called as its target.
pub struct Built {
    folder: PathBuf,
}

impl Built {
    /// The program of a target.
    pub fn program(&self, target: &str) -> PathBuf {
        self.folder.join(target)
    }
}

/// Builds targets for libFuzzer, with the address sanitizer or without.
pub fn fuzzers(targets: &[String], sanitizer: bool) -> Result<Built> {
    install::commands(&[("c++", "g++")])?;
    let (kind, flag, with) = match sanitizer {
        true => ("fuzzing", "-Zsanitizer=address", "with the address sanitizer"),
        false => ("fast-fuzzing", "", "without a sanitizer"),
    };
    build(targets, &format!("{FUZZING} {flag} -Ccodegen-units=1 {CHECKED}"), kind, with)
}

/// Builds targets to replay files and to count which lines they reach.
pub fn counting(targets: &[String]) -> Result<Built> {
    let flags = format!("-Cinstrument-coverage {CHECKED}");
    build(targets, &flags, "coverage", "with coverage counters")
}

/// Each kind of build has a folder of its own, so that none throws the other's work away.
fn build(targets: &[String], flags: &str, kind: &str, with: &str) -> Result<Built> {
    let set = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let output = directory().join(set).join(kind);
    let mut cargo = build::cargo();
    cargo.args(["build", "--quiet", "--release", "--target", TRIPLE]);
    targets.iter().for_each(|target| _ = cargo.args(["--bin", target]));
    cargo.current_dir(directory()).env("CARGO_TARGET_DIR", &output).env("RUSTFLAGS", flags);
    // Without what would change the flags behind our back.
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    cargo.env("RUSTC_BOOTSTRAP", "1");
    let title = format!("building the fuzz targets {with}");
    progress::timed(&title, || command::show(&mut cargo))?;
    Ok(Built { folder: output.join(TRIPLE).join("release") })
}
