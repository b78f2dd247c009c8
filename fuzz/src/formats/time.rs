//! Time: rules of POSIX for local time as text and as numbers, files of tzfile(5), dates of
//! hardware clocks.

use crate::input::Input;
use qga_core::formats::calendar::{Civil, date, is_local, seconds_since_1970};
use qga_core::formats::zone::{Local, local};

const DAY_S: i64 = 86_400;

fn moment(input: &mut Input<'_>) -> i64 {
    let bytes: Vec<u8> = (0..8).map(|_| input.byte()).collect();
    let moment = i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    // Of most interest is what people live to see.
    if moment & 1 == 0 { moment } else { moment % (400 * 366 * DAY_S) }
}

/// Whether a part of some text.
fn is_in(part: &[u8], text: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

pub fn rule(input: &[u8]) {
    let mut input = Input::new(input);
    let at_s = moment(&mut input);
    let text = input.rest;
    let Some(found) = rule_of(text, at_s) else {
        return assert_eq!(rule_of(text, 0), None, "a rule holds at some times only");
    };
    assert!(found.name.len() >= 3 && is_in(found.name, text));
    assert!(i64::from(found.offset_s).abs() < 26 * 3600);
    let later = at_s.checked_add(146_097 * DAY_S);
    assert!(later.is_none_or(|later| rule_of(text, later) == Some(found)));
}

fn rule_of(text: &[u8], at_s: i64) -> Option<Local<'_>> {
    qga_core::formats::posix_tz::rule(text, at_s)
}

/// A change as text, and its day of a year counted from 1970.
struct Change {
    text: String,
    day: Box<dyn Fn(i64) -> i64>,
    time_s: i64,
}

/// The day of a date since 1970, by adding up the years.
fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |month: i64| match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let before = year - 1;
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leaps(before) - leaps(1969) + (1..month).map(length).sum::<i64>() + day
        - 1
}

fn change(input: &mut Input<'_>) -> Change {
    let (kind, a, b, c) = (input.byte(), input.byte(), input.byte(), input.byte());
    let hours = i64::from(input.word() % 335) - 167;
    let time_s = hours * 3600 + hours.signum() * i64::from(c % 60) * 60;
    let sign = if hours < 0 { "-" } else { "" };
    let time = format!("/{sign}{}:{:02}", hours.abs(), if hours == 0 { 0 } else { c % 60 });
    let of_year = i64::from(a) + i64::from(b % 110);
    let (text, day): (String, Box<dyn Fn(i64) -> i64>) = match kind % 3 {
        0 => {
            let (month, week, weekday) =
                (i64::from(a % 12) + 1, i64::from(b % 5) + 1, i64::from(c % 7));
            let day = move |year: i64| {
                let end =
                    if month == 12 { day_of(year + 1, 1, 1) } else { day_of(year, month + 1, 1) };
                let days = day_of(year, month, 1)..end;
                let mut of_week = days.filter(|day| (day + 4).rem_euclid(7) == weekday);
                let all: Vec<i64> = of_week.by_ref().collect();
                *all.get(week as usize - 1).or(all.last()).expect("four at least")
            };
            (format!(",M{month}.{week}.{weekday}{time}"), Box::new(day))
        }
        1 => {
            // The same date in each year: that of one without a leap day.
            let of_year = of_year.clamp(1, 365);
            let day = move |year: i64| {
                let first = day_of(year, 1, 1);
                let day = first + of_year - 1;
                let march = day_of(year, 3, 1);
                if of_year >= 60 { march + of_year - 60 } else { day }
            };
            (format!(",J{of_year}{time}"), Box::new(day))
        }
        _ => {
            let of_year = of_year.min(365);
            (format!(",{of_year}{time}"), Box::new(move |year| day_of(year, 1, 1) + of_year))
        }
    };
    Change { text, day, time_s }
}

/// A rule made of numbers, held against a list of all its changes near the moment.
pub fn rule_of_numbers(input: &[u8]) {
    let mut input = Input::new(input);
    let offset = |byte: u8| i64::from(byte % 49) - 24;
    let (standard, daylight) = (offset(input.byte()), offset(input.byte()));
    let year = 1971 + i64::from(input.word() % 398);
    let at_s = day_of(year, 1, 1) * DAY_S
        + (i64::from(input.word()) * 600 + i64::from(input.byte())) % (366 * DAY_S);
    let (begin, end) = (change(&mut input), change(&mut input));
    let text = format!("AAA{standard}<+B1>{daylight}{}{}", begin.text, end.text);
    // The later of two at the same time is the one to daylight saving time.
    let mut changes: Vec<(i64, bool)> = (year - 3..year + 3)
        .flat_map(|year| {
            let moment = |change: &Change, west: i64| {
                (change.day)(year) * DAY_S + change.time_s + west * 3600
            };
            [(moment(&begin, standard), true), (moment(&end, daylight), false)]
        })
        .collect();
    changes.sort_unstable();
    let last = changes.iter().rev().find(|(change_s, _)| *change_s <= at_s).expect("a change");
    let expected = match last.1 {
        true => Local { offset_s: -(daylight * 3600) as i32, name: b"+B1" },
        false => Local { offset_s: -(standard * 3600) as i32, name: b"AAA" },
    };
    assert_eq!(rule_of(text.as_bytes(), at_s), Some(expected), "{text} {at_s}");
}

/// A file as it comes, and one with a head that fits.
pub fn file(input: &[u8]) {
    let mut input = Input::new(input);
    let at_s = moment(&mut input);
    if let Some(found) = local(input.rest, at_s) {
        assert!(!found.name.is_empty() && is_in(found.name, input.rest));
    }
    let (changes, kinds) = (usize::from(input.byte() % 8), usize::from(input.byte() % 4));
    let first_block = [&b"TZif3"[..], &[0; 39]].concat();
    let counts = [0, 0, 0, changes as u32, kinds as u32, 8];
    let counts: Vec<u8> = counts.iter().flat_map(|count| count.to_be_bytes()).collect();
    let mut times: Vec<i64> = (0..changes).map(|_| moment(&mut input)).collect();
    times.sort_unstable();
    let kind_of: Vec<u8> = (0..changes).map(|_| input.byte() % 4).collect();
    let offsets: Vec<i32> = (0..kinds).map(|_| i32::from(input.word()) - 30_000).collect();
    let mut file = [&first_block[..], b"TZif3", &[0; 15], &counts].concat();
    file.extend(times.iter().flat_map(|time| time.to_be_bytes()));
    file.extend(&kind_of);
    file.extend(offsets.iter().flat_map(|offset| [&offset.to_be_bytes()[..], &[0, 4]].concat()));
    file.extend(b"LMT\0ABC\0\n");
    file.extend(input.rest);
    let begun = times.iter().filter(|time| **time <= at_s).count();
    let footer = input.rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let by_rule = if begun == changes { rule_of(footer, at_s) } else { None };
    let kind = if begun == 0 { 0 } else { usize::from(kind_of[begun - 1]) };
    let by_kind = offsets.get(kind).map(|&offset_s| Local { offset_s, name: b"ABC" });
    assert_eq!(local(&file, at_s), by_rule.or(by_kind));
}

/// Seconds as a date and back, and any numbers as a date: held against the days added up.
pub fn calendar(input: &[u8]) {
    let mut input = Input::new(input);
    let seconds = moment(&mut input);
    let civil = date(seconds);
    let back = seconds_since_1970(&civil).expect("a date");
    assert_eq!(back, seconds.clamp(0, day_of(10_000, 1, 1) * DAY_S - 1));
    let mut number = |most: u16| u32::from(input.word() % most);
    let (year, month, day) = (1960 + number(9000), number(15), number(34));
    let (hour, minute, second) = (number(26), number(62), number(63));
    let is_date = (1970..10_000).contains(&year) && (1..13).contains(&month);
    let is_date = is_date && (1..32).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    let [of_year, of_month, of_day] = [year, month, day].map(i64::from);
    let expected = is_date.then(|| {
        day_of(of_year, of_month, of_day) * DAY_S
            + i64::from(hour) * 3600
            + i64::from(minute) * 60
            + i64::from(second)
    });
    let civil = Civil { year, month, day, hour, minute, second };
    assert_eq!(seconds_since_1970(&civil), expected, "{civil:?}");
    let third = input.rest.split(|&byte| byte == b'\n').nth(2).unwrap_or_default();
    assert_eq!(is_local(input.rest), third.trim_ascii() == b"LOCAL");
}
