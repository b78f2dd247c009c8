//! The clocks as the agent asks for them: what the guest's show goes out, and a time of day that is
//! none is an error.

use crate::kind::Kind;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::formats::calendar::Civil;
use qga_core::platform::{Clock, WallClock};

impl Clock for Sim {
    fn now_ms(&mut self) -> u64 {
        let now_ms = self.with(|world| world.time.now_ms);
        self.sure(Kind::Now, now_ms, |_| now_ms)
    }
}

impl WallClock for Sim {
    const OFFERED: bool = true;
    const SETS: bool = true;

    fn now_ns(&mut self) -> Result<i64, Errno> {
        self.call(Kind::Wall, |world| world.time.wall_ns().ok_or(Errno::OVERFLOW))
    }

    fn set_ns(&mut self, ns: i64) -> Result<(), Errno> {
        self.call(Kind::SetWall, |world| {
            world.time.set_wall(ns);
            Ok(())
        })
    }

    fn rtc(&mut self) -> Result<Civil, Errno> {
        self.call(Kind::Rtc, |world| world.time.rtc().ok_or(Errno::NOENT))
    }

    fn set_rtc(&mut self, at: &Civil) -> Result<(), Errno> {
        self.call(Kind::SetRtc, |world| match world.time.set_rtc(at) {
            true => Ok(()),
            false => Err(Errno::NOENT),
        })
    }
}
