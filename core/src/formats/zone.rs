//! Local time by a file of tzfile(5): the file and a moment in, the time's distance from UTC and its name out; and which
//! file it is that `TZ` names.
//!
//! A file lists past changes and says by a rule (`posix_tz.rs`) what holds after the last of them. Source: RFC 9636.

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
    let mut block = Block::take(&mut rest, 4)?;
    let mut footer = &[][..];
    // Since version 2 all of it comes a second time with longer times, and the rule after it.
    if file.get(4) != Some(&0) {
        block = Block::take(&mut rest, 8)?;
        footer = rest.split(|&byte| byte == b'\n').nth(1).unwrap_or(&[]);
    }
    let (mut times, mut begun) = (block.times, 0);
    while let Some(time) = take(&mut times, block.time_bytes)
        && signed(time) <= at_s
    {
        begun += 1;
    }
    // After the last change the rule holds, if there is one; before the first one the first kind.
    if begun == block.kind_of.len()
        && let Some(local) = rule(footer, at_s)
    {
        return Some(local);
    }
    let kind = match usize::checked_sub(begun, 1) {
        Some(last) => usize::from(*block.kind_of.get(last)?),
        None => 0,
    };
    let [offset @ .., _, name] = block.kinds.as_chunks::<KIND_BYTES>().0.get(kind)?;
    let name = block.names.get(usize::from(*name)..)?.split(|&byte| byte == 0).next()?;
    Some(Local { offset_s: signed(offset) as i32, name })
}

/// Length of a kind of time: its distance from UTC, whether it is daylight saving time, where its name begins.
const KIND_BYTES: usize = 6;

/// What a file says of all changes.
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
    /// Takes a block with times of so many bytes off a file.
    #[inline(never)]
    fn take(file: &mut &'f [u8], time_bytes: usize) -> Option<Self> {
        if take(file, 20)?.first_chunk() != Some(b"TZif") {
            return None;
        }
        let mut count = || Some(signed(take(file, 4)?) as u32 as usize);
        let (in_ut, standard, leaps) = (count()?, count()?, count()?);
        let (changes, kinds, name_bytes) = (count()?, count()?, count()?);
        let block = Block {
            time_bytes,
            times: take(file, changes.saturating_mul(time_bytes))?,
            kind_of: take(file, changes)?,
            kinds: take(file, kinds.saturating_mul(KIND_BYTES))?,
            names: take(file, name_bytes)?,
        };
        take(file, leaps.saturating_mul(time_bytes + 4))?;
        take(file, standard)?;
        take(file, in_ut)?;
        Some(block)
    }
}

/// Takes so many bytes off the front.
#[inline(never)]
fn take<'f>(rest: &mut &'f [u8], len: usize) -> Option<&'f [u8]> {
    let (taken, left) = rest.split_at_checked(len)?;
    *rest = left;
    Some(taken)
}

/// A number in the order of the network, with a sign.
#[inline(never)]
fn signed(bytes: &[u8]) -> i64 {
    let sign = bytes.first().map_or(0, |first| i64::from(*first as i8 >> 7));
    bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte))
}
