//! Clocks: clock_gettime(2).

use super::Linux;
use crate::sys;
use linux_raw_sys::general::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use qga_core::platform::Clock;

fn ms((seconds, nanoseconds): (u64, u64)) -> u64 {
    seconds.wrapping_mul(1000).wrapping_add(nanoseconds / 1_000_000)
}

impl Clock for Linux {
    fn now_ms(&mut self) -> u64 {
        ms(sys::clock(CLOCK_MONOTONIC))
    }

    fn wall_ms(&mut self) -> u64 {
        ms(sys::clock(CLOCK_REALTIME))
    }
}
