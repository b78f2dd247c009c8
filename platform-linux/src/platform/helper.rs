//! A program that the agent has started: its number and what it prints, and how it ended once it
//! has.

use crate::fd::Fd;
use qga_core::platform::Exit;

/// A program that was started.
pub struct Helper {
    /// Its process.
    pub pid: i32,
    /// How it ended.
    pub exit: Option<Exit>,
    /// What it prints, in memory.
    pub output: Fd,
}
