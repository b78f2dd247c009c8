//! Local time by a file of tzfile(5): the file and a moment in, the time's distance from UTC and its name out; and which
//! file it is that `TZ` names.
//!
//! A file lists past changes and says by a rule (`posix_tz.rs`) what holds after the last of them. Source: RFC 9636.

use super::fields::cut;
use super::posix_tz::rule;
use crate::writer::Writer;

pub use super::posix_tz::Local;

/// Writes the path of the file that the value of `TZ` names, or that holds without one: nothing where the value is
/// empty, which means UTC. Where there is no such file the value may be a [`rule`].
#[inline(never)]
pub fn path(value: Option<&[u8]>, path: &mut Writer<'_>) {
    let Some(value) = value else { return path.ascii("/etc/localtime") };
    let name = value.strip_prefix(b":").unwrap_or(value);
    if !matches!(name, [] | [b'/', ..]) {
        path.ascii("/usr/share/zoneinfo/");
    }
    path.raw(name);
}

/// Local time at a moment (seconds since 1970) by a whole file of any version; nothing if it is none. Leap seconds,
/// which only the files below `right/` have, are not taken off the moment.
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
        let block = Block {
            time_bytes,
            times: take(&mut rest, changes.saturating_mul(time_bytes)),
            kind_of: take(&mut rest, changes),
            kinds: take(&mut rest, kinds.saturating_mul(KIND_BYTES)),
            names: take(&mut rest, name_bytes),
        };
        take(&mut rest, leaps.saturating_mul(time_bytes + 4));
        take(&mut rest, standard);
        take(&mut rest, in_ut);
        // Since version 2 all of it comes a second time with longer times, and the rule after it.
        if time_bytes == 8 || header.get(4) == Some(&0) {
            return block.local(rest, at_s);
        }
        time_bytes = 8;
    }
}

/// Length of a kind of time: its distance from UTC, whether it is daylight saving time, where its name begins.
const KIND_BYTES: usize = 6;

/// What a file says of all changes. Where it ends too early, that and all that follows is empty.
struct Block<'f> {
    time_bytes: usize,
    /// When another kind of time began, in order.
    times: &'f [u8],
    /// Which it is, one byte each.
    kind_of: &'f [u8],
    /// The kinds of time, [`KIND_BYTES`] each.
    kinds: &'f [u8],
    /// Their names, each ended by a NUL.
    names: &'f [u8],
}

impl<'f> Block<'f> {
    /// Local time at a moment; `footer` is the rule between two line ends.
    fn local(mut self, footer: &'f [u8], at_s: i64) -> Option<Local<'f>> {
        let mut begun: usize = 0;
        while !self.times.is_empty() && signed(take(&mut self.times, self.time_bytes)) <= at_s {
            begun += 1;
        }
        // After the last change the rule holds, if there is one.
        if begun == self.kind_of.len()
            && let Some(footer) = cut(footer, b'\n').1
            && let Some(local) = rule(cut(footer, b'\n').0, at_s)
        {
            return Some(local);
        }
        // Before the first change the first kind does.
        let kind = self.kind_of.get(begun.wrapping_sub(1)).copied().unwrap_or(0);
        take(&mut self.kinds, usize::from(kind) * KIND_BYTES);
        let offset_s = signed(take(&mut self.kinds, 4)) as i32;
        let name_at = take(&mut self.kinds, 2).last()?;
        take(&mut self.names, usize::from(*name_at));
        let (name, _) = cut(self.names, 0);
        (!name.is_empty()).then_some(Local { offset_s, name })
    }
}

/// Takes so many bytes off the front; all and none of them if there are fewer.
#[inline(never)]
fn take<'f>(rest: &mut &'f [u8], len: usize) -> &'f [u8] {
    let (taken, left) = rest.split_at_checked(len).unwrap_or_default();
    *rest = left;
    taken
}

/// A number in the order of the network, with a sign.
#[inline(never)]
fn signed(bytes: &[u8]) -> i64 {
    let sign = bytes.first().map_or(0, |first| i64::from(*first as i8 >> 7));
    bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}
