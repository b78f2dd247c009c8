//! What the framer does with bytes alone: moving them, finding the end of a line, looking back for a guest-sync.

use crate::json::text::put;

/// Moves the bytes of `buffer` from `start` to `end` to its beginning, block by block.
pub fn shift_down(buffer: &mut [u8], start: usize, end: usize) {
    const BLOCK: usize = 64;
    let (mut read, mut write) = (start, 0);
    while read < end {
        let rest = buffer.get(read..).unwrap_or(&[]);
        let Some(&block) = rest.first_chunk::<BLOCK>() else {
            let byte = rest.first().copied().unwrap_or(0);
            put(buffer, &mut write, u32::from(byte));
            read += 1;
            continue;
        };
        if let Some(place) = buffer.get_mut(write..).and_then(|rest| rest.first_chunk_mut()) {
            *place = block;
        }
        read += BLOCK;
        write += BLOCK;
    }
}

/// What stands before the object that `bytes` end with, if that has the name of a guest-sync in it. What stands in
/// strings is not told from brackets, so it is a guess, and costs little: deeper than a guest-sync goes nothing is
/// followed.
#[inline(never)]
pub fn last_sync(mut bytes: &[u8]) -> Option<&[u8]> {
    let (mut open, mut named) = (0, false);
    while let Some((byte, before)) = bytes.split_last() {
        match byte {
            b'}' if open == 2 => return None,
            b'}' => open += 1,
            b'{' if open == 1 => return named.then_some(before),
            b'{' => open -= 1,
            b'c' => named |= bytes.last_chunk() == Some(b"guest-sync"),
            _ => {}
        }
        bytes = before;
    }
    None
}

/// Control characters end a line; a tab does not.
pub fn ends_line(byte: u8) -> bool {
    byte < 0x20 && byte != b'\t'
}
