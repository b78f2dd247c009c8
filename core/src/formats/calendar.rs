//! Date and time as a hardware clock shows them in, seconds since 1970 out, and the other way
//! round; and whether that clock shows local time, by adjtime(5).
//!
//! Every month and leap year of the Gregorian calendar, no leap seconds, as POSIX counts (XBD 4.16,
//! "Seconds Since the Epoch").

use crate::bytes::trimmed;

/// A date and time of day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    /// The year, such as 2026.
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 60.
    pub second: u32,
}

/// 1970-01-01, counted in days as below.
const DAYS_BEFORE_1970: u32 = 719_468;
const DAY_S: i64 = 24 * 3600;

/// Seconds since 1970; nothing for what is no date, or before 1970.
#[inline(never)]
pub fn seconds_since_1970(at: &Civil) -> Option<i64> {
    let Civil { year, month, day, hour, minute, second } = *at;
    let in_range = (1970..10_000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !in_range {
        return None;
    }
    // Years that begin in March have the leap day at their end: the days before a month are then a
    // line with a slope of 153 days in five months.
    let early = month < 3;
    let year = year - u32::from(early);
    let month = if early { month + 9 } else { month - 3 };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
    let days = days + day - 1 - DAYS_BEFORE_1970;
    Some(i64::from(days) * DAY_S + i64::from((hour * 60 + minute) * 60 + second))
}

/// The date and time at so many seconds since 1970, up to the end of the year 9999; before and
/// after, the nearest there is.
#[inline(never)]
pub fn date(seconds: i64) -> Civil {
    let seconds = seconds.clamp(0, 2_932_897 * DAY_S - 1);
    let (days, of_day) = ((seconds / DAY_S) as u32, (seconds % DAY_S) as u32);
    let days = days + DAYS_BEFORE_1970;
    let (cycle, day) = (days / 146_097, days % 146_097);
    // Without the leap days before it every year is as long as the others.
    let of_cycle = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (of_cycle * 365 + of_cycle / 4 - of_cycle / 100);
    let month = (5 * of_year + 2) / 153;
    let early = month >= 10;
    Civil {
        year: cycle * 400 + of_cycle + u32::from(early),
        month: if early { month - 9 } else { month + 3 },
        day: of_year - (153 * month + 2) / 5 + 1,
        hour: of_day / 3600,
        minute: of_day / 60 % 60,
        second: of_day % 60,
    }
}

/// Whether /etc/adjtime says that the hardware clock shows local time (adjtime(5), the third line);
/// else it shows UTC.
pub fn is_local(adjtime: &[u8]) -> bool {
    adjtime.split(|&byte| byte == b'\n').nth(2).is_some_and(|line| trimmed(line) == b"LOCAL")
}
