//! Texts of the kernel, line by line: a reader in, its lines out, in constant memory whatever their length.

use crate::bytes::shift_down;
use crate::errno::Errno;
use embedded_io::Read;

/// Lines of a text of any length through a buffer of a fixed one, of two bytes or more. A line that does not fit into
/// it with its end comes cut, to [`kept_bytes`].
pub struct Lines<'b, R> {
    reader: R,
    buffer: &'b mut [u8],
    /// The byte that ends a line.
    end_byte: u8,
    /// The unread part of the buffer.
    start: usize,
    end: usize,
    /// Why there is no next line, if that is not the end of the text.
    failed: Option<Errno>,
}

impl<'b, R: Read<Error = Errno>> Lines<'b, R> {
    /// The lines that `reader` gives, each ended by `end_byte`, through `buffer`.
    pub fn new(reader: R, end_byte: u8, buffer: &'b mut [u8]) -> Self {
        Lines { reader, buffer, end_byte, start: 0, end: 0, failed: None }
    }

    /// The next line, without its end. After the last one [`Lines::ended`] says whether it was that: a result with a
    /// line in it goes through memory.
    pub fn line(&mut self) -> Option<&mut [u8]> {
        let (mut searched, mut kept) = (0, usize::MAX);
        loop {
            let unread = self.buffer.get(self.start..self.end).unwrap_or(&[]);
            let found = unread.iter().skip(searched).position(|&byte| byte == self.end_byte);
            if let Some(length) = found.map(|at| at + searched) {
                return self.give(length, kept);
            }
            searched = unread.len();
            if self.start > 0 {
                self.shift();
            }
            let room = self.buffer.len();
            if self.end == room {
                kept = kept_bytes(room);
                (self.end, searched) = (kept, kept);
            }
            let free = self.buffer.get_mut(self.end..).unwrap_or(&mut []);
            match read(&mut self.reader, free) {
                Ok(0) if searched == 0 => return None,
                Ok(0) => return self.give(searched, kept),
                Ok(len) => self.end = (self.end + len as usize).min(room),
                Err(errno) => {
                    self.failed = Some(errno);
                    return None;
                }
            }
        }
    }

    /// Whether there is no next line because the text has ended. Errors: those of the reader.
    pub fn ended(&self) -> Result<(), Errno> {
        self.failed.map_or(Ok(()), Err)
    }

    /// Gives a line of `length` bytes out, but for what is not kept of it.
    fn give(&mut self, length: usize, kept: usize) -> Option<&mut [u8]> {
        let start = self.start;
        self.start = (start + length + 1).min(self.end);
        self.buffer.get_mut(start..start + length.min(kept))
    }

    /// Moves the unread part to the front.
    fn shift(&mut self) {
        let len = self.end.saturating_sub(self.start);
        shift_down(self.buffer, self.start, self.end);
        self.start = 0;
        self.end = len;
    }
}

/// How much comes of a line that does not fit into `room` bytes: through the last sixteenth goes the rest of it, which
/// is not read byte by byte then, and the longest path that there is comes whole all the same.
pub const fn kept_bytes(room: usize) -> usize {
    room - room.div_ceil(16)
}

/// Reads once, however often a signal interrupts that. Nobody reads more than 2 GiB at once, and in as many bits as an
/// errno has the length travels in a register.
#[inline(never)]
pub fn read<R: Read<Error = Errno>>(reader: &mut R, into: &mut [u8]) -> Result<u32, Errno> {
    retry(|| reader.read(into)).map(|len| len as u32)
}

/// Repeats a call that a signal interrupted.
pub fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => continue,
            other => return other,
        }
    }
}
