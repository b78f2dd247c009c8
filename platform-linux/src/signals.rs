//! Signals, read like a file: they are blocked from the start, so none can come at a bad moment, and a
//! signalfd makes them one more thing to poll.

use crate::fd::Fd;
use crate::sys;
use linux_raw_sys::general::{SIGALRM, SIGCHLD, SIGINT, SIGPIPE, SIGTERM};
use qga_core::Errno;

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: end.
    Stop,
    /// SIGCHLD: a child has ended.
    Child,
    /// SIGALRM: the agent's deadline has come.
    Alarm,
}

/// The blocked signals.
pub struct Signals {
    /// Readable when one waits.
    pub fd: Fd,
}

impl Signals {
    /// Blocks the signals and begins to collect them. SIGPIPE is blocked and never collected: a peer that has
    /// gone is seen by the write that fails.
    pub fn take_over() -> Result<Self, Errno> {
        let collected = sys::signal_set(&[SIGTERM, SIGINT, SIGCHLD, SIGALRM]);
        sys::block_signals(collected | sys::signal_set(&[SIGPIPE]))?;
        Ok(Signals { fd: sys::signalfd(collected)? })
    }

    /// The next signal that waits.
    #[inline(never)]
    pub fn next(&self) -> Option<Signal> {
        // signalfd(2): `struct signalfd_siginfo`, 128 bytes, the number first.
        let mut info = [0u8; 128];
        let read = self.fd.get(&mut info);
        let number = info.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        match (read, number) {
            (Ok(128), Some(SIGCHLD)) => Some(Signal::Child),
            (Ok(128), Some(SIGALRM)) => Some(Signal::Alarm),
            (Ok(128), _) => Some(Signal::Stop),
            _ => None,
        }
    }
}
