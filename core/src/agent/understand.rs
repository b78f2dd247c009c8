//! What a frame asks for: its text in; its `id`, the row of its command and the place of its
//! arguments out, or what is wrong with it.

use crate::command::{Row, Table};
use crate::error::{Error, Raised, Slot};
use crate::json::check::{Members, check};
use crate::platform::Platform;
use crate::request::{Envelope, Parts, envelope};
use crate::rules::Rules;
use core::ops::Range;

/// The `id` of a request, the row of its command and the place of its arguments.
pub type Understood<P> = (Range<usize>, Result<(&'static Row<P>, Range<usize>), Raised>);

/// What a frame asks for, and whether that may be used. What is wrong is put into `slot`.
#[inline(never)]
pub fn understand<'f, P: Platform>(
    platform: &P,
    frame: &'f [u8],
    rules: &Rules,
    frozen: bool,
    slot: &Slot<'f>,
) -> Understood<P> {
    let mut members = Members::new();
    if let Err(raised) = check(frame, &mut members, slot) {
        return (0..0, Err(raised));
    }
    let Envelope { id, parts } = envelope(frame, &members, slot);
    let found = parts.and_then(|Parts { execute, arguments }| {
        let name = frame.get(execute).unwrap_or(&[]);
        match Table::find(platform, name) {
            None => Err(slot.raise(&Error::CommandNotFound(name))),
            Some((at, row)) => match rules.refuse(&row.command, at, frozen) {
                None => Ok((row, arguments)),
                Some(why) => Err(slot.raise(&Error::CommandDisabled(row.command.name, why))),
            },
        }
    });
    (id, found)
}
