//! What outlives an agent: the saved state, the frozen mark, and the identity of the boot.

use crate::{Kind, Random, Sim};
use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use qga_core::Errno;
use std::cell::RefCell;
use std::rc::Rc;

/// The bytes of a mark, which stay for those that have it open when it is replaced or removed.
type MarkBytes = Rc<RefCell<Vec<u8>>>;

/// What outlives an agent.
#[derive(Debug)]
pub struct Store {
    /// The saved state, if there is one.
    pub state: Option<Vec<u8>>,
    /// Which boot this is; the guest reboots by changing it.
    pub boot_id: [u8; 36],
    /// How large a mark may become before the disk is full.
    pub mark_bytes_max: usize,
    mark: Option<MarkBytes>,
    begun: Option<MarkBytes>,
    /// How many marks were begun in this guest.
    pub marks_begun: usize,
}

impl Store {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut boot_id = [b'-'; 36];
        for (at, digit) in boot_id.iter_mut().enumerate() {
            if ![8, 13, 18, 23].contains(&at) {
                *digit = b"0123456789abcdef"[random.below(16) as usize];
            }
        }
        Store {
            state: None,
            boot_id,
            mark_bytes_max: usize::MAX,
            mark: None,
            begun: None,
            marks_begun: 0,
        }
    }

    /// The frozen mark in force.
    pub fn mark(&self) -> Option<Vec<u8>> {
        self.mark.as_ref().map(|bytes| bytes.borrow().clone())
    }

    /// Whether there is a frozen mark in force.
    pub fn is_marked(&self) -> bool {
        self.mark.is_some()
    }

    /// Puts a mark in force, or removes it, as somebody who is not this agent.
    pub fn set_mark(&mut self, bytes: Option<&[u8]>) {
        self.mark = bytes.map(|bytes| Rc::new(RefCell::new(bytes.to_vec())));
    }

    pub(crate) fn begin_mark(&mut self) -> MarkBytes {
        self.marks_begun += 1;
        Rc::clone(self.begun.insert(MarkBytes::default()))
    }

    pub(crate) fn publish_mark(&mut self) -> Result<(), Errno> {
        self.mark = Some(self.begun.take().ok_or(Errno::NOENT)?);
        Ok(())
    }

    pub(crate) fn open_mark(&self) -> Result<MarkBytes, Errno> {
        self.mark.as_ref().map(Rc::clone).ok_or(Errno::NOENT)
    }

    pub(crate) fn remove_mark(&mut self) -> Result<(), Errno> {
        self.begun = None;
        self.mark.take().map(drop).ok_or(Errno::NOENT)
    }

    pub(crate) fn load(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let state = self.state.as_ref().ok_or(Errno::NOENT)?;
        let len = state.len().min(into.len());
        into[..len].copy_from_slice(&state[..len]);
        Ok(len)
    }
}

/// The frozen mark, open. It lies in memory, so a transfer is never short; it can be interrupted
/// and fail.
#[derive(Debug)]
pub struct Mark {
    sim: Sim,
    bytes: MarkBytes,
    position: usize,
}

impl Mark {
    pub(crate) fn new(sim: Sim, bytes: MarkBytes) -> Self {
        sim.with(|world| world.open.marks += 1);
        Mark { sim, bytes, position: 0 }
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
        let most = self.sim.call(Kind::WriteMark, |world| Ok(world.store.mark_bytes_max))?;
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
