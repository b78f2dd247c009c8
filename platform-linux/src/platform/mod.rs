//! The core's platform traits on Linux, one file each.

mod children;
mod clock;
mod disks;
mod exec;
mod files;
mod freeze;
mod helper;
mod hooks;
mod log;
mod log_file;
mod network;
mod power;
mod programs;
mod replace;
mod settings;
mod tasks;
mod texts;
mod trim;
mod worker;

pub use children::Children;
pub use helper::Helper;
pub use log_file::{LogFile, START_MS_MAX};
pub use worker::Worker;

use crate::fd::Fd;
use crate::path::PathBuffer;
use crate::print::LINE_BYTES_MAX;
use crate::process::Inherited;
use crate::state_dir::StateDir;
use core::ffi::CStr;
use qga_core::limits::ABANDONED_MAX;

/// The guest that the agent runs in.
#[repr(C)]
pub struct Linux {
    /// Room for a path on its way to the kernel.
    pub path: &'static mut PathBuffer,
    /// Room for a line of the log: it is written where the stack is deepest.
    pub line: &'static mut [u8; LINE_BYTES_MAX],
    /// Where the log goes.
    pub log: LogFile,
    /// Whether everything is logged, or only errors.
    pub verbose: bool,
    /// Patterns of the interfaces that are not shown.
    pub excluded: &'static [u8],
    /// The program that is told of freezes.
    pub hook: Option<&'static CStr>,
    /// Whether the agent is process 1.
    pub is_init: bool,
    /// What programs that are started get of the agent's parent.
    pub inherited: Inherited,
    /// The environment, for programs that are started.
    pub environment: *const *const u8,
    /// The program started last.
    pub helper: Option<Helper>,
    /// The processes of programs that clients have started.
    pub children: &'static mut Children,
    /// Whether something can be read that is watched.
    pub readable: bool,
    /// Copies of the agent that were given up and have not ended yet; 0 for none.
    pub abandoned: [i32; ABANDONED_MAX],
    /// A copy that was left to itself and has not ended yet; 0 for none.
    pub left: i32,
    /// Who has started the agent and waits until it serves, if anybody does.
    pub started_by: Option<Fd>,
    /// What freezes and thaws.
    pub worker: Worker,
    /// The descriptors of the channel, -1 for none: nobody else may have them.
    pub channel: [i32; 2],
    // Last: what is used most stands within what a short address reaches.
    /// Where the state and the frozen mark live.
    pub state: StateDir,
}
