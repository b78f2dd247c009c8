//! Signals, read like a file: all are blocked from the start ([`crate::process`]), so none can come
//! at a bad moment, and a signalfd makes them one more thing to poll. Also those that mean nothing
//! here are collected, and dropped: an agent that any of them ended, or stopped, would leave frozen
//! what is frozen.

use crate::fd::Fd;
use crate::sys;
#[cfg(feature = "exec")]
use core::cell::Cell;
use linux_raw_sys::general::{SIGCHLD, SIGHUP, SIGINT, SIGIO, SIGPWR, SIGQUIT, SIGTERM};
use qga_core::Errno;

/// What a signal asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM, SIGINT, SIGQUIT or SIGPWR: end.
    Stop,
    /// SIGCHLD: a child has ended.
    Child,
    /// SIGHUP: the log file was moved away, and a new one is to be begun.
    Reopen,
    /// SIGIO: something can be read that is watched.
    Readable,
    /// SIGALRM: the agent's deadline has come, which the next step sees. Or any other, which means
    /// nothing.
    Other,
}

/// The blocked signals.
pub struct Signals {
    /// Readable when one waits.
    pub fd: Fd,
    /// Whether one was looked at since the channel was: then it is the channel's turn, should
    /// there be signals without end, which only programs make.
    #[cfg(feature = "exec")]
    had_a_turn: Cell<bool>,
}

impl Signals {
    /// Begins to collect the signals, which are blocked. SIGPIPE is one of them: a peer that has
    /// gone is seen by the write that fails.
    pub fn take_over() -> Result<Self, Errno> {
        let fd = sys::process::signalfd(sys::process::ALL_SIGNALS)?;
        Ok(Signals {
            fd,
            #[cfg(feature = "exec")]
            had_a_turn: Cell::new(false),
        })
    }

    /// It is the signals' turn; whether it was before as well, and nothing else had one since.
    pub fn take_turn(&self) -> bool {
        #[cfg(feature = "exec")]
        return self.had_a_turn.replace(true);
        #[cfg(not(feature = "exec"))]
        false
    }

    /// It is another one's.
    pub fn end_turn(&self) {
        #[cfg(feature = "exec")]
        self.had_a_turn.set(false);
    }

    /// The next signal that waits.
    pub fn next(&self) -> Option<Signal> {
        // signalfd(2): `struct signalfd_siginfo`, 128 bytes, the number first.
        let mut info = [0u8; 128];
        let read = self.fd.get(&mut info);
        let number = info.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        if read != Ok(128) {
            return None;
        }
        Some(match number? {
            SIGCHLD => Signal::Child,
            SIGHUP => Signal::Reopen,
            SIGIO if cfg!(feature = "exec") => Signal::Readable,
            SIGTERM | SIGINT | SIGQUIT | SIGPWR => Signal::Stop,
            _ => Signal::Other,
        })
    }
}
