//! The core's platform traits on Linux, one file each.

mod clock;
mod files;
mod freeze;
mod helper;
mod log;
mod network;
mod power;
mod texts;
mod worker;

pub use helper::Helper;
pub use worker::Worker;

use crate::fd::Fd;
use crate::path::PathBuffer;
use crate::process::Inherited;
use crate::state_dir::StateDir;

/// The guest that the agent runs in.
#[repr(C)]
pub struct Linux {
    /// Room for a path on its way to the kernel.
    pub path: &'static mut PathBuffer,
    /// The log file, if it is not standard error.
    pub log: Option<Fd>,
    /// How many lines of the log nobody has taken since the last one that was.
    pub log_dropped: u64,
    /// Whether the log file was moved away: the next line belongs into a new one.
    pub log_is_old: bool,
    /// Where the log file is, if there is to be one.
    pub log_file: Option<&'static core::ffi::CStr>,
    /// Whether everything is logged, or only errors.
    pub verbose: bool,
    /// Whether the agent is process 1.
    pub is_init: bool,
    /// What programs that are started get of the agent's parent.
    pub inherited: Inherited,
    /// The environment, for programs that are started.
    pub environment: *const *const u8,
    /// The program started last.
    pub helper: Option<Helper>,
    /// What freezes and thaws.
    pub worker: Worker,
    /// The descriptors of the channel, -1 for none: nobody else may have them.
    pub channel: [i32; 2],
    // Last: what is used most stands within what a short address reaches.
    /// Where the state and the frozen mark live.
    pub state: StateDir,
}
