//! The mount table, `/proc/pid/mountinfo` of proc(5): its text in, one [`Mount`] a line out, in constant
//! memory however many there are.

use crate::errno::Errno;
use crate::frame::shift_down;
use crate::platform::Device;
use embedded_io::Read;

/// Lines of a text of any length through a buffer of a fixed one. A line longer than the buffer comes cut.
pub struct Lines<'b, R> {
    reader: R,
    buffer: &'b mut [u8],
    /// The byte that ends a line.
    end_byte: u8,
    /// The unread part of the buffer.
    start: usize,
    end: usize,
    /// How far into the text the line given out last begins.
    position: u64,
    /// Length of the line given out last, its end included.
    last: u64,
}

impl<'b, R: Read<Error = Errno>> Lines<'b, R> {
    /// The lines that `reader` gives, each ended by `end_byte`, through `buffer`.
    pub fn new(reader: R, end_byte: u8, buffer: &'b mut [u8]) -> Self {
        Lines { reader, buffer, end_byte, start: 0, end: 0, position: 0, last: 0 }
    }

    /// The next line, without its end, and where in the text it begins. Errors: those of the reader.
    pub fn next(&mut self) -> Result<Option<(&mut [u8], u64)>, Errno> {
        self.position += self.last;
        let mut searched = 0;
        loop {
            let unread = self.buffer.get(self.start..self.end).unwrap_or(&[]);
            let found = unread.iter().skip(searched).position(|&byte| byte == self.end_byte);
            if let Some(length) = found.map(|at| at + searched) {
                return Ok(self.give(length, length as u64 + 1));
            }
            searched = unread.len();
            if self.start > 0 {
                self.shift();
            }
            let free = self.buffer.get_mut(self.end..).unwrap_or(&mut []);
            if free.is_empty() {
                let length = self.end;
                let beyond = self.skip_line()?;
                return Ok(self.give(length, length as u64 + beyond));
            }
            match retry(|| self.reader.read(free))? {
                0 if searched == 0 => return Ok(None),
                0 => return Ok(self.give(searched, searched as u64)),
                len => self.end = (self.end + len).min(self.buffer.len()),
            }
        }
    }

    /// Gives a line of `length` bytes out, which takes `used` bytes of the text.
    fn give(&mut self, length: usize, used: u64) -> Option<(&mut [u8], u64)> {
        let start = self.start;
        self.start = (start + length + 1).min(self.end);
        self.last = used;
        Some((self.buffer.get_mut(start..start + length)?, self.position))
    }

    /// Moves the unread part to the front.
    fn shift(&mut self) {
        let len = self.end.saturating_sub(self.start);
        shift_down(self.buffer, self.start, self.end);
        self.start = 0;
        self.end = len;
    }

    /// Reads past the end of an overlong line, whose beginning fills the buffer; says how many bytes.
    fn skip_line(&mut self) -> Result<u64, Errno> {
        let mut skipped = 0;
        loop {
            let mut byte = [0];
            let len = retry(|| self.reader.read(&mut byte))?;
            skipped += len as u64;
            if len == 0 || byte == [self.end_byte] {
                return Ok(skipped);
            }
        }
    }
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

/// One line of the mount table.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount<'l> {
    /// The superblock's number; major 0 when there is no device below it.
    pub device: Device,
    /// Where it is mounted, escaped as in the table: [`unescape`].
    pub mountpoint: &'l mut [u8],
    /// The filesystem's name.
    pub kind: &'l [u8],
    /// What is mounted, escaped.
    pub source: &'l mut [u8],
}

impl<'l> Mount<'l> {
    /// Reads one line; nothing if it is not one of a mount table.
    pub fn parse(line: &'l mut [u8]) -> Option<Self> {
        let mut fields = line.split_mut(|&byte| byte == b' ');
        let device = device(fields.nth(2)?)?;
        let mountpoint = fields.nth(1)?;
        if mountpoint.first() != Some(&b'/') {
            return None;
        }
        let mut optional = fields.skip_while(|field| **field != *b"-");
        let kind = optional.nth(1).map(|kind| &*kind).unwrap_or(&[]);
        let source = optional.next().unwrap_or(&mut []);
        Some(Mount { device, mountpoint, kind, source })
    }
}

/// `major:minor` in decimal.
pub fn device(text: &[u8]) -> Option<Device> {
    let mut numbers = text.splitn(2, |&byte| byte == b':').map(decimal);
    let (major, minor) = (numbers.next()??, numbers.next()??);
    Some(Device::new(u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
}

/// A number of decimal digits and nothing else.
pub fn decimal(text: &[u8]) -> Option<u64> {
    let (first, rest) = text.split_first()?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    rest.iter()
        .try_fold(digit(first)?, |number, byte| number.checked_mul(10)?.checked_add(digit(byte)?))
}

/// Turns the table's octal escapes (`\040` for a space) into the bytes they stand for, in place.
pub fn unescape(text: &mut [u8]) -> &mut [u8] {
    let (mut read, mut write) = (0, 0);
    while let Some(&byte) = text.get(read) {
        let (byte, used) = match text.get(read..).and_then(octal) {
            Some(escaped) => (escaped, 4),
            None => (byte, 1),
        };
        if let Some(slot) = text.get_mut(write) {
            *slot = byte;
        }
        read += used;
        write += 1;
    }
    text.get_mut(..write).unwrap_or(&mut [])
}

fn octal(text: &[u8]) -> Option<u8> {
    let [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] = text else { return None };
    Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
}
