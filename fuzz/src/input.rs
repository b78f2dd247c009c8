//! The bytes of an input, taken off its front by the structured targets.

/// What is left of an input; zeroes after its end.
pub struct Input<'d> {
    /// The bytes that nobody has taken.
    pub rest: &'d [u8],
}

impl<'d> Input<'d> {
    /// All of an input.
    pub fn new(data: &'d [u8]) -> Self {
        Input { rest: data }
    }

    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.rest.split_first().unwrap_or((&0, &[]));
        self.rest = rest;
        *first
    }

    /// Two bytes as a number.
    pub fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// As many bytes as there are, at most `len`.
    pub fn take(&mut self, len: usize) -> &'d [u8] {
        let (head, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        head
    }
}
