//! The characters of JSON strings: UTF-8 in, escapes decoded in place, QEMU's ASCII-only escapes
//! out.
//!
//! Strings are *modified* UTF-8, as in the reference: U+0000 is held as C0 80, so that a NUL can
//! never cut a path short. Everything else follows RFC 3629, and Unicode's 66 noncharacters are
//! refused.

pub use crate::bulk::plain_prefix;
use crate::bytes::put;

/// One character at the start of `bytes`, if it is valid, and how many bytes it takes (at least one
/// unless `bytes` is empty). A character that is none takes no room of its own, so that both travel
/// in registers.
pub fn utf8(bytes: &[u8]) -> (Option<char>, usize) {
    let Some((&first, rest)) = bytes.split_first() else { return (None, 0) };
    let (extra, bits, least) = match first {
        0x00..=0x7F => return (Some(char::from(first)), 1),
        0xC0..=0xDF => (1, first & 0x1F, 0x80),
        0xE0..=0xEF => (2, first & 0x0F, 0x800),
        0xF0..=0xF7 => (3, first & 0x07, 0x1_0000),
        _ => return (None, 1),
    };
    let mut code = u32::from(bits);
    let mut len = 1;
    for &byte in rest.iter().take(extra) {
        if byte & 0xC0 != 0x80 {
            return (None, len);
        }
        code = (code << 6) + u32::from(byte & 0x3F);
        len += 1;
    }
    let whole = len == extra + 1;
    let nul = code == 0 && extra == 1;
    (if whole && (code >= least || nul) { character(code) } else { None }, len)
}

/// The character of a number, if it may stand in a string: not a surrogate, not a noncharacter,
/// within Unicode.
#[inline(never)]
pub fn character(code: u32) -> Option<char> {
    let noncharacter = (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE;
    if noncharacter { None } else { char::from_u32(code) }
}

/// The character of the escape at the start of `bytes` (which starts with a backslash), and its
/// length. Two `\u` that form a surrogate pair are one escape. Without a character the length is 0
/// for a letter that JSON does not escape; else, for `\u` without four hexadecimal digits or with a
/// number that is no character, that of the text to show, backslash included.
pub fn escape(bytes: &[u8]) -> (Option<char>, usize) {
    let simple = match bytes.get(1) {
        Some(b'b') => '\x08',
        Some(b'f') => '\x0C',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(&byte @ (b'"' | b'\'' | b'\\' | b'/')) => char::from(byte),
        Some(b'u') => return unicode_escape(bytes),
        _ => return (None, 0),
    };
    (Some(simple), 2)
}

#[inline(never)]
fn unicode_escape(bytes: &[u8]) -> (Option<char>, usize) {
    let Some(first) = hex4(bytes.get(2..)) else { return (None, 6) };
    if (0xD800..=0xDBFF).contains(&first) {
        let second = match bytes.get(6..8) {
            Some(b"\\u") => hex4(bytes.get(8..)),
            _ => None,
        };
        if let Some(low @ 0xDC00..=0xDFFF) = second {
            return (character(0x1_0000 + ((first & 0x3FF) << 10) + (low & 0x3FF)), 12);
        }
    }
    (character(first), 6)
}

/// One character of a string as written between its quotes, and its length; what is invalid comes
/// as U+FFFD.
pub fn written(text: &[u8]) -> (u32, usize) {
    let (character, len) = match text.first() {
        Some(b'\\') => match escape(text) {
            (None, _) => (None, 1),
            found => found,
        },
        _ => utf8(text),
    };
    (shown(character), len)
}

/// The number of a character, of U+FFFD for what is none.
pub fn shown(character: Option<char>) -> u32 {
    character.unwrap_or(char::REPLACEMENT_CHARACTER).into()
}

fn hex4(bytes: Option<&[u8]>) -> Option<u32> {
    let digits = bytes?.get(..4)?;
    let mut code = 0;
    for &digit in digits {
        code = (code << 4) + char::from(digit).to_digit(16)?;
    }
    Some(code)
}

/// Where the first backslash of a checked string is.
fn first_escape(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += plain_prefix(text.get(at..)?, b'\\');
        if *text.get(at)? == b'\\' {
            return Some(at);
        }
        at += 1;
    }
}

/// Decodes the escapes of a checked string (its text without the quotes) in place and returns the
/// decoded part, which is never longer.
pub fn decode_in_place(text: &mut [u8]) -> &mut [u8] {
    let Some(mut write) = first_escape(text) else { return text };
    let mut read = write;
    while let Some(&byte) = text.get(read) {
        if byte == b'\\' {
            let (code, used) = written(text.get(read..).unwrap_or(&[]));
            write = encode(code, text, write);
            read += used;
        } else {
            put(text, &mut write, u32::from(byte));
            read += 1;
        }
    }
    text.get_mut(..write).unwrap_or(&mut [])
}

/// Writes `code` as modified UTF-8 to `text` at `write`; returns where the next goes.
pub fn encode(code: u32, text: &mut [u8], mut write: usize) -> usize {
    // How many bytes of six bits follow the first, and what marks the first.
    let (mut more, mark) = match code {
        0x01..=0x7F => (0, 0),
        0 | 0x80..=0x7FF => (1, 0xC0),
        0x800..=0xFFFF => (2, 0xE0),
        _ => (3, 0xF0),
    };
    put(text, &mut write, mark + (code >> (6 * more)));
    while more > 0 {
        more -= 1;
        put(text, &mut write, 0x80 + (code >> (6 * more) & 0x3F));
    }
    write
}

/// Whether `key`, as written between its quotes, is `name`, which is plain ASCII.
pub fn is_named(key: &[u8], name: &str) -> bool {
    // An escape is longer than its character. The comparison ends with the first that differs, so a
    // long key takes no longer.
    let escaped = || key.len() > name.len() && Characters(key).eq(name.bytes().map(u32::from));
    key == name.as_bytes() || escaped()
}

/// The characters of a string as written between its quotes, escapes resolved; what is invalid
/// comes as U+FFFD. For comparing keys and for echoing.
#[derive(Clone)]
pub struct Characters<'a>(pub &'a [u8]);

impl Iterator for Characters<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (&first, rest) = self.0.split_first()?;
        if first == b'\\' || !first.is_ascii() {
            return Some(self.special());
        }
        self.0 = rest;
        Some(first.into())
    }
}

impl Characters<'_> {
    /// The next character, which is an escape or not ASCII: apart, because few are, and each key
    /// takes many steps.
    #[cold]
    #[inline(never)]
    fn special(&mut self) -> u32 {
        let (code, len) = written(self.0);
        self.0 = self.0.get(len..).unwrap_or(&[]);
        code
    }
}
