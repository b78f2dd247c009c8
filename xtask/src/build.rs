//! Builds the agent with a plain `cargo build --release` at the root; yields the binary's path.

use std::path::PathBuf;
use std::process::Command;

use crate::{Result, command, paths, progress};

/// The `cargo` that runs this task, or the one on the path.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Builds the release binary and yields its path. With `$QGA_BIN` set nothing is built: the
/// tasks then work on that file.
pub fn release() -> Result<PathBuf> {
    let agent = paths::agent();
    if std::env::var_os("QGA_BIN").is_some() {
        return match agent.is_file() {
            true => Ok(agent),
            false => Err(format!("QGA_BIN names {}, which is no file", agent.display())),
        };
    }
    progress::timed("building the agent (cargo build --release)", || {
        command::show(cargo().args(["build", "--release"]).current_dir(paths::root()))
    })?;
    match agent.is_file() {
        true => Ok(agent),
        false => Err(format!("the build left no {}", agent.display())),
    }
}
