//! Lines of text for people, put together without an allocator and written at once.

use rustix::fd::{AsFd, BorrowedFd};

/// Longest line; what is beyond is cut.
const LINE_BYTES_MAX: usize = 1024;

/// A line being put together.
pub struct Line {
    bytes: [u8; LINE_BYTES_MAX],
    len: usize,
}

impl Line {
    /// An empty line.
    pub const fn new() -> Self {
        Line { bytes: [0; LINE_BYTES_MAX], len: 0 }
    }

    /// Adds bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        for (slot, &byte) in self.bytes.iter_mut().skip(self.len).zip(bytes) {
            *slot = byte;
            self.len += 1;
        }
        self
    }

    /// Adds text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// Adds a number in decimal, with zeros in front up to `width` digits.
    pub fn number(&mut self, mut number: u64, width: usize) -> &mut Self {
        let mut digits = [b'0'; 20];
        let mut used = 0;
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + (number % 10) as u8;
            number /= 10;
            used += 1;
            if number == 0 && used >= width {
                break;
            }
        }
        self.bytes(digits.get(digits.len() - used..).unwrap_or(&[]))
    }

    /// Adds the text of an error number.
    pub fn errno(&mut self, errno: qga_core::Errno) -> &mut Self {
        match errno.text() {
            Some(text) => self.text(text),
            None => self.text("error ").number(u64::from(errno.0), 1),
        }
    }

    /// Writes it, with a newline; nothing can be done if that fails.
    pub fn write(&mut self, to: impl AsFd) {
        self.bytes(b"\n");
        if let (Some(last), true) = (self.bytes.last_mut(), self.len == LINE_BYTES_MAX) {
            *last = b'\n';
        }
        let _ = rustix::io::write(to, self.bytes.get(..self.len).unwrap_or(&[]));
    }
}

impl Default for Line {
    fn default() -> Self {
        Line::new()
    }
}

/// Standard output.
pub const STDOUT: BorrowedFd<'static> = {
    // SAFETY: the descriptor is only written to; if it is closed, writing fails.
    unsafe { BorrowedFd::borrow_raw(1) }
};

/// Standard error.
pub const STDERR: BorrowedFd<'static> = {
    // SAFETY: the descriptor is only written to; if it is closed, writing fails.
    unsafe { BorrowedFd::borrow_raw(2) }
};
