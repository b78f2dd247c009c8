//! The loops that touch every byte of a large request or reply: finding the end of plain text, and
//! base64 in blocks of constant size (RFC 4648 section 4).
//!
//! Eight bytes at a time in an ordinary register: optimising for size turns the vectoriser off in
//! the whole program, and a table costs room and cache. Every step below works on all eight bytes
//! at once and never carries from one into the next. Nothing here can panic.

use crate::limits::STACK_WIPE_BYTES;

/// Characters in a block of base64; a multiple of eight.
pub const TEXT_BLOCK: usize = 1024;
/// The bytes that they stand for.
pub const BYTES_BLOCK: usize = TEXT_BLOCK / 4 * 3;

/// The highest bit of each byte.
const HIGH: u64 = each(0x80);

/// The same byte eight times.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// The highest bit of each byte that is zero; bits above the first such byte may be wrong.
fn zeros(bytes: u64) -> u64 {
    bytes.wrapping_sub(each(1)) & !bytes & HIGH
}

/// The highest bit of each byte that is at least `least`; all bytes and `least` are below 128.
fn at_least(bytes: u64, least: u8) -> u64 {
    bytes.wrapping_add(each(0x80 - least)) & HIGH
}

/// `times` in each byte whose highest bit is set in `marks`.
fn spread(marks: u64, times: u64) -> u64 {
    (marks >> 7).wrapping_mul(times)
}

/// How many bytes at the start of `bytes` are plain: printable ASCII, neither `quote` nor a
/// backslash.
pub fn plain_prefix(bytes: &[u8], quote: u8) -> usize {
    // In a text that is not ASCII one special byte follows the other.
    if bytes.first().is_none_or(|&byte| byte >= 0x80) {
        return 0;
    }
    let (quotes, backslashes) = (each(quote), each(b'\\'));
    // Bytes below a space borrow into their highest bit; those above ASCII have it anyway.
    let special = |eight: u64| {
        let controls = eight.wrapping_sub(each(b' ')) | eight;
        controls & HIGH | zeros(eight ^ quotes) | zeros(eight ^ backslashes)
    };
    let mut len = 0;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let found = special(u64::from_le_bytes(*word));
        if found != 0 {
            return len + found.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    let special = |byte: u8| byte == quote || byte == b'\\' || !(b' '..0x80).contains(&byte);
    len + rest.iter().take_while(|&&byte| !special(byte)).count()
}

/// Makes all bytes zero by writing to those that are not: memory that was never written to stays
/// untouched.
pub fn wipe(bytes: &mut [u8]) {
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        if *word != [0; 8] {
            *word = [0; 8];
        }
    }
    for byte in rest {
        *byte = 0;
    }
    // Nobody reads them any more, so the compiler might leave the writing out.
    core::hint::black_box(bytes);
}

/// Makes the stack zero below the caller, where what it called before has left its variables.
#[inline(never)]
pub fn wipe_stack() {
    core::hint::black_box(&mut [0u8; STACK_WIPE_BYTES]);
}

/// Encodes a block.
pub fn encode_block(bytes: &[u8; BYTES_BLOCK], text: &mut [u8; TEXT_BLOCK]) {
    for (six, eight) in bytes.as_chunks::<6>().0.iter().zip(text.as_chunks_mut::<8>().0) {
        let [a, b, c, d, e, f] = *six;
        // Six bytes become eight digits of six bits, by halving three times ...
        let bits = u64::from_be_bytes([0, a, b, c, 0, d, e, f]);
        let halves = (bits << 4 & 0x0FFF_0000_0FFF_0000) + (bits & 0x0000_0FFF_0000_0FFF);
        let digits = (halves << 2 & 0x3F00_3F00_3F00_3F00) + (halves & 0x003F_003F_003F_003F);
        // ... and each digit its letter: `A` is digit 0 plus 65, and where the alphabet goes on in
        // another range of ASCII the distance changes by 6 (`a`), -75 (`0`), -15 (`+`) and 3 (`/`).
        let up = spread(at_least(digits, 26), 6) + spread(at_least(digits, 63), 3);
        let down = spread(at_least(digits, 52), 75) + spread(at_least(digits, 62), 15);
        *eight = digits.wrapping_add(each(65)).wrapping_add(up).wrapping_sub(down).to_be_bytes();
    }
}

/// Decodes a block; nothing if a character is not of the alphabet.
pub fn decode_block(text: &[u8; TEXT_BLOCK], bytes: &mut [u8; BYTES_BLOCK]) -> Option<()> {
    let mut foreign = 0;
    for (eight, six) in text.as_chunks::<8>().0.iter().zip(bytes.as_chunks_mut::<6>().0) {
        let letters = u64::from_be_bytes(*eight);
        let ascii = letters & !HIGH;
        let from = |first: u8| at_least(ascii, first);
        let (slash, zero, upper, lower) = (from(b'/'), from(b'0'), from(b'A'), from(b'a'));
        let native = (from(b'+') & !from(b'+' + 1))
            + (slash & !from(b'9' + 1))
            + (upper & !from(b'Z' + 1))
            + (lower & !from(b'z' + 1));
        foreign |= letters & HIGH | !native & HIGH;
        // The distances of `encode_block`, from the other side: `+` is 62 minus 43.
        let down = spread(slash, 3) + spread(zero, 12) + spread(upper, 69) + spread(lower, 6);
        let digits = ascii.wrapping_add(each(19)).wrapping_sub(down);
        let halves = (digits >> 2 & 0x0FC0_0FC0_0FC0_0FC0) + (digits & 0x003F_003F_003F_003F);
        let bits = (halves >> 4 & 0x00FF_F000_00FF_F000) + (halves & 0x0000_0FFF_0000_0FFF);
        let [_, a, b, c, _, d, e, f] = bits.to_be_bytes();
        *six = [a, b, c, d, e, f];
    }
    (foreign == 0).then_some(())
}
