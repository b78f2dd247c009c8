//! Clocks: the system's, the hardware's, and the one that wakes this process.

use super::call;
use crate::fd::Fd;
use linux_raw_sys::general as raw;
use qga_core::Errno;

/// Seconds and nanoseconds of a clock (clock_gettime(2)).
pub fn clock(clock: u32) -> (u64, u64) {
    let mut now = raw::__kernel_timespec { tv_sec: 0, tv_nsec: 0 };
    let pointer = &raw mut now as usize;
    // SAFETY: the kernel writes one timespec into a variable that lives until it returns.
    let _ = unsafe { call(raw::__NR_clock_gettime, clock as usize, pointer, 0, 0) };
    (now.tv_sec as u64, now.tv_nsec as u64)
}

/// Sets the time of day, in seconds since 1970 and nanoseconds (clock_settime(2)). Errors: EPERM.
pub fn set_clock(seconds: i64, nanoseconds: i64) -> Result<(), Errno> {
    let time = raw::__kernel_timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let (clock, pointer) = (raw::CLOCK_REALTIME as usize, &raw const time as usize);
    // SAFETY: the kernel reads one timespec from a variable that lives until it returns.
    unsafe { call(raw::__NR_clock_settime, clock, pointer, 0, 0) }.map(drop)
}

/// What a hardware clock shows (RTC_RD_TIME of rtc(4)): its `struct rtc_time`.
pub fn rtc_time(rtc: &Fd, shown: &mut [i32; 9]) -> Result<(), Errno> {
    const RTC_RD_TIME: usize = 0x8024_7009;
    let (fd, pointer) = (rtc.raw() as usize, shown.as_mut_ptr() as usize);
    // SAFETY: the kernel writes its structure into a variable that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, RTC_RD_TIME, pointer, 0) }.map(drop)
}

/// Sets a hardware clock (RTC_SET_TIME). Errors: EACCES without the right to.
pub fn set_rtc_time(rtc: &Fd, shown: &[i32; 9]) -> Result<(), Errno> {
    const RTC_SET_TIME: usize = 0x4024_700A;
    let (fd, pointer) = (rtc.raw() as usize, shown.as_ptr() as usize);
    // SAFETY: the kernel reads its structure from a variable that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, RTC_SET_TIME, pointer, 0) }.map(drop)
}

/// Sends this process SIGALRM once, in so many milliseconds, or not at all when there are none
/// (setitimer(2)). The timer is that of CLOCK_MONOTONIC, whatever its name says, and no program
/// inherits it.
pub fn alarm(in_ms: u64) {
    let timer = raw::__kernel_old_itimerval {
        it_interval: raw::__kernel_old_timeval { tv_sec: 0, tv_usec: 0 },
        it_value: raw::__kernel_old_timeval {
            tv_sec: (in_ms / 1000) as i64,
            tv_usec: (in_ms % 1000 * 1000) as i64,
        },
    };
    let pointer = &raw const timer as usize;
    // SAFETY: the kernel reads one itimerval from a variable that lives until it returns.
    let _ = unsafe { call(raw::__NR_setitimer, raw::ITIMER_REAL as usize, pointer, 0, 0) };
}
