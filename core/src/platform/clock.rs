//! Time: the clock that waiting is measured with, and the time of day.

use crate::errno::Errno;
use crate::formats::calendar::Civil;

/// A clock that never jumps. Every guest has one.
pub trait Clock {
    /// Milliseconds; where they start does not matter.
    fn now_ms(&mut self) -> u64;
}

/// The time of day.
pub trait WallClock {
    /// Whether this guest knows it.
    const OFFERED: bool = false;
    /// Whether it can be set, too.
    const SETS: bool = false;

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

    /// Sets it (clock_settime(2)); [`Clock::now_ms`] stays what it is. Errors: EPERM; failure
    /// leaves it as it was.
    fn set_ns(&mut self, ns: i64) -> Result<(), Errno> {
        let _ = ns;
        Err(Errno::OPNOTSUPP)
    }

    /// What the hardware clock shows (RTC_RD_TIME), which goes on while the guest does not. Errors:
    /// ENOENT or EOPNOTSUPP when there is none, EINVAL when it shows no date.
    fn rtc(&mut self) -> Result<Civil, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// Sets that (RTC_SET_TIME). Errors: ENOENT or EOPNOTSUPP when there is none, EACCES, EBUSY.
    fn set_rtc(&mut self, at: &Civil) -> Result<(), Errno> {
        let _ = at;
        Err(Errno::OPNOTSUPP)
    }
}
