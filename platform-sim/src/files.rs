//! Files as data: a path and what is to be done there come in, the file or why there is none goes
//! out.
//!
//! Paths are absolute or relative to [`Tree::working`]; there are no links. Special files stand for
//! the difficult ones: a pipe, a device that is always full, what may not be written to or opened
//! at all.

use qga_core::Errno;
use qga_core::limits::PATH_BYTES_MAX;
use qga_core::platform::{Access, Device, OpenOptions};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Longest name of one file (NAME_MAX of limits.h).
const NAME_BYTES_MAX: usize = 255;
/// As many files as guests mostly have.
const NODES: usize = 48;

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

/// A file that stays for those that have it open when its name is gone.
pub(crate) type Inode = Rc<RefCell<Node>>;

/// All files by their absolute paths.
#[derive(Debug)]
pub struct Tree {
    /// Hashed, and without chance: looked up more often than anything else in a session.
    nodes: FxHashMap<Vec<u8>, Inode>,
    /// Where relative paths begin: an absolute path without a final slash.
    pub working: Vec<u8>,
    /// How many bytes can be added to files before the disk is full.
    pub free_bytes: u64,
}

impl Tree {
    pub(crate) fn new() -> Self {
        let nodes = FxHashMap::with_capacity_and_hasher(NODES, Default::default());
        let mut tree = Tree { nodes, working: Vec::new(), free_bytes: 256 * 1024 * 1024 };
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

    /// Opens a file, or makes one: its absolute path, and itself.
    pub(crate) fn open(
        &mut self,
        path: &[u8],
        options: OpenOptions,
    ) -> Result<(Vec<u8>, Inode), Errno> {
        let (absolute, found) = self.resolve(path)?;
        let writes = options.access != Access::Read;
        let Some(inode) = found else {
            if !options.create {
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
            Content::Directory if writes || options.create => return Err(Errno::ISDIR),
            Content::Fifo(_) if options.access == Access::Write && node.opened.0 == 0 => {
                return Err(Errno::NXIO);
            }
            Content::Regular(bytes) if options.truncate => {
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
