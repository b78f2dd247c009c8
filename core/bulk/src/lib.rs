//! The loops that touch every byte of a large request or reply: finding the end of plain text, and base64 in
//! blocks of constant size (RFC 4648 section 4).
//!
//! A crate of its own so that these few loops can be compiled for speed and everything else for size
//! (profile.release.package in the workspace). They are written for the vectoriser: no table, no
//! early exit inside a block, no bound that it could not see. Nothing here can panic.

#![no_std]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

/// Characters in a block of base64; a multiple of eight.
pub const TEXT_BLOCK: usize = 1024;
/// The bytes that they stand for.
pub const BYTES_BLOCK: usize = TEXT_BLOCK / 4 * 3;

/// How many bytes at the start of `bytes` are plain: printable ASCII, neither `quote` nor a backslash.
pub fn plain_prefix(bytes: &[u8], quote: u8) -> usize {
    let special = |byte: u8| (byte == quote) | (byte == b'\\') | ((byte as i8) < 0x20);
    let mut len = 0;
    for block in bytes.as_chunks::<32>().0 {
        if block.iter().fold(0u8, |any, &byte| any | u8::from(special(byte))) != 0 {
            break;
        }
        len += 32;
    }
    let rest = bytes.get(len..).unwrap_or(&[]);
    len + rest.iter().take_while(|&&byte| !special(byte)).count()
}

/// Whether a newline (LF, CR) or a `=` stands among the characters.
pub fn is_interrupted(text: &[u8; TEXT_BLOCK]) -> bool {
    let interrupts = |byte: u8| (byte == b'\n') | (byte == b'\r') | (byte == b'=');
    text.iter().fold(0u8, |any, &byte| any | u8::from(interrupts(byte))) != 0
}

/// Encodes a block.
pub fn encode_block(bytes: &[u8; BYTES_BLOCK], text: &mut [u8; TEXT_BLOCK]) {
    // Six bytes become eight digits of six bits, by halving three times ...
    for (six, eight) in bytes.as_chunks::<6>().0.iter().zip(text.as_chunks_mut::<8>().0) {
        let [a, b, c, d, e, f] = *six;
        let bits = u64::from_be_bytes([0, a, b, c, 0, d, e, f]);
        let halves = (bits << 4 & 0x0FFF_0000_0FFF_0000) | (bits & 0x0000_0FFF_0000_0FFF);
        let digits = (halves << 2 & 0x3F00_3F00_3F00_3F00) | (halves & 0x003F_003F_003F_003F);
        *eight = digits.to_be_bytes();
    }
    // ... and each digit its letter: `A` is digit 0 plus 65, and where the alphabet goes on in another range
    // of ASCII the distance changes by 6 (`a`), -75 (`0`), -15 (`+`) and 3 (`/`).
    for digit in text {
        let from = |first: u8, change: u8| if *digit >= first { change } else { 0 };
        let up = from(26, 6).wrapping_add(from(63, 3));
        let down = from(52, 75).wrapping_add(from(62, 15));
        *digit = digit.wrapping_add(65).wrapping_add(up).wrapping_sub(down);
    }
}

/// Decodes a block, in which it leaves the digits; nothing if a character is not of the alphabet.
pub fn decode_block(text: &mut [u8; TEXT_BLOCK]) -> Option<[u8; BYTES_BLOCK]> {
    let mut foreign = 0u8;
    for letter in text.iter_mut() {
        let byte = *letter;
        let range = |first: u8, count: u8, digit: u8| {
            let offset = byte.wrapping_sub(first);
            let inside = if offset < count { 0xFF } else { 0 };
            (inside, inside & offset.wrapping_add(digit))
        };
        let (upper, a) = range(b'A', 26, 0);
        let (lower, b) = range(b'a', 26, 26);
        let (number, c) = range(b'0', 10, 52);
        let (plus, d) = range(b'+', 1, 62);
        let (slash, e) = range(b'/', 1, 63);
        foreign |= !(upper | lower | number | plus | slash);
        *letter = a | b | c | d | e;
    }
    if foreign != 0 {
        return None;
    }
    let mut bytes = [0; BYTES_BLOCK];
    for (eight, six) in text.as_chunks::<8>().0.iter().zip(bytes.as_chunks_mut::<6>().0) {
        let digits = u64::from_be_bytes(*eight);
        let halves = (digits >> 2 & 0x0FC0_0FC0_0FC0_0FC0) | (digits & 0x003F_003F_003F_003F);
        let bits = (halves >> 4 & 0x00FF_F000_00FF_F000) | (halves & 0x0000_0FFF_0000_0FFF);
        let [_, a, b, c, _, d, e, f] = bits.to_be_bytes();
        *six = [a, b, c, d, e, f];
    }
    Some(bytes)
}
