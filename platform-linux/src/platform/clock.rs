//! Clocks: clock_gettime(2), clock_settime(2), and the hardware clock of rtc(4).

use super::Linux;
use crate::fd::Fd;
use crate::sys;
use linux_raw_sys::general::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use qga_core::Errno;
use qga_core::formats::calendar::Civil;
use qga_core::platform::{Clock, WallClock};
use rustix::fs::OFlags;

impl Clock for Linux {
    fn now_ms(&mut self) -> u64 {
        let (seconds, nanoseconds) = sys::clocks::clock(CLOCK_MONOTONIC);
        seconds.wrapping_mul(1000).wrapping_add(nanoseconds / 1_000_000)
    }
}

impl WallClock for Linux {
    const OFFERED: bool = cfg!(feature = "time");
    const SETS: bool = Self::OFFERED;

    fn now_ns(&mut self) -> Result<i64, Errno> {
        let (seconds, nanoseconds) = sys::clocks::clock(CLOCK_REALTIME);
        // In range until the year 2262.
        Ok(seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds) as i64)
    }

    fn set_ns(&mut self, ns: i64) -> Result<(), Errno> {
        sys::clocks::set_clock(ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000))
    }

    fn rtc(&mut self) -> Result<Civil, Errno> {
        let mut shown = [0; 9];
        sys::clocks::rtc_time(&open_rtc()?, &mut shown)?;
        let [second, minute, hour, day, month, year, ..] = shown.map(|part: i32| part as u32);
        let (year, month) = (year.wrapping_add(YEAR), month.wrapping_add(1));
        Ok(Civil { year, month, day, hour, minute, second })
    }

    fn set_rtc(&mut self, at: &Civil) -> Result<(), Errno> {
        let Civil { year, month, day, hour, minute, second } = *at;
        let (year, month) = (year.wrapping_sub(YEAR), month.wrapping_sub(1));
        // What day of the week and of the year it is the kernel finds out, and it knows nothing of
        // daylight saving time.
        let shown = [second, minute, hour, day, month, year, 0, 0, 0];
        sys::clocks::set_rtc_time(&open_rtc()?, &shown.map(|part| part as i32))
    }
}

/// The year from which the kernel counts, and from 0 on its months.
const YEAR: u32 = 1900;

/// The hardware clock that the kernel itself uses, or the one there is.
fn open_rtc() -> Result<Fd, Errno> {
    let open = |path| sys::open(path, OFlags::NOCTTY | OFlags::NONBLOCK, 0);
    match open(c"/dev/rtc0") {
        Err(Errno::NOENT) => open(c"/dev/rtc"),
        opened => opened,
    }
}
