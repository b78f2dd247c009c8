//! The clocks as data: time that passes comes in, what they show goes out. Invariant: they stand
//! still until somebody advances or sets them.

use qga_core::formats::calendar::{Civil, date, seconds_since_1970};

/// What the clocks show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time {
    /// Milliseconds of the clock that never jumps.
    pub now_ms: u64,
    /// Milliseconds since 1970 when that clock was at zero.
    pub epoch_ms: u64,
    /// What the hardware clock showed then, as if that was UTC: milliseconds since 1970. Nothing
    /// when there is no such clock.
    pub rtc_ms: Option<u64>,
}

impl Time {
    /// One second after a boot on the first of January 2024.
    pub fn new() -> Self {
        let epoch_ms = 1_704_067_200_000;
        Time { now_ms: 1000, epoch_ms, rtc_ms: Some(epoch_ms) }
    }

    /// Lets time pass.
    pub fn advance(&mut self, ms: u64) {
        self.now_ms = self.now_ms.saturating_add(ms);
    }

    /// The time of day in nanoseconds since 1970, if it has such a number.
    pub fn wall_ns(&self) -> Option<i64> {
        let wall_ms = self.epoch_ms.wrapping_add(self.now_ms);
        wall_ms.checked_mul(1_000_000).and_then(|ns| i64::try_from(ns).ok())
    }

    /// Sets the time of day.
    pub fn set_wall(&mut self, ns: i64) {
        self.epoch_ms = (ns / 1_000_000).cast_unsigned().wrapping_sub(self.now_ms);
    }

    /// What the hardware clock shows.
    pub fn rtc(&self) -> Option<Civil> {
        let shown_ms = self.rtc_ms?.wrapping_add(self.now_ms);
        Some(date(i64::try_from(shown_ms / 1000).unwrap_or(i64::MAX)))
    }

    /// Sets that, if there is one, to the beginning of a second. Panics at what is no date.
    pub fn set_rtc(&mut self, at: &Civil) -> bool {
        let shown_s = seconds_since_1970(at).expect("a date").cast_unsigned();
        let is_there = self.rtc_ms.is_some();
        self.rtc_ms = is_there.then(|| (shown_s * 1000).wrapping_sub(self.now_ms));
        is_there
    }
}

impl Default for Time {
    fn default() -> Self {
        Time::new()
    }
}
