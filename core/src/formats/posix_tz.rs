//! Local time by a rule of POSIX, `CET-1CEST,M3.5.0,M10.5.0/3`: the rule and a moment in, the
//! time's distance from UTC and its name out.
//!
//! Source: POSIX, "Other Environment Variables", TZ, and what RFC 9636 adds: hours from -167 to
//! 167.

use super::fields::take;

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

/// Between which times the clock is changed if the rule only says that it is: in the USA, as in
/// every C library.
const CHANGES_DEFAULT: &[u8] = b",M3.2.0,M11.1.0";

const DAY_S: i64 = 24 * 3600;
/// The calendar repeats after 400 years.
const CYCLE_S: i64 = 146_097 * DAY_S;

/// Local time at a moment (seconds since 1970) by a rule; nothing if it is none.
#[inline(never)]
pub fn rule(text: &[u8], at_s: i64) -> Option<Local<'_>> {
    let mut rest = Text { rest: text, failed: false };
    let standard = rest.name();
    let standard_s = -rest.time(24);
    let (mut daylight, mut daylight_s) = (standard, standard_s);
    let (mut begin, mut end) = (Change::none(), Change::none());
    if !rest.rest.is_empty() {
        daylight = rest.name();
        daylight_s += 3600;
        if !matches!(rest.rest, [] | [b',', ..]) {
            daylight_s = -rest.time(24);
        }
        if rest.rest.is_empty() {
            rest.rest = CHANGES_DEFAULT;
        }
        // The clock goes forward by the time that holds before, and back by that.
        rest.change(&mut begin, standard_s);
        rest.change(&mut end, daylight_s);
    }
    if rest.failed || !rest.rest.is_empty() {
        return None;
    }
    // The last change up to the moment, in the 400 years from 1970 on. Of two at the same time the
    // one to daylight saving time counts: so rules say that it always holds.
    let at_s = at_s.rem_euclid(CYCLE_S);
    let (mut year, mut first_day) = (1969, -365);
    let (mut last_s, mut is_daylight) = (i64::MIN, false);
    // A change is up to 167 hours and the distance from UTC away from its day.
    while i64::from(first_day - 8) * DAY_S <= at_s {
        let leap = i32::from(year % 4 == 0 && (year % 100 != 0 || year == 2000));
        if end.is_last(first_day, leap, at_s, &mut last_s) {
            is_daylight = false;
        }
        if begin.is_last(first_day, leap, at_s, &mut last_s) {
            is_daylight = true;
        }
        year += 1;
        first_day += 365 + leap;
    }
    Some(match is_daylight {
        true => Local { offset_s: daylight_s, name: daylight },
        false => Local { offset_s: standard_s, name: standard },
    })
}

/// When the clock is changed each year.
struct Change {
    /// 1 to 12; [`COMMON_DAY`] or [`ANY_DAY`] where days are counted from the year's first one on.
    month: i32,
    /// Which of the month's weeks, 5 for the last.
    week: i32,
    /// Day of the week from Sunday on, or of the year.
    day: i32,
    /// When on that day, by UTC.
    time_s: i32,
}

/// Instead of a month: days of the year from 1 on, the 29th of February left out.
const COMMON_DAY: i32 = 0;
/// Instead of a month: days of the year from 0 on.
const ANY_DAY: i32 = -1;

impl Change {
    /// One at the beginning of the year.
    const fn none() -> Self {
        Change { month: ANY_DAY, week: 0, day: 0, time_s: 0 }
    }

    /// Whether this is the last change up to a moment that is known so far; if it is, `last_s` is
    /// when it is: in the year whose first day is given, counted from 1970, with so many leap days.
    #[inline(never)]
    fn is_last(&self, first_day: i32, leap: i32, at_s: i64, last_s: &mut i64) -> bool {
        let mut day = first_day + self.day;
        if self.month > COMMON_DAY {
            let (mut first, mut days, mut month) = (first_day, 31, 1);
            while month < self.month {
                first += days;
                month += 1;
                days = match month {
                    2 => 28 + leap,
                    4 | 6 | 9 | 11 => 30,
                    _ => 31,
                };
            }
            // The first of 1970 was a Thursday, and 53 weeks before the beginning is early enough.
            let weekday = (first + 4 + 53 * 7) % 7;
            let of_month = (self.day - weekday + 7) % 7 + 7 * (self.week - 1);
            day = first + if of_month < days { of_month } else { of_month - 7 };
        } else if self.month == COMMON_DAY && (leap == 0 || self.day < 60) {
            day -= 1;
        }
        let change_s = i64::from(day) * DAY_S + i64::from(self.time_s);
        let is_last = *last_s <= change_s && change_s <= at_s;
        if is_last {
            *last_s = change_s;
        }
        is_last
    }
}

/// What is left of a rule. Whoever reads what is not there is given something, and finds in the end
/// that it has failed: this is smaller than a look at each part.
struct Text<'t> {
    rest: &'t [u8],
    failed: bool,
}

impl<'t> Text<'t> {
    /// Takes a byte if it is the next one.
    #[inline(never)]
    fn skip(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes a byte that must be the next one.
    #[inline(never)]
    fn need(&mut self, byte: u8) {
        self.failed |= !self.skip(byte);
    }

    /// The name of a time: three letters or more, or what stands between `<` and `>`.
    #[inline(never)]
    fn name(&mut self) -> &'t [u8] {
        let quoted = self.skip(b'<');
        let is_part = |byte: &u8| match byte {
            b'+' | b'-' | b'0'..=b'9' => quoted,
            _ => byte.is_ascii_alphabetic(),
        };
        let len = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        let name = take(&mut self.rest, len);
        self.failed |= len < 3;
        if quoted {
            self.need(b'>');
        }
        name
    }

    /// A number from a smallest to a largest one.
    #[inline(never)]
    fn number(&mut self, smallest: i32, largest: i32) -> i32 {
        let mut number = -1;
        while let [digit @ b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
            number = (number.max(0) * 10 + i32::from(digit - b'0')).min(1000);
        }
        self.failed |= number < smallest || number > largest;
        number
    }

    /// Hours, and minutes and seconds if they are there, with a sign or without: seconds.
    #[inline(never)]
    fn time(&mut self, hours_max: i32) -> i32 {
        let negative = self.skip(b'-');
        if !negative {
            self.skip(b'+');
        }
        let mut time_s = self.number(0, hours_max);
        for _ in 0..2 {
            time_s *= 60;
            if self.skip(b':') {
                time_s += self.number(0, 59);
            }
        }
        if negative { -time_s } else { time_s }
    }

    /// When the clock is changed: `,M3.5.0`, `,J60` or `,59`, and the time if it is not two
    /// o'clock, which is so far ahead of UTC.
    #[inline(never)]
    fn change(&mut self, change: &mut Change, offset_s: i32) {
        self.need(b',');
        if self.skip(b'M') {
            change.month = self.number(1, 12);
            self.need(b'.');
            change.week = self.number(1, 5);
            self.need(b'.');
            change.day = self.number(0, 6);
        } else {
            let common = i32::from(self.skip(b'J'));
            change.month += common;
            change.day = self.number(common, 365);
        }
        let time_s = if self.skip(b'/') { self.time(167) } else { 2 * 3600 };
        change.time_s = time_s - offset_s;
    }
}
