//! Local time by a file of tzfile(5): the file and a moment in, the time's distance from UTC and
//! its name out; and which file it is that `TZ` names.
//!
//! A file lists past changes and says by a rule (`posix_tz.rs`) what holds after the last of them.
//! Source: RFC 9636.

use super::fields::{cut, take};
use super::posix_tz::rule;
use crate::writer::Writer;

pub use super::posix_tz::Local;

/// Writes the path of the file that the value of `TZ` names, or that holds without one: nothing
/// where the value is empty, which means UTC. Where there is no such file the value may be a
/// [`rule`].
#[inline(never)]
pub fn path(value: Option<&[u8]>, path: &mut Writer<'_>) {
    let Some(value) = value else { return path.ascii("/etc/localtime") };
    let name = value.strip_prefix(b":").unwrap_or(value);
    if !matches!(name, [] | [b'/', ..]) {
        path.ascii("/usr/share/zoneinfo/");
    }
    path.raw(name);
}

/// Local time at a moment (seconds since 1970) by a whole file of any version; nothing if it is
/// none. Leap seconds, which only the files below `right/` have, are not taken off the moment.
#[inline(never)]
pub fn local(file: &[u8], at_s: i64) -> Option<Local<'_>> {
    let mut rest = file;
    let mut time_bytes = 4;
    loop {
        let header = take(&mut rest, 20);
        if !header.starts_with(b"TZif") {
            return None;
        }
        let mut count = || signed(take(&mut rest, 4)) as u32 as usize;
        let (in_ut, standard, leaps) = (count(), count(), count());
        let (changes, kinds, name_bytes) = (count(), count(), count());
        let left_out = leaps.saturating_mul(time_bytes + 4).saturating_add(standard + in_ut);
        // Which kind of time it is: before the first change the first one.
        let mut times = take(&mut rest, changes.saturating_mul(time_bytes));
        let mut begun: usize = 0;
        while !times.is_empty() && signed(take(&mut times, time_bytes)) <= at_s {
            begun += 1;
        }
        let kind_of = take(&mut rest, changes);
        let kind = kind_of.get(begun.wrapping_sub(1)).copied().unwrap_or(0);
        // Where the file ends too early, all that follows is empty.
        let mut kinds = take(&mut rest, kinds.saturating_mul(KIND_BYTES));
        take(&mut kinds, usize::from(kind) * KIND_BYTES);
        let offset_s = signed(take(&mut kinds, 4)) as i32;
        let name_at = take(&mut kinds, 2).last().copied().map_or(usize::MAX, usize::from);
        let mut names = take(&mut rest, name_bytes);
        take(&mut names, name_at);
        let name = cut(&mut names, 0);
        take(&mut rest, left_out);
        // Since version 2 all of it comes a second time with longer times, and after it, between
        // two line ends, the rule that holds after the last change.
        if time_bytes == 8 || header.get(4) == Some(&0) {
            take(&mut rest, 1);
            let by_rule = if begun == changes { rule(cut(&mut rest, b'\n'), at_s) } else { None };
            return by_rule.or_else(|| (!name.is_empty()).then_some(Local { offset_s, name }));
        }
        time_bytes = 8;
    }
}

/// Length of a kind of time: its distance from UTC, whether it is daylight saving time, where its
/// name begins.
const KIND_BYTES: usize = 6;

/// A number in the order of the network, with a sign.
#[inline(never)]
fn signed(bytes: &[u8]) -> i64 {
    let sign = bytes.first().map_or(0, |first| i64::from(*first as i8 >> 7));
    bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}
