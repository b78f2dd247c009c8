//! Base64 of RFC 4648 section 4, in fixed blocks: decoded where it stands, encoded from a buffer's
//! tail into its head, so that neither direction needs memory of its own.
//!
//! The arithmetic is in [`crate::bulk`], always on whole blocks; a shorter end is filled up with
//! zeros and cut again. Decoding takes what real clients send: newlines anywhere (Proxmox breaks
//! every 76 characters), padding or none; anything else is refused.

use crate::bulk::{BYTES_BLOCK, TEXT_BLOCK, decode_block, encode_block};
use crate::bytes::copy;
use crate::json::text::decode_in_place as unescape;
use core::ops::Range;

/// What fills a text block up: the digit zero.
const ZERO: u8 = b'A';

/// Decodes `text` in place and returns the decoded part, or nothing if it is not base64. `text` is
/// the inside of a JSON string, escapes and all.
#[inline(never)]
pub fn decode_in_place(text: &mut [u8]) -> Option<&mut [u8]> {
    let mut bytes = [0; BYTES_BLOCK];
    let (mut read, mut write) = (0, 0);
    while let Some(next) = text.get(read..)?.first_chunk::<TEXT_BLOCK>() {
        if decode_block(next, &mut bytes).is_none() {
            break;
        }
        *text.get_mut(write..)?.first_chunk_mut()? = bytes;
        read += TEXT_BLOCK;
        write += BYTES_BLOCK;
    }
    // What is left is short, or has newlines, padding or escapes in it.
    let len = unescape(text.get_mut(read..)?).len();
    let text = text.get_mut(..read + len)?;
    loop {
        let mut block = [ZERO; TEXT_BLOCK];
        let filled = gather(text, &mut read, &mut block);
        decode_block(&block, &mut bytes)?;
        // Bits after the last whole byte are ignored, as every decoder that clients know does.
        let (whole, rest) = (filled / 4 * 3, filled % 4);
        let last = filled < TEXT_BLOCK;
        if rest == 1 || last && !padding_fits(text.get(read..)?, filled) {
            return None;
        }
        let len = whole + rest.saturating_sub(1);
        copy(text.get_mut(write..)?, bytes.get(..len)?);
        write += len;
        if last {
            return text.get_mut(..write);
        }
    }
}

/// Whether byte ends a run of digits: a newline is skipped, `=` ends the data.
fn interrupts(byte: u8) -> bool {
    byte == b'\n' || byte == b'\r' || byte == b'='
}

/// Fills `block` from `text` up to a `=`, newlines left out; says how many characters it holds.
fn gather(text: &[u8], read: &mut usize, block: &mut [u8; TEXT_BLOCK]) -> usize {
    let mut filled = 0;
    let mut places = block.iter_mut();
    for &byte in text.get(*read..).unwrap_or(&[]) {
        if byte == b'=' {
            break;
        }
        if !interrupts(byte) {
            let Some(place) = places.next() else { break };
            *place = byte;
            filled += 1;
        }
        *read += 1;
    }
    filled
}

/// Whether `end`, after the last `digits`, is padding that fits, or nothing; newlines do not count.
fn padding_fits(end: &[u8], digits: usize) -> bool {
    let signs = end.iter().filter(|&&byte| byte == b'=').count();
    let fits = signs == 0 || signs <= 2 && (digits + signs).is_multiple_of(4);
    fits && end.iter().all(|&byte| interrupts(byte))
}

/// How many bytes can be encoded inside `room` bytes of buffer by [`encode_in_place`].
pub const fn raw_room(room: usize) -> usize {
    room / 4 * 3
}

/// Encodes the bytes of `buffer` at `raw` into its beginning and returns the length of the text,
/// padded to a multiple of four. `raw` begins at `buffer.len() - raw_room(buffer.len())` or after,
/// so that the text never overtakes the bytes it is made of. What stands in the buffer after the
/// text means nothing then.
pub fn encode_in_place(buffer: &mut [u8], raw: Range<usize>) -> usize {
    let (mut read, mut write) = (raw.start, 0);
    let mut text = [0; TEXT_BLOCK];
    while read < raw.end {
        let rest = buffer.get(read..raw.end).unwrap_or(&[]);
        let whole = rest.first_chunk::<BYTES_BLOCK>();
        let used = rest.len().min(BYTES_BLOCK);
        match whole {
            Some(bytes) => encode_block(bytes, &mut text),
            None => {
                let mut bytes = [0; BYTES_BLOCK];
                copy(&mut bytes, rest);
                encode_block(&bytes, &mut text);
            }
        }
        let len = used.div_ceil(3) * 4;
        let missing = len / 4 * 3 - used;
        for place in text.iter_mut().take(len).rev().take(missing) {
            *place = b'=';
        }
        let place = buffer.get_mut(write..).unwrap_or(&mut []);
        match place.first_chunk_mut::<TEXT_BLOCK>() {
            // What stands after the text at the end means nothing.
            Some(place) => *place = text,
            None => {
                copy(place, text.get(..len).unwrap_or(&text));
            }
        }
        read += used;
        write += len;
    }
    write
}
