//! A file as data: what reads give and what writes take in, one piece a call; what was written out.

use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use qga_core::Errno;
use std::collections::VecDeque;

/// What a call does instead of what it would do.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// It fails.
    Fails(Errno),
    /// It moves so many bytes at most.
    Short(usize),
}

/// Bytes with a position, and what goes wrong with the next calls.
#[derive(Clone, Default, Debug)]
pub struct Stream {
    pub bytes: Vec<u8>,
    pub at: usize,
    /// One for each read or write, in their order.
    pub troubles: VecDeque<Trouble>,
    /// Most bytes that any call moves; 0 for no limit.
    pub piece_bytes: usize,
}

impl Stream {
    pub fn of(bytes: &[u8]) -> Self {
        Stream { bytes: bytes.to_vec(), ..Stream::default() }
    }

    pub fn in_pieces(bytes: &[u8], piece_bytes: usize) -> Self {
        Stream { piece_bytes, ..Stream::of(bytes) }
    }

    pub fn with(mut self, troubles: &[Trouble]) -> Self {
        self.troubles = troubles.iter().copied().collect();
        self
    }

    fn limit(&mut self, len: usize) -> Result<usize, Errno> {
        let most = if self.piece_bytes == 0 { len } else { len.min(self.piece_bytes) };
        match self.troubles.pop_front() {
            None => Ok(most),
            Some(Trouble::Short(len)) => Ok(most.min(len)),
            Some(Trouble::Fails(errno)) => Err(errno),
        }
    }
}

impl ErrorType for Stream {
    type Error = Errno;
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let left = self.bytes.len().saturating_sub(self.at);
        let len = self.limit(into.len().min(left))?;
        into[..len].copy_from_slice(&self.bytes[self.at..self.at + len]);
        self.at += len;
        Ok(len)
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> Result<usize, Errno> {
        let len = self.limit(from.len())?;
        let end = self.at + len;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[self.at..end].copy_from_slice(&from[..len]);
        self.at = end;
        Ok(len)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        let SeekFrom::Start(at) = to else { return Err(Errno::INVAL) };
        self.at = at as usize;
        Ok(at)
    }
}
