//! The process that the agent is: what it changes about itself before anything else, and what it takes back in
//! programs that it starts.

use crate::sys;
use linux_raw_sys::general::{RLIMIT_FSIZE, SIGCHLD};
use qga_core::Errno;

/// The highest signal there is (_NSIG of the kernel).
const SIGNAL_MAX: u32 = 64;

/// Settles the process. Errors: the signals cannot be blocked, and any of them would end an agent that holds
/// filesystems frozen.
#[inline(never)]
pub fn settle() -> Result<(), Errno> {
    // All: those of a fault that does happen end the process all the same, sent by somebody they mean nothing.
    sys::block_signals(sys::ALL_SIGNALS)?;
    // Ignored, as some parents hand it down, the kernel would keep no child's exit status.
    sys::default_action(SIGCHLD);
    // The frozen mark is a file, and so is what programs print: those keep the limit as it is here.
    sys::raise_limit(RLIMIT_FSIZE);
    Ok(())
}

/// In a child, before it becomes a program: no signal is ignored, whatever the agent's parent had ignored, and none
/// blocked.
pub fn unsettle() {
    for signal in 1..=SIGNAL_MAX {
        sys::default_action(signal);
    }
    let _ = sys::block_signals(0);
}
