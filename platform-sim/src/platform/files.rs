//! Open files, which behave as Linux's do: calls of [`Files`] come in, what happens to the guest's
//! tree goes out. Invariant: nothing that would wait for ever in a real guest is done.

use crate::canary::Canary;
use crate::files::{Content, Inode};
use crate::kind::Kind;
use crate::sim::Sim;
use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use qga_core::Errno;
use qga_core::platform::{Access, Files, OpenOptions};

/// How much a pipe holds (pipe(7)).
const PIPE_BYTES_MAX: usize = 65_536;
/// Largest file; beyond it a write is EFBIG.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a call gives that would hang for ever in a real guest (EDEADLK).
const HANGS: Errno = Errno::new(35);

/// An open file.
#[derive(Debug)]
pub struct File {
    sim: Sim,
    path: Vec<u8>,
    inode: Inode,
    options: OpenOptions,
    position: u64,
}

impl File {
    fn opened(&self, more: bool) {
        let mut node = self.inode.borrow_mut();
        let change = |count: &mut usize| *count = if more { *count + 1 } else { *count - 1 };
        if self.options.access != Access::Write {
            change(&mut node.opened.0);
        }
        if self.options.access != Access::Read {
            change(&mut node.opened.1);
        }
        self.sim.with(|world| change(&mut world.open.files));
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.opened(false);
    }
}

impl ErrorType for File {
    type Error = Errno;
}

impl Read for File {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = self.sim.call(Kind::Read, |world| Ok(world.faults.transfer(into.len())))?;
        let into = &mut into[..len];
        if self.options.access == Access::Write {
            return Err(Errno::BADF);
        }
        let mut node = self.inode.borrow_mut();
        let writers = node.opened.1;
        match &mut node.content {
            Content::Directory => Err(Errno::ISDIR),
            Content::Null | Content::Block(_) => Ok(0),
            Content::Full => {
                into.fill(0);
                Ok(into.len())
            }
            Content::Fifo(queue) if queue.is_empty() && writers > 0 => Err(Errno::AGAIN),
            Content::Fifo(queue) => {
                let len = queue.len().min(into.len());
                into.iter_mut().zip(queue.drain(..len)).for_each(|(slot, byte)| *slot = byte);
                Ok(len)
            }
            Content::Regular(bytes) => {
                let start = usize::try_from(self.position).unwrap_or(usize::MAX);
                let from = bytes.get(start..).unwrap_or(&[]);
                let len = from.len().min(into.len());
                into[..len].copy_from_slice(&from[..len]);
                self.position += len as u64;
                Ok(len)
            }
        }
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let (len, free) = self.sim.call(Kind::Write, |world| {
            if world.mounts.frozen_at(&self.path) && world.forbid_while_frozen("write") {
                return Err(HANGS);
            }
            Ok((world.faults.transfer(bytes.len()), world.files.free_bytes))
        })?;
        let (asked, bytes) = (bytes.len(), &bytes[..len]);
        if self.options.access == Access::Read {
            return Err(Errno::BADF);
        }
        let mut node = self.inode.borrow_mut();
        let readers = node.opened.0;
        match &mut node.content {
            Content::Directory => Err(Errno::ISDIR),
            Content::Full => Err(Errno::NOSPC),
            Content::Null | Content::Block(_) => Ok(bytes.len()),
            Content::Fifo(_) if readers == 0 => Err(Errno::PIPE),
            Content::Fifo(queue) if queue.len() == PIPE_BYTES_MAX => Err(Errno::AGAIN),
            Content::Fifo(queue) => {
                let len = bytes.len().min(PIPE_BYTES_MAX - queue.len());
                queue.extend(&bytes[..len]);
                Ok(len)
            }
            Content::Regular(file) => {
                let start = if self.options.append { file.len() as u64 } else { self.position };
                let len = put(file, start, bytes, free)?;
                self.position = start + len.0 as u64;
                let lies = self.sim.with(|world| {
                    world.files.free_bytes -= len.1;
                    len.0 < asked && world.canary == Some(Canary::LostByte)
                });
                Ok(len.0 + usize::from(lies))
            }
        }
    }

    fn flush(&mut self) -> Result<(), Errno> {
        self.sim.call(Kind::Flush, |_| Ok(()))
    }
}

/// Writes into a file; how many bytes, and by how many it grew.
fn put(file: &mut Vec<u8>, at: u64, bytes: &[u8], free: u64) -> Result<(usize, u64), Errno> {
    if at >= FILE_BYTES_MAX {
        return Err(Errno::FBIG);
    }
    let room = file.len() as u64 + free;
    let end = (at + bytes.len() as u64).min(room).min(FILE_BYTES_MAX);
    if end <= at && !bytes.is_empty() {
        return Err(Errno::NOSPC);
    }
    let (start, end) = (at as usize, end as usize);
    let grown = end.saturating_sub(file.len());
    file.resize(file.len() + grown, 0);
    file[start..end].copy_from_slice(&bytes[..end - start]);
    Ok((end - start, grown as u64))
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        self.sim.call(Kind::Seek, |_| Ok(()))?;
        let size = match &self.inode.borrow().content {
            Content::Regular(bytes) => bytes.len() as i64,
            Content::Directory | Content::Block(_) => 0,
            Content::Full | Content::Null => return Ok(0),
            Content::Fifo(_) => return Err(Errno::SPIPE),
        };
        let target = match to {
            SeekFrom::Start(at) => i64::try_from(at).ok(),
            SeekFrom::Current(by) => (self.position as i64).checked_add(by),
            SeekFrom::End(by) => size.checked_add(by),
        };
        self.position = target.and_then(|at| u64::try_from(at).ok()).ok_or(Errno::INVAL)?;
        Ok(self.position)
    }
}

impl Files for Sim {
    const OFFERED: bool = true;
    type File = File;

    fn open(&mut self, path: &[u8], options: OpenOptions) -> Result<File, Errno> {
        let (path, inode) = self.call(Kind::Open, |world| {
            let changes = options.access != Access::Read || options.create;
            let frozen = changes && world.mounts.frozen_at(path);
            if frozen && world.forbid_while_frozen("open for writing") {
                return Err(HANGS);
            }
            world.files.open(path, options)
        })?;
        let file = File { sim: self.clone(), path, inode, options, position: 0 };
        file.opened(true);
        Ok(file)
    }

    fn close(&mut self, file: File) -> Result<(), Errno> {
        drop(file);
        let closed = self.call(Kind::Close, |_| Ok(()));
        self.with(|world| {
            let leaks = closed.is_err() && world.canary == Some(Canary::LeakedFile);
            world.open.files += usize::from(leaks);
        });
        closed
    }

    fn load_state(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        self.call(Kind::LoadState, |world| world.store.load(into))
    }

    fn save_state(&mut self, state: &[u8]) -> Result<(), Errno> {
        self.call(Kind::SaveState, |world| {
            if world.forbid_while_frozen("save the state") {
                return Err(HANGS);
            }
            let forgets = world.canary == Some(Canary::ForgottenState) && state.ends_with(b"3\n");
            if !forgets {
                world.store.state = Some(state.to_vec());
            }
            Ok(())
        })
    }
}
