//! The clocks: they stand still until the driver advances them.

use crate::{Kind, Sim};
use qga_core::Errno;
use qga_core::platform::{Clock, WallClock};

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

impl Clock for Sim {
    fn now_ms(&mut self) -> u64 {
        let now_ms = self.with(|world| world.time.now_ms);
        self.sure(Kind::Now, now_ms, |_| now_ms)
    }
}

impl WallClock for Sim {
    const OFFERED: bool = true;

    fn now_ns(&mut self) -> Result<i64, Errno> {
        self.call(Kind::Wall, |world| {
            let wall_ms = world.time.epoch_ms.saturating_add(world.time.now_ms);
            i64::try_from(wall_ms.saturating_mul(1_000_000)).map_err(|_| Errno::OVERFLOW)
        })
    }
}
