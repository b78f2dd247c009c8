//! Time: the clock that waiting is measured with, and the time of day.

use crate::errno::Errno;

/// A clock that never jumps. Every guest has one.
pub trait Clock {
    /// Milliseconds; where they start does not matter.
    fn now_ms(&mut self) -> u64;
}

/// The time of day.
pub trait WallClock {
    /// Whether this guest knows it.
    const OFFERED: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        Self::OFFERED
    }

    /// Nanoseconds since 1970 (UTC), as far as the guest knows. Errors: EOPNOTSUPP without such a
    /// clock, ENODEV when it does not answer.
    fn now_ns(&mut self) -> Result<i64, Errno> {
        Err(Errno::OPNOTSUPP)
    }
}
