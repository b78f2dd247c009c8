//! What the framer sees in bytes alone: the end of a line, and a guest-sync by looking back.

/// What stands before the object that `bytes` end with, if that has the name of a guest-sync in it.
/// What stands in strings is not told from brackets, so it is a guess, and costs little: deeper
/// than a guest-sync goes nothing is followed.
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
