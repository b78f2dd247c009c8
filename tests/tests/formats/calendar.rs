//! Seconds since 1970 and what a hardware clock shows: a table of known moments, every day from
//! 1970 on, what is no date; and what adjtime(5) says of the clock.

use super::tables::each;
use qga_core::formats::calendar::{Civil, date, is_local, seconds_since_1970};

fn at(year: u32, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Option<i64> {
    seconds_since_1970(&Civil { year, month, day, hour, minute, second })
}

#[test]
fn known_moments() {
    each("calendar", |line| {
        let seconds: i64 = std::str::from_utf8(line).ok()?.parse().ok()?;
        let civil = date(seconds);
        if (0..=253_402_300_799).contains(&seconds) {
            assert_eq!(seconds_since_1970(&civil), Some(seconds), "back from {civil:?}");
        }
        let Civil { year, month, day, hour, minute, second } = civil;
        Some(format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"))
    });
    // A leap second is the first one of the next minute.
    assert_eq!(at(2016, 12, 31, 23, 59, 60), at(2017, 1, 1, 0, 0, 0));
}

#[test]
fn every_day_follows_the_day_before() {
    let mut seconds = 0;
    for year in 1970..2500 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if leap { 29 } else { 28 };
        let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(lengths) {
            for day in 1..=length {
                assert_eq!(at(year, month, day, 0, 0, 0), Some(seconds), "{year}-{month}-{day}");
                let last = Civil { year, month, day, hour: 23, minute: 59, second: 59 };
                assert_eq!(date(seconds + 86_399), last);
                seconds += 86_400;
            }
        }
    }
}

#[test]
fn what_is_no_date_is_refused() {
    for (year, month, day, hour, minute, second) in [
        (1969, 12, 31, 0, 0, 0),
        (10_000, 1, 1, 0, 0, 0),
        (u32::MAX, 1, 1, 0, 0, 0),
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

#[test]
fn what_adjtime_says_of_the_clock() {
    for (text, expected) in [
        ("0.0 0 0.0\n0\nLOCAL\n", true),
        ("0.0 0 0.0\n0\nLOCAL", true),
        ("0.000000 1700000000 0.000000\r\n1700000000\r\n LOCAL\r\nmore\n", true),
        ("0.0 0 0.0\n0\nUTC\n", false),
        ("0.0 0 0.0\n0\n", false),
        ("0.0 0 0.0\n0\nLOCALE\n", false),
        ("0.0 0 0.0\n0\nlocal\n", false),
        ("LOCAL\nLOCAL\n\nLOCAL\n", false),
        ("", false),
    ] {
        assert_eq!(is_local(text.as_bytes()), expected, "{text:?}");
    }
}
