//! A line of a table of the kernel: text in, the words between its blanks out, or the numbers that they are.

use crate::bytes::decimal;

/// The words of a line, one by one.
pub struct Fields<'l> {
    rest: &'l [u8],
}

impl<'l> Fields<'l> {
    /// The words of `line`.
    pub fn new(line: &'l [u8]) -> Self {
        Fields { rest: line }
    }

    /// The next word, which is a decimal number.
    #[inline(never)]
    pub fn number(&mut self) -> Option<u64> {
        decimal(self.next()?)
    }

    /// The numbers that follow, into `into` from its start on, up to a word that is none. How many there are.
    #[inline(never)]
    pub fn numbers(&mut self, into: &mut [Option<u64>]) -> usize {
        let mut count = 0;
        for place in into {
            *place = self.number();
            if place.is_none() {
                break;
            }
            count += 1;
        }
        count
    }
}

impl<'l> Iterator for Fields<'l> {
    type Item = &'l [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'l [u8]> {
        let text = self.rest.trim_ascii_start();
        let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        let (field, rest) = text.split_at_checked(end)?;
        self.rest = rest;
        (!field.is_empty()).then_some(field)
    }
}
