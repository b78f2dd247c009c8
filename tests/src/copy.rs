//! A copy of what the binary is made of, to be changed and built: changed files in, the agent out,
//! or what the compiler said.

use crate::repository;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the binary is made of.
const PARTS: [&str; 9] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "core",
    "platform-baremetal",
    "platform-linux",
    "platform-sim",
    "virtio-console",
];

/// A copy in a folder of its own, which must lie in the build's output.
pub struct Copy(PathBuf);

impl Copy {
    /// Copies the project as it is. What an earlier one has built of the dependencies is used
    /// again.
    pub fn new(folder: &Path) -> Self {
        let source = folder.join("source");
        let _ = fs::remove_dir_all(&source);
        fs::create_dir_all(&source).expect("a folder in target");
        for part in PARTS {
            let from = repository().join(part);
            let copied = Command::new("cp").arg("-r").arg(from).arg(&source).status();
            assert!(copied.is_ok_and(|status| status.success()), "{part} is not copied");
        }
        Copy(folder.to_owned())
    }

    /// The text of one of its files.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join("source").join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// Replaces the text of one of its files.
    pub fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join("source").join(file), text).expect("a file in target");
    }

    /// Builds the agent. Errors: what the compiler and the linker said.
    pub fn build(&self) -> Result<PathBuf, String> {
        self.build_with(&[])
    }

    /// The same without any family of commands, which takes a quarter of the time.
    pub fn build_smallest(&self) -> Result<PathBuf, String> {
        self.build_with(&["--no-default-features"])
    }

    fn build_with(&self, options: &[&str]) -> Result<PathBuf, String> {
        let target = self.0.join("target");
        let output = Command::new(env!("CARGO"))
            .args(["build", "--release", "--offline", "-p", "qga-linux", "--target-dir"])
            .arg(&target)
            .args(options)
            .current_dir(self.0.join("source"))
            .env_remove("RUSTFLAGS")
            .output()
            .expect("cargo");
        match output.status.success() {
            true => Ok(target.join("release/qga")),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}
