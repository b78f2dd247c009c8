//! A line of a table of the kernel: text in, the words between its blanks out, or the numbers that
//! they are.

use crate::bytes::{decimal, trimmed};

/// The words of a line, one by one. Whoever reads what is not there, or is no number, is given
/// nothing or 0, and finds in the end that it has [`failed`](Fields::failed): this is smaller than
/// a look at each word.
pub struct Fields<'l> {
    rest: &'l [u8],
    /// A word was missing, or not what was wanted.
    pub failed: bool,
}

impl<'l> Fields<'l> {
    /// The words of `line`.
    pub fn new(line: &'l [u8]) -> Self {
        Fields { rest: line, failed: false }
    }

    /// The next word; nothing, which is a failure, where there is none.
    #[inline(never)]
    pub fn word(&mut self) -> &'l [u8] {
        self.rest = trimmed(self.rest);
        let end = self.rest.iter().position(u8::is_ascii_whitespace).unwrap_or(self.rest.len());
        let word = take(&mut self.rest, end);
        self.failed |= word.is_empty();
        word
    }

    /// The next word as a decimal number.
    #[inline(never)]
    pub fn number(&mut self) -> u64 {
        let number = decimal(self.word());
        self.failed |= number.is_none();
        number.unwrap_or(0)
    }

    /// The numbers that follow, into `into` from its start on, up to a word that is none: that is
    /// no failure. How many there are.
    #[inline(never)]
    pub fn numbers(&mut self, into: &mut [Option<u64>]) -> usize {
        let before = self.failed;
        let mut count = 0;
        for place in into {
            *place = decimal(self.word());
            if place.is_none() {
                break;
            }
            count += 1;
        }
        self.failed = before;
        count
    }
}

/// Takes what stands before the next `byte` off the front, and that byte too; all of it where there
/// is none.
#[inline(never)]
pub fn cut<'t>(rest: &mut &'t [u8], byte: u8) -> &'t [u8] {
    let end = rest.iter().position(|&other| other == byte).unwrap_or(rest.len());
    let before = take(rest, end);
    take(rest, 1);
    before
}

/// Takes so many bytes off the front; all and none of them if there are fewer.
#[inline(never)]
pub fn take<'t>(rest: &mut &'t [u8], len: usize) -> &'t [u8] {
    let (taken, left) = rest.split_at_checked(len).unwrap_or_default();
    *rest = left;
    taken
}
