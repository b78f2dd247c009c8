//! Reading packed words: bytes go in, characters come out, one after the other.
//!
//! A packed text is ASCII in which other bytes stand for two bytes each, and these may do so again
//! ([`PAIRS`]). So what nobody has packed can be read as well.

use super::pairs::{PAIR_FIRST, PAIRS};

/// What stands for a newline in a packed text: so all bytes below a blank are free to stand for
/// pairs.
pub const NEWLINE: u8 = b'`';

/// Packed words, up to the end or the first zero.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Phrase(pub(super) &'static [u8]);

impl Phrase {
    /// None at all.
    pub const NONE: Phrase = Phrase(&[]);

    /// Of bytes that are packed.
    pub const fn of(packed: &'static [u8]) -> Self {
        Phrase(packed)
    }

    /// Of ASCII that nobody has packed, as it is.
    pub const fn plain(text: &'static str) -> Self {
        Phrase(text.as_bytes())
    }

    /// Its characters, one after the other; printable ASCII or newlines.
    pub fn characters(self) -> Characters {
        Characters { rest: self.0.iter(), pending: 0 }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        matches!(self.0, [] | [0, ..])
    }
}

/// The characters of a phrase that are not read yet.
pub struct Characters {
    rest: core::slice::Iter<'static, u8>,
    /// What the byte taken last has become so far, the next one lowest. There is room for what any
    /// byte can become before its first character is out (pack.rs checks that); a zero is nothing.
    pending: u64,
}

impl Iterator for Characters {
    type Item = u8;

    #[inline(never)]
    fn next(&mut self) -> Option<u8> {
        loop {
            if self.pending == 0 {
                self.pending = u64::from(*self.rest.next()?);
                if self.pending == 0 {
                    return None;
                }
            }
            let byte = self.pending as u8;
            self.pending >>= 8;
            match PAIRS.get(usize::from(byte.wrapping_sub(PAIR_FIRST))) {
                Some(&pair) => self.pending = self.pending << 16 | u64::from(pair),
                None => return Some(if byte == NEWLINE { b'\n' } else { byte }),
            }
        }
    }
}

/// Phrases by number.
#[derive(Clone, Copy)]
pub struct Phrases(&'static [u8]);

impl Phrases {
    /// Of phrases that each end with a zero.
    pub const fn of(joined: &'static [u8]) -> Self {
        Phrases(joined)
    }

    /// The one of this number, from 0 on; no words if there is none.
    #[inline(never)]
    pub fn nth(self, number: usize) -> Phrase {
        let mut rest = self.0.iter();
        let mut left = number;
        while left > 0
            && let Some(byte) = rest.next()
        {
            left -= usize::from(*byte == 0);
        }
        Phrase(rest.as_slice())
    }
}

impl core::fmt::Display for Phrase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        use core::fmt::Write as _;
        self.characters().try_for_each(|character| f.write_char(character.into()))
    }
}

impl core::fmt::Debug for Phrase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "\"{self}\"")
    }
}
