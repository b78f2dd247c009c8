//! Rules of POSIX for local time: a table, and what is no rule.

use super::tables::each;
use qga_core::formats::posix_tz::{Local, rule};

#[test]
fn rules() {
    each("posix_tz", |line| {
        let line = std::str::from_utf8(line).expect("text");
        let (text, at) = line.split_once(" @ ").unwrap_or((line, "0"));
        let Local { offset_s, name } = rule(text.as_bytes(), at.parse().expect("a moment"))?;
        Some(format!("{offset_s} {}", name.escape_ascii()))
    });
}

#[test]
fn the_calendar_repeats_after_400_years() {
    const CYCLE_S: i64 = 146_097 * 86_400;
    for text in ["CET-1CEST,M3.5.0,M10.5.0/3", "A0B,J60/-167,366/167", "<-03>3<-02>,M2.5.1,59/24"] {
        for at_s in (0..CYCLE_S).step_by(1_000_003) {
            let found = rule(text.as_bytes(), at_s);
            for cycles in [-20, -1, 1, 500] {
                assert_eq!(rule(text.as_bytes(), at_s + cycles * CYCLE_S), found, "{text} {at_s}");
            }
        }
        for at_s in [i64::MIN, i64::MAX] {
            let _ = rule(text.as_bytes(), at_s);
        }
    }
}
