//! The frozen mark, open: bytes in and out of a place, where it was opened, whatever became of its
//! name since.

use crate::kind::Kind;
use crate::sim::Sim;
use crate::store::MarkBytes;
use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use qga_core::Errno;

/// The frozen mark, open. It lies in memory, so a transfer is never short; it can be interrupted
/// and fail.
#[derive(Debug)]
pub struct Mark {
    sim: Sim,
    place: usize,
    bytes: MarkBytes,
    position: usize,
}

impl Mark {
    pub(crate) fn new(sim: Sim, place: usize, bytes: MarkBytes) -> Self {
        sim.with(|world| world.open.marks += 1);
        Mark { sim, place, bytes, position: 0 }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.sim.with(|world| world.open.marks -= 1);
    }
}

impl ErrorType for Mark {
    type Error = Errno;
}

impl Read for Mark {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        self.sim.call(Kind::ReadMark, |_| Ok(()))?;
        let bytes = self.bytes.borrow();
        let from = bytes.get(self.position..).unwrap_or(&[]);
        let len = from.len().min(into.len());
        into[..len].copy_from_slice(&from[..len]);
        self.position += len;
        Ok(len)
    }
}

impl Write for Mark {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let place = self.place;
        let most =
            self.sim.call(Kind::WriteMark, |world| Ok(world.store.places[place].bytes_max))?;
        let len = bytes.len().min(most.saturating_sub(self.position));
        if len == 0 && !bytes.is_empty() {
            return Err(Errno::NOSPC);
        }
        let mut mark = self.bytes.borrow_mut();
        let end = self.position + len;
        if mark.len() < end {
            mark.resize(end, 0);
        }
        mark[self.position..end].copy_from_slice(&bytes[..len]);
        self.position = end;
        Ok(len)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        self.sim.call(Kind::Flush, |_| Ok(()))
    }
}

impl Seek for Mark {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        self.sim.call(Kind::SeekMark, |_| Ok(()))?;
        let target = match to {
            SeekFrom::Start(at) => i64::try_from(at).ok(),
            SeekFrom::Current(by) => (self.position as i64).checked_add(by),
            SeekFrom::End(by) => (self.bytes.borrow().len() as i64).checked_add(by),
        };
        let target = target.filter(|&at| at >= 0).ok_or(Errno::INVAL)?;
        self.position = usize::try_from(target).map_err(|_| Errno::INVAL)?;
        Ok(target as u64)
    }
}
