//! Bytes of any number through the window: read into its tail, encoded as base64 into its head.

use crate::base64;
use crate::errno::Errno;
use crate::writer::Writer;

/// Bytes being read, encoded and written. All zero when new.
pub struct Stream {
    /// How many bytes the client still wants.
    left: u64,
    /// How many were read.
    pub count: u64,
    /// Whether the reading came to the end.
    pub eof: bool,
    /// Bytes read that do not fill a base64 quantum yet.
    carry: [u8; 2],
    carried: usize,
}

impl Stream {
    /// No bytes.
    pub const fn new() -> Self {
        Stream::of(0)
    }

    /// Up to `count` bytes.
    pub const fn of(count: u64) -> Self {
        Stream { left: count, count: 0, eof: false, carry: [0; 2], carried: 0 }
    }

    /// Whether there are bytes to come.
    pub fn goes_on(&self) -> bool {
        self.left > 0
    }

    /// One read, into the tail of the free part, encoded into its beginning. Errors: the first read
    /// fails; of a later one nothing is said, because what was read is the client's, and the next
    /// call meets the error again.
    #[inline(never)]
    pub fn chunk(
        &mut self,
        out: &mut Writer<'_>,
        read: &mut dyn FnMut(&mut [u8]) -> Result<u32, Errno>,
    ) -> Result<(), Errno> {
        let free = out.free();
        let start = free.len() - base64::raw_room(free.len()).min(free.len());
        let carried = start + self.carried;
        for (slot, &byte) in free.iter_mut().skip(start).zip(self.carry.iter().take(self.carried)) {
            *slot = byte;
        }
        let into = free.get_mut(carried..).unwrap_or(&mut []);
        let want = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let len = match read(into.get_mut(..want).unwrap_or(&mut [])) {
            Ok(len) => {
                self.eof = len == 0;
                (len as usize).min(want)
            }
            Err(errno) if self.count == 0 => return Err(errno),
            Err(_) => 0,
        };
        self.count += len as u64;
        self.left = if len == 0 { 0 } else { self.left.saturating_sub(len as u64) };
        let end = carried + len;
        let rest = if self.goes_on() { (end - start) % 3 } else { 0 };
        self.carried = rest;
        for (slot, &byte) in self.carry.iter_mut().zip(free.iter().skip(end - rest)) {
            *slot = byte;
        }
        let text = base64::encode_in_place(free, start..end - rest);
        out.advance(text);
        Ok(())
    }
}

impl Default for Stream {
    fn default() -> Self {
        Stream::new()
    }
}
