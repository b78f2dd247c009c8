//! Clocks: clock_gettime(2).

use super::Linux;
use crate::sys;
use linux_raw_sys::general::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use qga_core::Errno;
use qga_core::platform::{Clock, WallClock};

impl Clock for Linux {
    fn now_ms(&mut self) -> u64 {
        let (seconds, nanoseconds) = sys::clock(CLOCK_MONOTONIC);
        seconds.wrapping_mul(1000).wrapping_add(nanoseconds / 1_000_000)
    }
}

impl WallClock for Linux {
    const OFFERED: bool = cfg!(feature = "time");

    fn now_ns(&mut self) -> Result<i64, Errno> {
        let (seconds, nanoseconds) = sys::clock(CLOCK_REALTIME);
        // In range until the year 2262.
        Ok(seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds) as i64)
    }
}
