//! Assignments as a shell reads them, os-release(5): one line in, its key and value out, quotes and
//! escapes undone in place.

use crate::bytes::put;

/// The keys that guest-get-osinfo shows, in the order of its members. A member's name is the key in
/// small letters, with dashes.
pub const KEYS: [&[u8]; 7] =
    [b"ID", b"NAME", b"PRETTY_NAME", b"VERSION", b"VERSION_ID", b"VARIANT", b"VARIANT_ID"];

/// The key and the value of a line; nothing for a comment, a blank line, and what is no assignment.
/// The value may be empty, and need not be UTF-8. Of a key that comes again the last value counts.
///
/// What follows an unquoted value behind a blank or `;` is left out. In double quotes a backslash
/// stands before what os-release(5) has escaped, and for itself elsewhere; in single quotes it is
/// nothing but itself.
#[inline(never)]
pub fn assignment(line: &mut [u8]) -> Option<(&[u8], &[u8])> {
    let start = line.len() - line.trim_ascii_start().len();
    let line = line.get_mut(start..)?;
    let end = line.iter().position(|&byte| byte == b'=')?;
    let (key, value) = line.split_at_mut_checked(end)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if key.first()?.is_ascii_digit() || !key.iter().all(is_name) {
        return None;
    }
    // The value goes to where the `=` stands.
    let (mut read, mut write, mut quote) = (1, 0, NONE);
    while let Some(&first) = value.get(read) {
        read += 1;
        let mut byte = first;
        match byte {
            b'"' | b'\'' if quote == NONE => {
                quote = byte;
                continue;
            }
            b';' | b' ' | b'\t' | b'\r' if quote == NONE => break,
            b'\\' if quote != b'\'' => {
                // Without quotes the end of the line cannot be escaped: the value would go on in
                // the next one.
                let next = value.get(read).copied();
                if quote == NONE || matches!(next, Some(b'"' | b'$' | b'\\' | b'`' | b'\'')) {
                    byte = next?;
                    read += 1;
                }
            }
            NONE => {}
            _ if byte == quote => {
                quote = NONE;
                continue;
            }
            _ => {}
        }
        put(value, &mut write, u32::from(byte));
    }
    if quote != NONE {
        return None;
    }
    Some((&*key, value.get(..write)?))
}

/// No quote is open.
const NONE: u8 = 0;
