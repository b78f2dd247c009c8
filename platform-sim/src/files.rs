//! Files: a tree as data, and open files on it that behave as Linux's do.
//!
//! Paths are absolute or relative to [`Tree::working`]; there are no links. Special files stand for
//! the difficult ones: a pipe, a device that is always full, what may not be written to or opened
//! at all.

use crate::{Canary, Kind, Sim};
use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use qga_core::Errno;
use qga_core::limits::PATH_BYTES_MAX;
use qga_core::platform::{Access, Device, Files, How};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::rc::Rc;

/// Longest name of one file (NAME_MAX of limits.h).
const NAME_BYTES_MAX: usize = 255;
/// How much a pipe holds (pipe(7)).
const PIPE_BYTES_MAX: usize = 65_536;
/// Largest file; beyond it a write is EFBIG.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a call gives that would hang for ever in a real guest (EDEADLK).
const HANGS: Errno = Errno(35);

/// What a file is and holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// Bytes.
    Regular(Vec<u8>),
    /// Other files.
    Directory,
    /// A named pipe and what is in it.
    Fifo(VecDeque<u8>),
    /// As /dev/full: zeros come out, nothing goes in.
    Full,
    /// As /dev/null.
    Null,
    /// A block device.
    Block(Device),
}

/// What may be done to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Permit {
    /// Everything.
    #[default]
    All,
    /// No writing (EROFS).
    ReadOnly,
    /// Nothing (EACCES), nor to what lies below.
    Denied,
}

/// A file, apart from its name.
#[derive(Debug)]
pub struct Node {
    /// What it is and holds.
    pub content: Content,
    /// What may be done to it.
    pub permit: Permit,
    /// How many have it open for reading and for writing.
    pub opened: (usize, usize),
}

type Inode = Rc<RefCell<Node>>;

/// All files by their absolute paths.
#[derive(Debug)]
pub struct Tree {
    nodes: BTreeMap<Vec<u8>, Inode>,
    /// Where relative paths begin: an absolute path without a final slash.
    pub working: Vec<u8>,
    /// How many bytes can be added to files before the disk is full.
    pub free_bytes: u64,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let mut tree =
            Tree { nodes: BTreeMap::new(), working: Vec::new(), free_bytes: 256 * 1024 * 1024 };
        for path in ["/", "/dev", "/etc", "/proc", "/run", "/tmp"] {
            tree.add(path, Content::Directory);
        }
        tree.add("/dev/full", Content::Full);
        tree.add("/dev/null", Content::Null);
        tree
    }

    /// Adds a file, or replaces one. Folders above it are not made.
    pub fn add(&mut self, path: &str, content: Content) {
        let node = Node { content, permit: Permit::All, opened: (0, 0) };
        self.nodes.insert(path.into(), Rc::new(RefCell::new(node)));
    }

    /// Says what may be done to a file. Panics if there is none of that name.
    pub fn permit(&mut self, path: &str, permit: Permit) {
        self.nodes[path.as_bytes()].borrow_mut().permit = permit;
    }

    /// Removes the name of a file; those that have it open keep it.
    pub fn remove(&mut self, path: &str) {
        self.nodes.remove(path.as_bytes());
    }

    /// What a file holds now, if it is there and holds bytes.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        match &self.nodes.get(path.as_bytes())?.borrow().content {
            Content::Regular(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// Looks at what a file holds now, if it is there and holds bytes.
    pub fn look<R>(&self, path: &str, at: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match &self.nodes.get(path.as_bytes())?.borrow().content {
            Content::Regular(bytes) => Some(at(bytes)),
            _ => None,
        }
    }

    /// What kind of file lies at an absolute path.
    pub(crate) fn content(&self, path: &[u8]) -> Result<Content, Errno> {
        let (_, inode) = self.resolve(path)?;
        let content = inode.ok_or(Errno::NOENT)?.borrow().content.clone();
        Ok(content)
    }

    /// Walks a path: its absolute form, and the file if there is one. Errors: ENOENT, ENOTDIR,
    /// EACCES, ENAMETOOLONG on the way there.
    pub(crate) fn resolve(&self, path: &[u8]) -> Result<(Vec<u8>, Option<Inode>), Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let relative = path[0] != b'/';
        let mut here = if relative { self.working.clone() } else { Vec::new() };
        let mut inode = self.nodes.get(or_root(&here)).cloned();
        for name in path.split(|&byte| byte == b'/') {
            // An empty name is a doubled or final slash: what is before it must be a folder all the
            // same.
            let node = inode.as_ref().ok_or(Errno::NOENT)?.borrow();
            if node.content != Content::Directory && !here.is_empty() {
                return Err(Errno::NOTDIR);
            }
            if node.permit == Permit::Denied && !name.is_empty() {
                return Err(Errno::ACCES);
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            match name {
                b"" | b"." => {}
                b".." => here.truncate(here.iter().rposition(|&byte| byte == b'/').unwrap_or(0)),
                name => {
                    here.push(b'/');
                    here.extend_from_slice(name);
                }
            }
            drop(node);
            inode = self.nodes.get(or_root(&here)).cloned();
        }
        if here.is_empty() {
            here.push(b'/');
        }
        Ok((here, inode))
    }

    fn open(&mut self, path: &[u8], how: How) -> Result<(Vec<u8>, Inode), Errno> {
        let (absolute, found) = self.resolve(path)?;
        let writes = how.access != Access::Read;
        let Some(inode) = found else {
            if !how.create {
                return Err(Errno::NOENT);
            }
            return self.create(absolute);
        };
        let mut borrowed = inode.borrow_mut();
        let node = &mut *borrowed;
        match node.permit {
            Permit::All => {}
            Permit::ReadOnly if !writes => {}
            Permit::ReadOnly => return Err(Errno::ROFS),
            Permit::Denied => return Err(Errno::ACCES),
        }
        match &mut node.content {
            Content::Directory if writes || how.create => return Err(Errno::ISDIR),
            Content::Fifo(_) if how.access == Access::Write && node.opened.0 == 0 => {
                return Err(Errno::NXIO);
            }
            Content::Regular(bytes) if how.truncate => {
                self.free_bytes = self.free_bytes.saturating_add(bytes.len() as u64);
                bytes.clear();
            }
            _ => {}
        }
        drop(borrowed);
        Ok((absolute, inode))
    }

    fn create(&mut self, absolute: Vec<u8>) -> Result<(Vec<u8>, Inode), Errno> {
        let folder = absolute.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let folder = self.nodes.get(or_root(&absolute[..folder])).ok_or(Errno::NOENT)?;
        if folder.borrow().permit == Permit::ReadOnly {
            return Err(Errno::ROFS);
        }
        let content = Content::Regular(Vec::new());
        let node = Node { content, permit: Permit::All, opened: (0, 0) };
        let inode = Rc::new(RefCell::new(node));
        self.nodes.insert(absolute.clone(), Rc::clone(&inode));
        Ok((absolute, inode))
    }
}

fn or_root(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"/" } else { path }
}

/// An open file.
#[derive(Debug)]
pub struct File {
    sim: Sim,
    path: Vec<u8>,
    inode: Inode,
    how: How,
    position: u64,
}

impl File {
    fn opened(&self, more: bool) {
        let mut node = self.inode.borrow_mut();
        let change = |count: &mut usize| *count = if more { *count + 1 } else { *count - 1 };
        if self.how.access != Access::Write {
            change(&mut node.opened.0);
        }
        if self.how.access != Access::Read {
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
        if self.how.access == Access::Write {
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
        if self.how.access == Access::Read {
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
                let start = if self.how.append { file.len() as u64 } else { self.position };
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

    fn open(&mut self, path: &[u8], how: How) -> Result<File, Errno> {
        let (path, inode) = self.call(Kind::Open, |world| {
            let changes = how.access != Access::Read || how.create;
            let frozen = changes && world.mounts.frozen_at(path);
            if frozen && world.forbid_while_frozen("open for writing") {
                return Err(HANGS);
            }
            world.files.open(path, how)
        })?;
        let file = File { sim: self.clone(), path, inode, how, position: 0 };
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
