//! What the project's tasks and its tests share: the virtual machine, building the agent,
//! installing what a task lacks, measuring, documents that a task writes into, paths, progress
//! lines.
//!
//! Every error is a `String` that a person can act on; tasks print it and exit with 1.

// The tasks name this library as the tests do, by its name.
extern crate self as xtask;

pub mod bench;
pub mod build;
pub mod command;
pub mod commands;
pub mod cross;
pub mod install;
pub mod marked;
pub mod paths;
pub mod progress;
pub mod size;
pub mod table;
pub mod vm;
pub mod words;

use std::fmt::Display;
use std::path::Path;

/// What went wrong, in words for a person.
pub type Result<T> = std::result::Result<T, String>;

/// What failed, in front of why.
pub trait ElseSay<T> {
    /// `cannot run cargo: WHY`
    fn else_say(self, what: impl Display) -> Result<T>;

    /// `cannot read PATH: WHY`
    fn else_say_of(self, what: &str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Display> ElseSay<T> for std::result::Result<T, E> {
    fn else_say(self, what: impl Display) -> Result<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }

    fn else_say_of(self, what: &str, path: impl AsRef<Path>) -> Result<T> {
        self.else_say(format_args!("{what} {}", path.as_ref().display()))
    }
}
