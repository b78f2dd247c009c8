//! Local time by a rule of POSIX, `CET-1CEST,M3.5.0,M10.5.0/3`: the rule and a moment in, the time's distance from UTC
//! and its name out.
//!
//! Source: POSIX, "Other Environment Variables", TZ, and what RFC 9636 adds: hours from -167 to 167.

/// The local time at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local<'t> {
    /// How far it is ahead of UTC, in seconds; less than nothing to the west.
    pub offset_s: i32,
    /// What it is called: `CEST`, `-03`.
    pub name: &'t [u8],
}

impl Local<'static> {
    /// What holds where nothing is known.
    pub const UTC: Self = Local { offset_s: 0, name: b"UTC" };
}

/// Between which times the clock is changed if the rule only says that it is: in the USA, as in every C library.
const CHANGES_DEFAULT: &[u8] = b",M3.2.0,M11.1.0";

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;
/// The calendar repeats after 400 years.
const CYCLE_S: i64 = 146_097 * DAY_S;

/// Local time at a moment (seconds since 1970) by a rule; nothing if it is none.
#[inline(never)]
pub fn rule(text: &[u8], at_s: i64) -> Option<Local<'_>> {
    let rest = &mut Text { rest: text };
    let name = rest.name()?;
    let standard_s = -rest.time(24)?;
    let standard = Local { offset_s: standard_s as i32, name };
    if rest.rest.is_empty() {
        return Some(standard);
    }
    let name = rest.name()?;
    let daylight_s = match rest.rest {
        [] | [b',', ..] => standard_s + HOUR_S,
        _ => -rest.time(24)?,
    };
    if rest.rest.is_empty() {
        rest.rest = CHANGES_DEFAULT;
    }
    let (begin, end) = (rest.change()?, rest.change()?);
    if !rest.rest.is_empty() {
        return None;
    }
    // The last change up to the moment, in the 400 years from 1970 on. Of two at the same time the one to daylight
    // saving time counts: so rules say that it always holds.
    let at_s = at_s.rem_euclid(CYCLE_S);
    let (mut year, mut first_day) = (1969, -365);
    let (mut last_s, mut is_daylight) = (i64::MIN, false);
    // A change is up to 167 hours and the distance from UTC away from its day.
    while (first_day - 8) * DAY_S <= at_s {
        let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year == 2000));
        for (change, offset_s, to_daylight) in
            [(&end, daylight_s, false), (&begin, standard_s, true)]
        {
            let change_s = change.day(first_day, leap) * DAY_S + change.time_s - offset_s;
            if last_s <= change_s && change_s <= at_s {
                (last_s, is_daylight) = (change_s, to_daylight);
            }
        }
        (year, first_day) = (year + 1, first_day + 365 + leap);
    }
    let daylight = Local { offset_s: daylight_s as i32, name };
    Some(if is_daylight { daylight } else { standard })
}

/// When the clock is changed each year.
struct Change {
    /// 1 to 12, or where days are counted from the year's first one on one of the two below.
    month: i64,
    /// Which of the month's weeks, 5 for the last.
    week: i64,
    /// Day of the week from Sunday on, or of the year.
    day: i64,
    /// Local time of that day.
    time_s: i64,
}

/// Instead of a month: days of the year from 1 on, the 29th of February left out.
const COMMON_DAY: i64 = 0;
/// Instead of a month: days of the year from 0 on.
const ANY_DAY: i64 = -1;

impl Change {
    /// The day of the change since 1970, in the year whose first day is given, with so many leap days.
    #[inline(never)]
    fn day(&self, first_day: i64, leap: i64) -> i64 {
        if self.month <= COMMON_DAY {
            let before = self.month == COMMON_DAY && (leap == 0 || self.day < 60);
            return first_day + self.day - i64::from(before);
        }
        let days_of = |month| match month {
            2 => 28 + leap,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let first = (1..self.month).fold(first_day, |day, month| day + days_of(month));
        // The first of 1970 was a Thursday.
        let weekday = (first + 4).rem_euclid(7);
        let day = (self.day - weekday).rem_euclid(7) + 7 * (self.week - 1);
        first + if day < days_of(self.month) { day } else { day - 7 }
    }
}

/// What is left of a rule.
struct Text<'t> {
    rest: &'t [u8],
}

impl<'t> Text<'t> {
    /// Takes a byte if it is the next one.
    #[inline(never)]
    fn skip(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The name of a time: three letters or more, or what stands between `<` and `>`.
    #[inline(never)]
    fn name(&mut self) -> Option<&'t [u8]> {
        let quoted = self.skip(b'<');
        let is_part = |byte: &u8| match byte {
            b'+' | b'-' | b'0'..=b'9' => quoted,
            _ => byte.is_ascii_alphabetic(),
        };
        let len = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        (len >= 3 && (!quoted || self.skip(b'>'))).then_some(name)
    }

    /// A number up to a largest one.
    #[inline(never)]
    fn number(&mut self, largest: i64) -> Option<i64> {
        let mut number = None;
        while let [digit @ b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
            let next = number.unwrap_or(0) * 10 + i64::from(digit - b'0');
            if next > largest {
                return None;
            }
            number = Some(next);
        }
        number
    }

    /// Hours, and minutes and seconds if they are there, with a sign or without: seconds.
    #[inline(never)]
    fn time(&mut self, hours_max: i64) -> Option<i64> {
        let negative = self.skip(b'-');
        if !negative {
            self.skip(b'+');
        }
        let mut time_s = self.number(hours_max)? * HOUR_S;
        for unit_s in [60, 1] {
            if !self.skip(b':') {
                break;
            }
            time_s += self.number(59)? * unit_s;
        }
        Some(if negative { -time_s } else { time_s })
    }

    /// When the clock is changed: `,M3.5.0`, `,J60` or `,59`, and the time if it is not two o'clock.
    #[inline(never)]
    fn change(&mut self) -> Option<Change> {
        if !self.skip(b',') {
            return None;
        }
        let mut change = Change { month: ANY_DAY, week: 0, day: 0, time_s: 2 * HOUR_S };
        if self.skip(b'M') {
            change.month = self.part(12)?;
            change.week = self.point()?.part(5)?;
            change.day = self.point()?.number(6)?;
        } else if self.skip(b'J') {
            change.month = COMMON_DAY;
            change.day = self.part(365)?;
        } else {
            change.day = self.number(365)?;
        }
        if self.skip(b'/') {
            change.time_s = self.time(167)?;
        }
        Some(change)
    }

    /// A number from 1 on.
    fn part(&mut self, largest: i64) -> Option<i64> {
        self.number(largest).filter(|number| *number > 0)
    }

    /// Takes the point between the parts of a day.
    fn point(&mut self) -> Option<&mut Self> {
        self.skip(b'.').then_some(self)
    }
}
