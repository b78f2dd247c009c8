//! The clocks as data: time that passes comes in, what they show goes out. Invariant: they stand
//! still until somebody advances them.

/// What the clocks show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time {
    /// Milliseconds of the clock that never jumps.
    pub now_ms: u64,
    /// Milliseconds since 1970 when that clock was at zero.
    pub epoch_ms: u64,
}

impl Time {
    /// One second after a boot on the first of January 2024.
    pub fn new() -> Self {
        Time { now_ms: 1000, epoch_ms: 1_704_067_200_000 }
    }

    /// Lets time pass.
    pub fn advance(&mut self, ms: u64) {
        self.now_ms = self.now_ms.saturating_add(ms);
    }
}

impl Default for Time {
    fn default() -> Self {
        Time::new()
    }
}
