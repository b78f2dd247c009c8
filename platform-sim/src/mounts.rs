//! Mounts and freezing: a list as data in, the text of /proc/self/mountinfo and the frozen state
//! out.
//!
//! A path leads to the mount that covers it, as in Linux: what was mounted last on a place hides
//! what was there before. A superblock is frozen or not, whichever of its mounts it was reached by.

use crate::files::Content;
use crate::store::Mark;
use crate::{Kind, Sim, World};
use embedded_io::{ErrorType, Read};
use qga_core::Errno;
use qga_core::freezer::Freezer;
use qga_core::platform::{Device, Freeze, Inode};

/// Who froze a filesystem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The agent.
    Agent,
    /// Somebody else.
    Other,
}

/// A filesystem, wherever it is mounted.
#[derive(Clone, Debug)]
pub struct Superblock {
    /// What it is on; for one without a block device its anonymous number.
    pub device: Device,
    /// Who has frozen it.
    pub frozen: Option<By>,
    /// Why it cannot be frozen.
    pub freeze_error: Option<Errno>,
    /// Why it cannot be thawed.
    pub thaw_error: Option<Errno>,
}

/// A filesystem mounted somewhere.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The number that mountinfo and stat(2) show.
    pub device: Device,
    /// The mount point, as it is, not escaped.
    pub point: Vec<u8>,
    /// The name of the kind of filesystem.
    pub kind: String,
    /// What is mounted.
    pub source: String,
    /// Which of [`Mounts::superblocks`] it shows.
    pub superblock: usize,
    /// Whether it is in use and cannot be unmounted.
    pub busy: bool,
    /// Whether it may not be written to.
    pub read_only: bool,
    /// Number of this mount and of the one that its mount point is in.
    id: usize,
    parent: usize,
}

/// All mounts, in the order of mounting.
#[derive(Debug)]
pub struct Mounts {
    /// The mounts.
    pub list: Vec<Mount>,
    /// The filesystems; they stay when they are unmounted, so that their numbers do not change.
    pub superblocks: Vec<Superblock>,
    /// Why nothing can be made read-only.
    pub remount_error: Option<Errno>,
    /// Every freeze (`true`) and thaw of the agent that worked, with the superblock, in order.
    pub changes: Vec<(bool, usize)>,
    next_id: usize,
}

/// What stands in the table between the options and the dash, by turns, because readers must skip
/// it.
const OPTIONAL_FIELDS: [&str; 3] = ["", "shared:7 ", "shared:1 master:2 "];

impl Mounts {
    pub(crate) fn new() -> Self {
        let mut mounts = Mounts {
            list: Vec::new(),
            superblocks: Vec::new(),
            remount_error: None,
            changes: Vec::new(),
            next_id: 1,
        };
        mounts.add("tmpfs", Device::new(0, 2), "none", b"/", Device::new(0, 2));
        mounts.add("proc", Device::new(0, 5), "proc", b"/proc", Device::new(0, 5));
        mounts.list.iter_mut().for_each(|mount| mount.busy = true);
        mounts
    }

    fn add(&mut self, kind: &str, device: Device, source: &str, point: &[u8], below: Device) {
        let known = self.superblocks.iter().position(|superblock| superblock.device == below);
        let superblock = known.unwrap_or(self.superblocks.len());
        if known.is_none() {
            let cannot = below.major() == 0 && kind != "btrfs";
            let freeze_error = cannot.then_some(Errno::OPNOTSUPP);
            let new = Superblock { device: below, frozen: None, freeze_error, thaw_error: None };
            self.superblocks.push(new);
        }
        let parent = self.covering(point).map_or(0, |mount| mount.id);
        let (kind, source, id) = (kind.to_owned(), source.to_owned(), self.next_id);
        let point = point.to_vec();
        let (busy, read_only) = (false, false);
        let mount = Mount { device, point, kind, source, superblock, busy, read_only, id, parent };
        self.list.push(mount);
        self.next_id += 1;
    }

    /// The mount that a path leads to.
    fn covering(&self, path: &[u8]) -> Option<&Mount> {
        let mut here: Option<&Mount> = None;
        let ends = (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]);
        for end in ends {
            let place = if end == 0 { b"/" } else { &path[..end] };
            loop {
                let below = here.map_or(0, |mount| mount.id);
                let above = |mount: &&Mount| mount.point == place && mount.parent == below;
                let Some(mount) = self.list.iter().rfind(above) else { break };
                here = Some(mount);
            }
        }
        here
    }

    /// Whether the agent has frozen anything that is mounted: to what is not, nobody writes.
    pub fn is_frozen_by_agent(&self) -> bool {
        let frozen = |mount: &Mount| self.superblocks[mount.superblock].frozen == Some(By::Agent);
        self.list.iter().any(frozen)
    }

    /// Whether the filesystem of an absolute path is frozen by the agent.
    pub(crate) fn frozen_at(&self, path: &[u8]) -> bool {
        self.is_frozen_by_agent()
            && self
                .covering(path)
                .is_some_and(|mount| self.superblocks[mount.superblock].frozen == Some(By::Agent))
    }

    /// The superblock that is mounted at a place now. Panics if nothing is.
    pub fn at(&mut self, point: &str) -> &mut Superblock {
        let index = self.covering(point.as_bytes()).expect("a mount").superblock;
        &mut self.superblocks[index]
    }

    /// The text of /proc/self/mountinfo (proc(5)).
    pub fn table(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for mount in &self.list {
            let (major, minor) = (mount.device.major(), mount.device.minor());
            let head = format!("{} {} {major}:{minor} / ", mount.id + 20, mount.parent + 20);
            text.extend_from_slice(head.as_bytes());
            escape(&mount.point, &mut text);
            let optional = OPTIONAL_FIELDS[mount.id % OPTIONAL_FIELDS.len()];
            let access = if mount.read_only { "ro" } else { "rw" };
            let middle = format!(" {access},relatime {optional}- {} ", mount.kind);
            text.extend_from_slice(middle.as_bytes());
            escape(mount.source.as_bytes(), &mut text);
            text.extend_from_slice(format!(" {access}\n").as_bytes());
        }
        text
    }

    /// Removes the uppermost mount at a place (umount(2)).
    pub(crate) fn unmount(&mut self, path: &[u8]) -> Result<(), Errno> {
        let mount = self.covering(path).filter(|mount| mount.point == path).ok_or(Errno::INVAL)?;
        let (id, busy) = (mount.id, mount.busy);
        let frozen = self.superblocks[mount.superblock].frozen.is_some();
        if busy || frozen || self.list.iter().any(|other| other.parent == id) {
            return Err(Errno::BUSY);
        }
        self.list.retain(|mount| mount.id != id);
        Ok(())
    }

    /// Makes the uppermost mount at a place read-only.
    pub(crate) fn remount_read_only(&mut self, path: &[u8]) -> Result<(), Errno> {
        if let Some(errno) = self.remount_error {
            return Err(errno);
        }
        let mount = self.covering(path).filter(|mount| mount.point == path).ok_or(Errno::INVAL)?;
        let id = mount.id;
        self.list.iter_mut().filter(|m| m.id == id).for_each(|m| m.read_only = true);
        Ok(())
    }
}

/// Space, tab, newline and backslash as the kernel writes them in the table.
fn escape(bytes: &[u8], into: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => {
                into.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            }
            other => into.push(other),
        }
    }
}

impl World {
    /// Mounts a filesystem, making its mount point a folder if there is no file of that name. One
    /// whose device is mounted already is the same filesystem at another place (a bind mount).
    pub fn mount(&mut self, kind: &str, device: Device, point: &str) {
        let source = format!("/dev/disk-{}-{}", device.major(), device.minor());
        self.files.add(&source, Content::Block(device));
        self.mount_from(kind, device, &source, point);
    }

    /// Mounts `source`. With device major 0 (btrfs) the filesystem is that on the block device
    /// `source`.
    pub fn mount_from(&mut self, kind: &str, device: Device, source: &str, point: &str) {
        let below = match self.files.content(source.as_bytes()) {
            Ok(Content::Block(block)) => block,
            _ => device,
        };
        if self.files.content(point.as_bytes()).is_err() {
            self.files.add(point, Content::Directory);
        }
        self.mounts.add(kind, device, source, point.as_bytes(), below);
    }

    fn inspect(&self, path: &[u8]) -> Result<Inode, Errno> {
        let (path, inode) = self.files.resolve(path)?;
        let content = &inode.ok_or(Errno::NOENT)?;
        let content = &content.borrow().content;
        let mount = self.mounts.covering(&path).ok_or(Errno::NOENT)?;
        let hidden = mount.point != path
            && self.mounts.list.iter().any(|other| other.point == path && other.id < mount.id);
        if hidden {
            return Err(Errno::NOENT);
        }
        let plain = matches!(content, Content::Directory | Content::Regular(_));
        let is = if let Content::Block(device) = content { *device } else { Device::default() };
        Ok(Inode { on: mount.device, is, plain })
    }
}

/// The mount table, open: the text as it was when it was opened.
#[derive(Debug)]
pub struct Table {
    sim: Sim,
    text: Vec<u8>,
    position: usize,
}

/// An open mount point.
#[derive(Debug)]
pub struct Filesystem {
    sim: Sim,
    superblock: usize,
}

impl ErrorType for Table {
    type Error = Errno;
}

impl Read for Table {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = self.sim.call(Kind::ReadTable, |world| Ok(world.faults.transfer(into.len())))?;
        let from = &self.text[self.position..];
        let len = len.min(from.len());
        into[..len].copy_from_slice(&from[..len]);
        self.position += len;
        Ok(len)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.sim.with(|world| world.open.tables -= 1);
    }
}

impl Drop for Filesystem {
    fn drop(&mut self) {
        self.sim.with(|world| world.open.filesystems -= 1);
    }
}

impl Freeze for Sim {
    const OFFERED: bool = true;
    type Table = Table;
    type Filesystem = Filesystem;
    type Mark = Mark;
    type Freezer = Freezer<Filesystem>;

    fn mounts(&mut self) -> Result<Table, Errno> {
        let text = self.call(Kind::Mounts, |world| {
            world.open.tables += 1;
            Ok(world.mounts.table())
        })?;
        Ok(Table { sim: self.clone(), text, position: 0 })
    }

    fn inspect(&mut self, path: &[u8]) -> Result<Inode, Errno> {
        self.call(Kind::Inspect, |world| world.inspect(path))
    }

    fn open_mount(&mut self, path: &[u8]) -> Result<Filesystem, Errno> {
        let superblock = self.call(Kind::OpenMount, |world| {
            world.inspect(path)?;
            let mount = world.mounts.covering(path).ok_or(Errno::NOENT)?.superblock;
            world.open.filesystems += 1;
            Ok(mount)
        })?;
        Ok(Filesystem { sim: self.clone(), superblock })
    }

    fn freeze(&mut self, filesystem: &Filesystem) -> Result<(), Errno> {
        self.call(Kind::Freeze, |world| {
            let superblock = &mut world.mounts.superblocks[filesystem.superblock];
            if let Some(errno) = superblock.freeze_error {
                return Err(errno);
            }
            if superblock.frozen.is_some() {
                return Err(Errno::BUSY);
            }
            superblock.frozen = Some(By::Agent);
            world.mounts.changes.push((true, filesystem.superblock));
            Ok(())
        })
    }

    fn thaw(&mut self, filesystem: &Filesystem) -> Result<(), Errno> {
        self.call(Kind::Thaw, |world| {
            let superblock = &mut world.mounts.superblocks[filesystem.superblock];
            if let (Some(errno), Some(_)) = (superblock.thaw_error, superblock.frozen) {
                return Err(errno);
            }
            superblock.frozen.take().ok_or(Errno::INVAL)?;
            world.mounts.changes.push((false, filesystem.superblock));
            Ok(())
        })
    }

    fn create_mark(&mut self) -> Result<Mark, Errno> {
        let bytes = self.call(Kind::CreateMark, |world| Ok(world.store.begin_mark()))?;
        Ok(Mark::new(self.clone(), bytes))
    }

    fn publish_mark(&mut self) -> Result<(), Errno> {
        self.call(Kind::PublishMark, |world| world.store.publish_mark())
    }

    fn open_mark(&mut self) -> Result<Mark, Errno> {
        let bytes = self.call(Kind::OpenMark, |world| world.store.open_mark())?;
        Ok(Mark::new(self.clone(), bytes))
    }

    fn remove_mark(&mut self) -> Result<(), Errno> {
        self.call(Kind::RemoveMark, |world| world.store.remove_mark())
    }

    fn boot_id(&mut self) -> Result<[u8; 36], Errno> {
        self.call(Kind::BootId, |world| Ok(world.store.boot_id))
    }
}
