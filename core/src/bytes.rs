//! Bytes in fixed buffers: put one by one, moved down, read as a number.

/// Writes a byte at `write`, where there is room for it, and moves that on.
#[doc(hidden)]
pub fn put(text: &mut [u8], write: &mut usize, byte: u32) {
    if let Some(place) = text.get_mut(*write) {
        *place = byte as u8;
    }
    *write += 1;
}

/// Moves the bytes of `buffer` from `start` to `end` to its beginning, block by block.
#[doc(hidden)]
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

/// Puts as much of `from` as fits to the beginning of `into`, and says how much that is.
#[inline(never)]
pub fn copy(into: &mut [u8], from: &[u8]) -> usize {
    let mut len = 0;
    for (place, &byte) in into.iter_mut().zip(from) {
        *place = byte;
        len += 1;
    }
    len
}

/// A text up to the NUL that fills it up, if there is one.
#[inline(never)]
pub fn until_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|&byte| byte == 0);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// A number of 32 bits in the machine's own order, from byte `at` on.
pub fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A text without the blanks around it.
#[inline(never)]
pub fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

/// A number of decimal digits and nothing else.
pub fn decimal(text: &[u8]) -> Option<u64> {
    number(text, 10)
}

/// A number of digits of this base and nothing else.
#[inline(never)]
pub fn number(text: &[u8], base: u32) -> Option<u64> {
    let mut number = (!text.is_empty()).then_some(0u64)?;
    for byte in text {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'z' => byte - b'a' + 10,
            _ => byte.checked_sub(b'A')?.saturating_add(10),
        };
        if u32::from(digit) >= base {
            return None;
        }
        number = number.checked_mul(base.into())?.checked_add(digit.into())?;
    }
    Some(number)
}

/// A number below 16 as a digit.
pub fn hex(digit: u8) -> u8 {
    digit + if digit < 10 { b'0' } else { b'a' - 10 }
}
