//! The tree of names, and what is open: paths and open files in, bytes out, with the errors that
//! Linux gives.
//!
//! Paths are absolute, or relative to the root; there are no links, and no command takes a name
//! away, so a node stays for ever. Source of the behaviour: open(2), read(2), write(2), lseek(2),
//! path_resolution(7).

use super::fifo;
use super::store::{Chain, Store, copy};
use embedded_io::SeekFrom;
use qga_core::Errno;
use qga_core::limits::{HANDLES_MAX, PATH_BYTES_MAX};
use qga_core::platform::{Access, OpenOptions};

/// How many files and folders there can be, the root included.
pub const NODES_MAX: usize = 128;
/// Longest name (NAME_MAX of limits.h).
pub const NAME_BYTES_MAX: usize = 255;
/// How many files can be open: as many as there are handles.
pub const OPEN_MAX: usize = HANDLES_MAX;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Other files. 0, so that the root of a tree that is all zero is one.
    Folder = 0,
    /// Bytes.
    Regular,
    /// As /dev/null.
    Null,
    /// As /dev/zero.
    Zero,
    /// As /dev/full: zeros come out, nothing goes in.
    Full,
    /// A named pipe.
    Fifo,
}

/// A file or folder.
#[derive(Clone, Copy)]
struct Node {
    /// The folder that it is in. The root is its own.
    parent: u16,
    kind: Kind,
    chain: Chain,
    /// How much of a pipe was read already.
    head: u32,
    name_len: u8,
    name: [u8; NAME_BYTES_MAX],
}

/// Which open file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Open(u16);

/// Which node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Id(u16);

/// The root.
const ROOT: Id = Id(0);

/// An open file.
#[derive(Clone, Copy)]
struct Entry {
    used: bool,
    writes: bool,
    reads: bool,
    append: bool,
    node: Id,
    position: u64,
}

/// All files.
pub struct Tree {
    /// How many of `nodes` are in use, beside the root.
    planted: usize,
    nodes: [Node; NODES_MAX],
    open: [Entry; OPEN_MAX],
    store: Store,
}

/// Where a path leads.
enum Place<'p> {
    /// To this.
    Found(Id),
    /// To a name that is not there yet in this folder.
    Missing(Id, &'p [u8]),
}

impl Tree {
    /// A root, and nothing in it. All zero.
    pub const fn new() -> Self {
        const NODE: Node = Node {
            parent: 0,
            kind: Kind::Folder,
            chain: Chain::EMPTY,
            head: 0,
            name_len: 0,
            name: [0; NAME_BYTES_MAX],
        };
        const ENTRY: Entry = Entry {
            used: false,
            writes: false,
            reads: false,
            append: false,
            node: ROOT,
            position: 0,
        };
        Tree { planted: 0, nodes: [NODE; NODES_MAX], open: [ENTRY; OPEN_MAX], store: Store::new() }
    }

    /// Adds a file to a folder that is there. Errors: EEXIST, those of the path, ENOSPC.
    pub fn add(&mut self, path: &[u8], kind: Kind) -> Result<Id, Errno> {
        match self.resolve(path)? {
            Place::Found(_) => Err(Errno::EXIST),
            Place::Missing(folder, name) => self.plant(folder, name, kind),
        }
    }

    /// Adds a file, or empties the regular file that is there; nothing where something else is.
    /// Errors: as [`Tree::add`].
    pub fn put(&mut self, path: &[u8], kind: Kind) -> Result<Option<Id>, Errno> {
        let id = match self.resolve(path)? {
            Place::Missing(folder, name) => return self.plant(folder, name, kind).map(Some),
            Place::Found(id) => id,
        };
        let Tree { nodes, store, .. } = self;
        let node = nodes.get_mut(usize::from(id.0)).filter(|node| node.kind == Kind::Regular);
        Ok(node.map(|node| {
            store.clear(&mut node.chain);
            id
        }))
    }

    /// Adds bytes to the end of a regular file; all of them or ENOSPC.
    pub fn append(&mut self, id: Id, bytes: &[u8]) -> Result<(), Errno> {
        let Tree { nodes, store, .. } = self;
        let node = nodes.get_mut(usize::from(id.0)).ok_or(Errno::NOENT)?;
        let end = node.chain.size() as u64;
        match store.write(&mut node.chain, end, bytes)? {
            len if len == bytes.len() => Ok(()),
            _ => Err(Errno::NOSPC),
        }
    }

    /// Opens a file (open(2)).
    pub fn open(&mut self, path: &[u8], options: OpenOptions) -> Result<Open, Errno> {
        let writes = options.access != Access::Read;
        let slot = self.open.iter().position(|entry| !entry.used).ok_or(Errno::NFILE)?;
        let node = match self.resolve(path)? {
            Place::Found(id) => {
                // As with O_NONBLOCK: nobody waits for a reader.
                if options.access == Access::Write && self.is_idle_pipe(id)? {
                    return Err(Errno::NXIO);
                }
                self.check_and_empty(id, options, path.ends_with(b"/"))?;
                id
            }
            // A name with a slash after it can only be a folder's.
            Place::Missing(..) if options.create && path.ends_with(b"/") => {
                return Err(Errno::ISDIR);
            }
            Place::Missing(folder, name) if options.create => {
                self.plant(folder, name, Kind::Regular)?
            }
            Place::Missing(..) => return Err(Errno::NOENT),
        };
        let reads = options.access != Access::Write;
        let entry = Entry { used: true, writes, reads, append: options.append, node, position: 0 };
        *self.open.get_mut(slot).ok_or(Errno::NFILE)? = entry;
        Ok(Open(slot as u16))
    }

    /// Closes a file (close(2)).
    pub fn close(&mut self, open: Open) {
        if let Some(entry) = self.open.get_mut(usize::from(open.0)) {
            entry.used = false;
        }
    }

    /// Reads (read(2)); 0 at the end.
    pub fn read(&mut self, open: Open, into: &mut [u8]) -> Result<usize, Errno> {
        let writers = self.has_open(open, |entry| entry.writes);
        let Tree { nodes, open: entries, store, .. } = self;
        let (entry, node) = parts(nodes, entries, open)?;
        if !entry.reads {
            return Err(Errno::BADF);
        }
        match node.kind {
            Kind::Folder => Err(Errno::ISDIR),
            Kind::Null => Ok(0),
            Kind::Zero | Kind::Full => {
                into.fill(0);
                Ok(into.len())
            }
            Kind::Fifo => fifo::read(store, &mut node.chain, &mut node.head, writers, into),
            Kind::Regular => {
                let len = store.read(&node.chain, entry.position, into);
                entry.position = entry.position.saturating_add(len as u64);
                Ok(len)
            }
        }
    }

    /// Writes (write(2)).
    pub fn write(&mut self, open: Open, bytes: &[u8]) -> Result<usize, Errno> {
        let readers = self.has_open(open, |entry| entry.reads);
        let Tree { nodes, open: entries, store, .. } = self;
        let (entry, node) = parts(nodes, entries, open)?;
        if !entry.writes {
            return Err(Errno::BADF);
        }
        match node.kind {
            Kind::Folder => Err(Errno::ISDIR),
            Kind::Null | Kind::Zero => Ok(bytes.len()),
            Kind::Full => Err(Errno::NOSPC),
            Kind::Fifo => fifo::write(store, &mut node.chain, readers, bytes),
            Kind::Regular => {
                let at = if entry.append { node.chain.size() as u64 } else { entry.position };
                let len = store.write(&mut node.chain, at, bytes)?;
                entry.position = at.saturating_add(len as u64);
                Ok(len)
            }
        }
    }

    /// Moves the position (lseek(2)). Errors: ESPIPE in a pipe, EINVAL before the beginning or
    /// beyond what a position can be.
    pub fn seek(&mut self, open: Open, to: SeekFrom) -> Result<u64, Errno> {
        let (entry, node) = parts(&mut self.nodes, &mut self.open, open)?;
        let size = match node.kind {
            Kind::Regular => node.chain.size() as i64,
            Kind::Folder => 0,
            // lseek(2) of these devices does nothing.
            Kind::Null | Kind::Zero | Kind::Full => return Ok(0),
            Kind::Fifo => return Err(Errno::SPIPE),
        };
        let target = match to {
            SeekFrom::Start(at) => i64::try_from(at).ok(),
            SeekFrom::Current(by) => (entry.position as i64).checked_add(by),
            SeekFrom::End(by) => size.checked_add(by),
        };
        let target = target.and_then(|at| u64::try_from(at).ok()).ok_or(Errno::INVAL)?;
        entry.position = target;
        Ok(target)
    }

    /// What open(2) checks of a file that is there, and O_TRUNC.
    fn check_and_empty(
        &mut self,
        id: Id,
        options: OpenOptions,
        as_folder: bool,
    ) -> Result<(), Errno> {
        let Tree { nodes, store, .. } = self;
        let node = nodes.get_mut(usize::from(id.0)).ok_or(Errno::NOENT)?;
        match node.kind {
            Kind::Folder if options.create || options.access != Access::Read => Err(Errno::ISDIR),
            Kind::Folder => Ok(()),
            _ if as_folder => Err(Errno::NOTDIR),
            Kind::Regular if options.truncate => {
                store.clear(&mut node.chain);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether this is a pipe that nobody has open for reading.
    fn is_idle_pipe(&self, id: Id) -> Result<bool, Errno> {
        let read = self.open.iter().any(|entry| entry.used && entry.reads && entry.node == id);
        Ok(self.node(id)?.kind == Kind::Fifo && !read)
    }

    /// Whether the file behind `open` is open in this way.
    fn has_open(&self, open: Open, way: impl Fn(&Entry) -> bool) -> bool {
        let node = self.open.get(usize::from(open.0)).map(|entry| entry.node);
        self.open.iter().any(|entry| entry.used && Some(entry.node) == node && way(entry))
    }

    /// Walks a path. Errors: ENOENT, ENOTDIR, ENAMETOOLONG on the way.
    fn resolve<'p>(&self, path: &'p [u8]) -> Result<Place<'p>, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if path.len() > PATH_BYTES_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        let mut place = Place::Found(ROOT);
        for name in path.split(|&byte| byte == b'/') {
            if name.is_empty() {
                continue;
            }
            let Place::Found(folder) = place else { return Err(Errno::NOENT) };
            let node = self.node(folder)?;
            if node.kind != Kind::Folder {
                return Err(Errno::NOTDIR);
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            place = match name {
                b"." => place,
                b".." => Place::Found(Id(node.parent)),
                name => match self.child(folder, name) {
                    Some(id) => Place::Found(id),
                    None => Place::Missing(folder, name),
                },
            };
        }
        Ok(place)
    }

    fn child(&self, folder: Id, name: &[u8]) -> Option<Id> {
        let mut nodes = self.nodes.iter().enumerate().skip(1).take(self.planted);
        let found = nodes.find(|(_, node)| node.parent == folder.0 && node.name() == name);
        found.map(|(at, _)| Id(at as u16))
    }

    fn plant(&mut self, folder: Id, name: &[u8], kind: Kind) -> Result<Id, Errno> {
        let at = self.planted + 1;
        let node = self.nodes.get_mut(at).ok_or(Errno::NOSPC)?;
        if copy(name, &mut node.name) < name.len() {
            return Err(Errno::NAMETOOLONG);
        }
        (node.parent, node.kind, node.name_len) = (folder.0, kind, name.len() as u8);
        self.planted = at;
        Ok(Id(at as u16))
    }

    fn node(&self, id: Id) -> Result<&Node, Errno> {
        self.nodes.get(usize::from(id.0)).ok_or(Errno::NOENT)
    }
}

impl Default for Tree {
    fn default() -> Self {
        Tree::new()
    }
}

impl Node {
    fn name(&self) -> &[u8] {
        self.name.get(..usize::from(self.name_len)).unwrap_or(&[])
    }
}

/// An open file and its node.
fn parts<'t>(
    nodes: &'t mut [Node],
    entries: &'t mut [Entry],
    open: Open,
) -> Result<(&'t mut Entry, &'t mut Node), Errno> {
    let entry = entries.get_mut(usize::from(open.0)).filter(|entry| entry.used);
    let entry = entry.ok_or(Errno::BADF)?;
    let node = nodes.get_mut(usize::from(entry.node.0)).ok_or(Errno::BADF)?;
    Ok((entry, node))
}

#[cfg(test)]
mod tests;
