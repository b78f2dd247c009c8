//! Clocks: milliseconds that never jump from the time-stamp counter, the time of day from the CMOS
//! clock.
//!
//! Nothing ticks. How fast the counter runs is measured against the timer of the PC (8254) when the
//! time is first asked for, which takes 6 ms; where that timer or its gate is missing (microvm has
//! no port 61h) a slow processor is assumed, so that deadlines come early rather than late.
//! Sources: Intel 8254 (control word, mode 0, counter latch), Motorola MC146818 (registers A, B,
//! update cycle), ACPI 5.2.9 (the register of the century).

use super::io;
use core::arch::x86_64::_rdtsc;
use core::cell::Cell;
use qga_core::formats::calendar::{Civil, seconds_since_1970};

/// Ticks of the 8254 a second.
const TIMER_HZ: u64 = 1_193_182;
/// How many of its ticks the counter is measured over: 2 ms.
const MEASURED_TICKS: u16 = 2386;
/// How often the timer is looked at before it counts as stuck: 2 ms are 20,000 looks in QEMU's
/// emulation, 2000 and fewer elsewhere.
const LOOKS_MAX: u32 = 200_000;
/// Ticks of the counter a millisecond where they cannot be measured: 1 GHz.
const TICKS_PER_MS_ASSUMED: u64 = 1_000_000;
/// How often the CMOS clock is read again because it changed while it was read.
const TRIES_MAX: u32 = 1000;

/// The clocks of a PC.
pub struct Clocks {
    /// Ticks of the time-stamp counter a millisecond; 0 while it is not known.
    ticks_per_ms: Cell<u64>,
    /// The CMOS register that holds the century; 0 if none does.
    century: u8,
}

impl Clocks {
    /// Clocks whose speed is not known yet.
    pub const fn new(century: u8) -> Self {
        Clocks { ticks_per_ms: Cell::new(0), century }
    }

    /// Milliseconds since some time before the guest's start.
    pub fn now_ms(&self) -> u64 {
        if self.ticks_per_ms.get() == 0 {
            self.ticks_per_ms.set(measure_often().unwrap_or(TICKS_PER_MS_ASSUMED));
        }
        counter().checked_div(self.ticks_per_ms.get()).unwrap_or(0)
    }

    /// Seconds since 1970 (UTC, as QEMU keeps the clock unless told otherwise); nothing without a
    /// clock.
    pub fn wall_seconds(&self) -> Option<i64> {
        let mut before = None;
        for _ in 0..TRIES_MAX {
            // An update takes 2 ms at most and is announced; what reads the same twice was not
            // torn.
            if cmos(0x0A) & 0x80 != 0 {
                continue;
            }
            let now = self.registers();
            if before == Some(now) {
                return decode(now);
            }
            before = Some(now);
        }
        None
    }

    /// Seconds, minutes, hours, day, month, year, century, register B.
    fn registers(&self) -> [u8; 8] {
        let century = if self.century == 0 { 0 } else { cmos(self.century) };
        [cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9), century, cmos(0x0B)]
    }
}

fn cmos(register: u8) -> u8 {
    const ADDRESS: u16 = 0x70;
    // SAFETY: the ports of the CMOS clock; the upper bit would switch off NMIs and stays 0. Where
    // there is none the bus reads all ones.
    unsafe {
        io::write8(ADDRESS, register & 0x7F);
        io::read8(ADDRESS + 1)
    }
}

fn decode(registers: [u8; 8]) -> Option<i64> {
    let [second, minute, hour, day, month, year, century, format] = registers;
    let (binary, whole_day) = (format & 4 != 0, format & 2 != 0);
    let number = |register: u8| match binary {
        true => u32::from(register),
        false => u32::from(register >> 4) * 10 + u32::from(register & 15),
    };
    let afternoon = !whole_day && hour & 0x80 != 0;
    let mut hour = number(if whole_day { hour } else { hour & 0x7F });
    if !whole_day {
        hour = hour % 12 + if afternoon { 12 } else { 0 };
    }
    // A clock that has no century, or a broken one, means this one.
    let century = match number(century) {
        century @ 19..=99 => century,
        _ => 20,
    };
    let civil = Civil {
        year: century * 100 + number(year),
        month: number(month),
        day: number(day),
        hour,
        minute: number(minute),
        second: number(second),
    };
    seconds_since_1970(&civil)
}

/// The time-stamp counter.
fn counter() -> u64 {
    // SAFETY: every 64-bit processor has it, and nothing here forbids its use.
    unsafe { _rdtsc() }
}

/// The middle one of three measurements: time that the hypervisor takes for somebody else makes one
/// of them too large or too small, depending on where it falls.
fn measure_often() -> Option<u64> {
    Some(middle([measure()?, measure()?, measure()?]))
}

fn middle([a, b, c]: [u64; 3]) -> u64 {
    a.min(b).max(a.max(b).min(c))
}

/// Ticks of the counter a millisecond, measured with channel 2 of the timer, whose output goes to
/// nobody but the loudspeaker, which stays off; nothing if the timer does not count.
fn measure() -> Option<u64> {
    const GATE: u16 = 0x61;
    const OUT: u8 = 1 << 5;
    const CONTROL: u16 = 0x43;
    const CHANNEL: u16 = 0x42;
    /// Channel 2, both bytes of the count, mode 0, binary.
    const MODE: u8 = 0b1011_0000;
    /// Keep the count of channel 2 for reading (counter latch command).
    const LATCH: u8 = 0b1000_0000;
    /// Tell the mode of channel 2 (read-back command).
    const TELL: u8 = 0b1110_1000;
    // SAFETY: the ports of the 8254 and its gate (port 61h): gate on, speaker off.
    unsafe {
        io::write8(GATE, io::read8(GATE) & !2 | 1);
        io::write8(CONTROL, MODE);
        io::write8(CONTROL, TELL);
        if io::read8(CHANNEL) & 0x3F != MODE & 0x3F {
            return None;
        }
        io::write8(CHANNEL, MEASURED_TICKS as u8);
        io::write8(CHANNEL, (MEASURED_TICKS >> 8) as u8);
    }
    let begin = counter();
    // SAFETY: reading the gate's port has no effect. Mode 0 keeps the output low until the count is
    // over.
    let is_over = || unsafe { io::read8(GATE) } & OUT != 0;
    if is_over() {
        return None;
    }
    (0..LOOKS_MAX).find(|_| is_over())?;
    // SAFETY: the ports of the 8254.
    let (ticks, left) = unsafe {
        io::write8(CONTROL, LATCH);
        let ticks = counter().wrapping_sub(begin);
        (ticks, u16::from_le_bytes([io::read8(CHANNEL), io::read8(CHANNEL)]))
    };
    Some(ticks_per_ms(ticks, left))
}

/// Ticks of the time-stamp counter a millisecond, given how many it made until the timer had `left`
/// of its own. After 0 the timer goes on with 65535, so a look that comes 50 ms late is as good as
/// any.
fn ticks_per_ms(ticks: u64, left: u16) -> u64 {
    let timer_ticks = u64::from(MEASURED_TICKS.wrapping_sub(left)).max(1);
    (ticks.saturating_mul(TIMER_HZ) / (timer_ticks * 1000)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_look_measures_the_same() {
        // A counter of 3 GHz, over so many ticks of the timer.
        let counted = |timer_ticks: u64| timer_ticks * 3_000_000_000 / TIMER_HZ;
        for late in [0, 1, 100, 59_659] {
            let timer_ticks = u64::from(MEASURED_TICKS) + late;
            let left = 0u16.wrapping_sub(late as u16);
            let measured = ticks_per_ms(counted(timer_ticks), left);
            assert!((2_999_990..=3_000_010).contains(&measured), "{late}: {measured}");
        }
        assert_eq!(ticks_per_ms(0, MEASURED_TICKS), 1);
        assert!(ticks_per_ms(u64::MAX, 0) > 0);
    }

    #[test]
    fn one_wrong_measurement_does_not_count() {
        for three in [[5, 7, 900], [5, 900, 7], [7, 5, 900], [900, 7, 5], [1, 7, 9], [7, 7, 1]] {
            assert_eq!(middle(three), 7, "{three:?}");
        }
    }
}
