//! A new file for the place of an old one: bytes in, through a small buffer, into the draft.

use crate::errno::Errno;
use crate::lines::retry;
use crate::writer::Writer;
use embedded_io::Write;

/// A draft that is being written. What has failed is said at the end.
pub struct Rewrite<'b, D> {
    draft: D,
    out: Writer<'b>,
    failed: Option<Errno>,
}

impl<'b, D: Write<Error = Errno>> Rewrite<'b, D> {
    /// Nothing yet, through a buffer.
    pub fn new(draft: D, buffer: &'b mut [u8]) -> Self {
        Rewrite { draft, out: Writer::new(buffer), failed: None }
    }

    /// More of the file.
    #[inline(never)]
    pub fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let free = self.out.free().len().min(bytes.len());
            let (now, later) = bytes.split_at_checked(free).unwrap_or_default();
            self.out.raw(now);
            bytes = later;
            if self.out.free().is_empty() {
                self.flush();
            }
        }
    }

    #[inline(never)]
    fn flush(&mut self) {
        let mut rest = self.out.written();
        while !rest.is_empty() && self.failed.is_none() {
            match retry(|| self.draft.write(rest)) {
                Ok(0) => self.failed = Some(Errno::IO),
                Ok(len) => rest = rest.get(len..).unwrap_or(&[]),
                Err(errno) => self.failed = Some(errno),
            }
        }
        self.out.rewind(0);
    }

    /// All of it is written: the draft. Errors: those of writing.
    pub fn end(mut self) -> Result<D, Errno> {
        self.flush();
        self.failed.map_or(Ok(self.draft), Err)
    }
}
