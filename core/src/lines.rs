//! Texts of the kernel, line by line: a reader in, its lines out, in constant memory whatever their
//! length.

use crate::bytes::shift_down;
use crate::errno::Errno;
use embedded_io::Read;

/// Lines of a text of any length through a buffer of a fixed one, of two bytes or more. A line that
/// does not fit into it with its end comes cut, to [`kept_bytes`].
pub struct Lines<'b, R> {
    reader: R,
    buffer: &'b mut [u8],
    scan: Scan,
}

impl<'b, R: Read<Error = Errno>> Lines<'b, R> {
    /// The lines that `reader` gives, each ended by `end_byte`, through `buffer`.
    pub fn new(reader: R, end_byte: u8, buffer: &'b mut [u8]) -> Self {
        Lines { reader, buffer, scan: Scan::new(end_byte) }
    }

    /// The next line, without its end. After the last one [`Lines::ended`] says whether it was
    /// that: a result with a line in it goes through memory.
    pub fn line(&mut self) -> Option<&mut [u8]> {
        self.scan.line(&mut self.reader, self.buffer)
    }

    /// Whether there is no next line because the text has ended. Errors: those of the reader.
    pub fn ended(&self) -> Result<(), Errno> {
        self.scan.ended()
    }
}

/// Where [`Lines`] stand in their buffer; for who keeps reader and buffer elsewhere.
pub struct Scan {
    /// The byte that ends a line.
    end_byte: u8,
    /// The unread part of the buffer.
    start: u32,
    end: u32,
    /// Why there is no next line, if that is not the end of the text.
    failed: Option<Errno>,
}

impl Scan {
    /// At the beginning.
    pub const fn new(end_byte: u8) -> Self {
        Scan { end_byte, start: 0, end: 0, failed: None }
    }

    /// The next line, without its end; as [`Lines::line`].
    #[inline(never)]
    pub fn line<'b, R: Read<Error = Errno>>(
        &mut self,
        reader: &mut R,
        buffer: &'b mut [u8],
    ) -> Option<&'b mut [u8]> {
        let (mut searched, mut kept) = (0, usize::MAX);
        let (mut start, mut end) = (self.start as usize, self.end as usize);
        let length = loop {
            let unread = buffer.get(start..end).unwrap_or(&[]);
            let found = unread.iter().skip(searched).position(|&byte| byte == self.end_byte);
            if let Some(length) = found.map(|at| at + searched) {
                break length;
            }
            searched = unread.len();
            if start > 0 {
                shift_down(buffer, start, end);
                (start, end) = (0, searched);
            }
            let room = buffer.len();
            if end == room {
                kept = kept_bytes(room);
                (end, searched) = (kept, kept);
            }
            let free = buffer.get_mut(end..).unwrap_or(&mut []);
            match read(reader, free) {
                Ok(0) if searched > 0 => break searched,
                Ok(0) => (self.start, self.end) = (0, 0),
                Ok(len) => {
                    end = (end + len as usize).min(room);
                    continue;
                }
                Err(errno) => {
                    self.failed = Some(errno);
                    (self.start, self.end) = (start as u32, end as u32);
                }
            }
            return None;
        };
        // But for what is not kept of it.
        self.start = (start + length + 1).min(end) as u32;
        self.end = end as u32;
        buffer.get_mut(start..start + length.min(kept))
    }

    /// As [`Lines::ended`].
    pub fn ended(&self) -> Result<(), Errno> {
        self.failed.map_or(Ok(()), Err)
    }
}

/// How much comes of a line that does not fit into `room` bytes: through the last sixteenth goes
/// the rest of it, which is not read byte by byte then, and the longest path that there is comes
/// whole all the same.
pub const fn kept_bytes(room: usize) -> usize {
    room - room.div_ceil(16)
}

/// Reads once, however often a signal interrupts that. Nobody reads more than 2 GiB at once, and in
/// as many bits as an errno has the length travels in a register.
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
