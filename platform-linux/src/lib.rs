//! The agent on Linux: everything that touches the kernel, without libc. It decides nothing; what
//! it does is one system call a method.
//!
//! * [`platform`]: the core's traits, one file each.
//! * [`channel`]: where requests come from: virtio port, serial line, unix socket.
//! * [`process`]: what the agent changes about itself, and gives back to programs that it starts.
//! * [`options`]: the command line. [`run`]: the loop between them.
//! * [`sys`]: the few system calls that rustix does not offer, the only assembly beside `_start`.

#![no_std]

pub mod alarm;
pub mod channel;
pub mod config;
pub mod daemon;
pub mod errno;
pub mod fd;
pub mod options;
pub mod path;
pub mod platform;
pub mod print;
pub mod process;
pub mod run;
pub mod signals;
pub mod standard;
pub mod state_dir;
pub mod sys;
pub mod sysfs;
