//! Date and time as a clock shows them, in; seconds since 1970, out. Every month and leap year of
//! the Gregorian calendar, no leap seconds, as POSIX counts (XBD 4.16, "Seconds Since the Epoch").

/// A date and time of day in UTC.
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

/// Seconds since 1970; nothing for what is no date, or before 1970.
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
    let year = i64::from(year) - i64::from(early);
    let month = i64::from(if early { month + 9 } else { month - 3 });
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5;
    // 1970-01-01 in the same count.
    const DAYS_BEFORE_1970: i64 = 719_468;
    let days = days + i64::from(day) - 1 - DAYS_BEFORE_1970;
    Some(((days * 24 + i64::from(hour)) * 60 + i64::from(minute)) * 60 + i64::from(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(year: u32, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Option<i64> {
        seconds_since_1970(&Civil { year, month, day, hour, minute, second })
    }

    #[test]
    fn known_moments() {
        assert_eq!(at(1970, 1, 1, 0, 0, 0), Some(0));
        assert_eq!(at(2000, 2, 29, 12, 0, 0), Some(951_825_600));
        assert_eq!(at(2011, 2, 11, 10, 20, 30), Some(1_297_419_630));
        assert_eq!(at(2038, 1, 19, 3, 14, 8), Some(1 << 31));
        assert_eq!(at(2100, 3, 1, 0, 0, 0), Some(4_107_542_400));
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let mut before = at(1970, 1, 1, 0, 0, 0).unwrap() - 86_400;
        for year in 1970..2500 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            for (month, length) in lengths.into_iter().enumerate() {
                for day in 1..=length {
                    let now = at(year, month as u32 + 1, day, 0, 0, 0).unwrap();
                    assert_eq!(now, before + 86_400, "{year}-{}-{day}", month + 1);
                    before = now;
                }
            }
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for (year, month, day, hour, minute, second) in [
            (1969, 12, 31, 0, 0, 0),
            (2026, 0, 1, 0, 0, 0),
            (2026, 13, 1, 0, 0, 0),
            (2026, 1, 0, 0, 0, 0),
            (2026, 1, 32, 0, 0, 0),
            (2026, 1, 1, 24, 0, 0),
            (2026, 1, 1, 0, 60, 0),
            (2026, 1, 1, 0, 0, 61),
        ] {
            assert_eq!(at(year, month, day, hour, minute, second), None);
        }
    }
}
