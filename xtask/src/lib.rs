//! What the project's tasks and its tests share: the virtual machine, building the agent,
//! installing what a task lacks, measuring, documents that a task writes into, paths, progress
//! lines.
//!
//! Every error is a `String` that a person can act on; tasks print it and exit with 1.

// The tasks name this library as the tests do, by its name.
extern crate self as xtask;

pub mod bench;
pub mod build;
pub mod cross;
pub mod install;
pub mod marked;
pub mod paths;
pub mod progress;
pub mod size;
pub mod vm;

/// What went wrong, in words for a person.
pub type Result<T> = std::result::Result<T, String>;
