//! Patterns for names, `veth*;br-?`: patterns and a name in, whether one of them is the name's out.
//! In them `*` stands for any text, `?` for any byte, and everything else for itself.

use crate::bytes::trimmed;

/// Whether one of the patterns, which `;` or `,` divides, matches the whole name. Blanks around
/// them do not count; an empty one is none.
#[inline(never)]
pub fn any(patterns: &[u8], name: &[u8]) -> bool {
    let mut patterns = patterns.split(|byte| matches!(byte, b';' | b',')).map(trimmed);
    patterns.any(|pattern| !pattern.is_empty() && matches(pattern, name))
}

/// Whether a pattern matches the whole name. Takes at most as many steps as both lengths
/// multiplied: only the last `*` is ever tried again.
pub fn matches(mut pattern: &[u8], mut name: &[u8]) -> bool {
    // What follows the last `*`, and what of the name that is tried with.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, name) {
            ([b'*', rest @ ..], _) => {
                star = Some((rest, name));
                pattern = rest;
            }
            ([wanted, rest @ ..], [byte, after @ ..]) if wanted == byte || *wanted == b'?' => {
                (pattern, name) = (rest, after);
            }
            ([], []) => return true,
            _ => {
                let Some((rest, [_, after @ ..])) = star else { return false };
                star = Some((rest, after));
                (pattern, name) = (rest, after);
            }
        }
    }
}
