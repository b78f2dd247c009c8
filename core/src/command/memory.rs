//! guest-get-memory-blocks, guest-get-memory-block-info: the parts in which memory can be added and
//! taken away.

use super::listing::left_out;
use crate::bytes::{decimal, number, trimmed};
use crate::errno::Errno;
use crate::list::{numbered, whole};
use crate::platform::{Folder, Platform, Texts};
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;
use serde::Serialize;

/// Where the kernel keeps the blocks.
const FOLDER: &str = "/sys/devices/system/memory";
/// One of them, without its number.
const BLOCK: &str = "/sys/devices/system/memory/memory";

/// The size of a block in bytes. Schema: guest-get-memory-block-info (2.3), GuestMemoryBlockInfo.
/// Errors: this guest has no blocks.
pub fn block_info_piece<P: Platform>(
    platform: &mut P,
    _: &mut State<P>,
    _: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let mut text = [0; 24];
    let size = whole(platform, b"/sys/devices/system/memory/block_size_bytes", &mut text)
        .and_then(|text| number(trimmed(text), 16).ok_or(Errno::PROTO));
    let failed = |errno| Failed(text!("failed to get the size of memory blocks"), errno);
    out.ascii("{");
    out.numbers("size", &[Some(size.map_err(failed)?)]);
    out.ascii("}");
    Ok(false)
}

/// Schema: GuestMemoryBlock (2.3).
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct MemoryBlock {
    phys_index: u64,
    online: bool,
    can_offline: bool,
}

/// One block at each call, in the order of their numbers, which come in none: the list's room says,
/// a bit each, which of some thousand there are, from [`Cursor::inner`] on. Schema:
/// guest-get-memory-blocks (2.3). Errors: the blocks cannot be listed; a guest without any has
/// none.
pub fn blocks_piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let room = state.list.room();
    if cursor.part == 0 {
        let base = note(platform, room, 0);
        let base =
            base.map_err(|errno| Failed(text!("failed to list the memory blocks"), errno))?;
        cursor.open("[", out);
        (cursor.part, cursor.inner, cursor.outer) = (1, base.unwrap_or(usize::MAX), 0);
    }
    let block = loop {
        if let Some(bit) = next_bit(room, cursor.outer) {
            cursor.outer = bit + 1;
            break cursor.inner.saturating_add(bit);
        }
        let after = cursor.inner.saturating_add(8 * room.len());
        match note(platform, room, after) {
            Ok(Some(base)) => (cursor.inner, cursor.outer) = (base, 0),
            ended => {
                if let Err(errno) = ended {
                    left_out(platform, errno);
                }
                cursor.close("]", out);
                return Ok(false);
            }
        }
    };
    let (mut state, mut removable) = ([0; 16], [0; 4]);
    let online = attribute(platform, block, "/state", &mut state).map(|text| text == b"online\n");
    let removable = match attribute(platform, block, "/removable", &mut removable) {
        // The kernel can be built without.
        Err(Errno::NOENT) => Ok(&b"0"[..]),
        removable => removable,
    };
    match online.and_then(|online| Ok((online, removable?.first() != Some(&b'0')))) {
        Ok((online, can_offline)) => {
            cursor.element(out);
            let block = MemoryBlock { phys_index: block as u64, online, can_offline };
            // Only a type that no schema has could not be written.
            let _ = block.serialize(out);
        }
        // It was taken away just now.
        Err(Errno::NOENT) => {}
        Err(errno) => left_out(platform, errno),
    }
    Ok(true)
}

/// Sets a bit for each block from the first one on that has the number `from` or a higher one, as
/// far as there is room. Returns the number that the first bit stands for; nothing when there is no
/// such block. Errors: those of reading the folder; a guest may have none.
fn note<P: Texts>(platform: &mut P, room: &mut [u8], from: usize) -> Result<Option<usize>, Errno> {
    let mut first = usize::MAX;
    each_block(platform, &mut |block| {
        if block >= from {
            first = first.min(block);
        }
    })?;
    room.fill(0);
    each_block(platform, &mut |block| {
        let bit = block.wrapping_sub(first);
        if let Some(byte) = room.get_mut(bit / 8) {
            *byte |= 1 << (bit % 8);
        }
    })?;
    Ok((first != usize::MAX).then_some(first))
}

/// Visits the number of each block.
fn each_block<P: Texts>(platform: &mut P, visit: &mut dyn FnMut(usize)) -> Result<(), Errno> {
    let mut folder = match platform.folder(FOLDER.as_bytes()) {
        Err(Errno::NOENT) => return Ok(()),
        folder => folder?,
    };
    while let Some(name) = folder.next_name() {
        if let Some(block) = name.strip_prefix(b"memory").and_then(decimal) {
            visit(block as usize);
        }
    }
    folder.ended()
}

/// The first bit from `at` on that is set.
fn next_bit(room: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = room.get(at / 8)? >> (at % 8);
        if rest != 0 {
            return Some(at + rest.trailing_zeros() as usize);
        }
        at = (at / 8 + 1) * 8;
    }
}

/// Reads what sysfs says of a block.
fn attribute<'t, P: Texts>(
    platform: &mut P,
    block: usize,
    name: &str,
    text: &'t mut [u8],
) -> Result<&'t [u8], Errno> {
    numbered(platform, BLOCK, block as u64, name, text)
}
