//! The clocks as the agent asks for them: what the guest's show goes out, and a time of day that is
//! none is an error.

use crate::kind::Kind;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::{Clock, WallClock};

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
