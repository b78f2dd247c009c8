//! The key file of GLib, in which the reference's configuration is: a line in, what it is out, and
//! the escapes of a value undone in place.

use crate::bytes::put;

/// A line.
#[derive(PartialEq, Eq, Debug)]
pub enum Line<'l> {
    /// A comment, or nothing.
    Empty,
    /// The beginning of a group: its name.
    Group(&'l [u8]),
    /// A key of the present group, and the line from its `=` on, for [`value`].
    Pair(&'l [u8], &'l mut [u8]),
}

/// Takes a line apart; nothing where it is none of these.
#[inline(never)]
pub fn line(line: &mut [u8]) -> Option<Line<'_>> {
    let start = line.len() - line.trim_ascii_start().len();
    let line = line.get_mut(start..)?;
    if let [] | [b'#', ..] = line {
        return Some(Line::Empty);
    }
    if line.starts_with(b"[") {
        let [b'[', name @ .., b']'] = line.trim_ascii_end() else { return None };
        let is_odd = brackets(name) > 0 || name.iter().any(u8::is_ascii_control);
        return (!name.is_empty() && !is_odd).then_some(Line::Group(name));
    }
    let end = line.iter().position(|&byte| byte == b'=')?;
    let (key, rest) = line.split_at_mut_checked(end)?;
    let key = key.trim_ascii_end();
    // A language may stand behind it in brackets, and nothing else has any.
    let is_key = match brackets(key) {
        0 => !key.is_empty(),
        2 => key.ends_with(b"]") && key.contains(&b'['),
        _ => false,
    };
    is_key.then_some(Line::Pair(key, rest))
}

fn brackets(text: &[u8]) -> usize {
    text.iter().filter(|byte| matches!(byte, b'[' | b']')).count()
}

/// The value in what follows a key, from its `=` on; with a NUL behind it, for which there is room
/// where the `=` was. Nothing where something is escaped that nothing stands for. Blanks at its end
/// belong to it.
#[inline(never)]
pub fn value(text: &mut [u8]) -> Option<&[u8]> {
    let end = text.len() - usize::from(matches!(text, [.., b'\r']));
    let mut read =
        1 + text.get(1..end)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut write = 0;
    while let Some(&byte) = text.get(read).filter(|_| read < end) {
        let mut byte = byte;
        if byte == b'\\' {
            read += 1;
            byte = match text.get(read).filter(|_| read < end)? {
                b's' => b' ',
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'\\' => b'\\',
                _ => return None,
            };
        }
        put(text, &mut write, byte.into());
        read += 1;
    }
    put(text, &mut write, 0);
    text.get(..write)
}
