//! Mounts as data: what is mounted and taken away comes in; which filesystem a path leads to, and
//! who has frozen it, goes out.
//!
//! A path leads to the mount that covers it, as in Linux: what was mounted last on a place hides
//! what was there before. A superblock is frozen or not, whichever of its mounts it was reached by.

use qga_core::Errno;
use qga_core::limits::MOUNT_LINE_BYTES_MAX;
use qga_core::platform::Device;

/// Where the numbers of btrfs' superblocks begin: above those of anything else without a device.
const BTRFS_NUMBERS: u32 = 1000;

/// Who froze a filesystem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The agent.
    Agent,
    /// Somebody else.
    Other,
}

/// A call that does not come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hang {
    /// Looking at it: stat(2), open(2).
    Look,
    /// FIFREEZE.
    Freeze,
    /// FITHAW.
    Thaw,
    /// Learning what its device lies on.
    Below,
}

/// What a device lies on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lies {
    /// A device that it is made of, or the disk that it is a part of.
    Made(Device),
    /// The filesystem that its file is on.
    File(Device),
}

/// A filesystem, wherever it is mounted.
#[derive(Clone, Debug)]
pub struct Superblock {
    /// What it is on; for one without a block device its anonymous number.
    pub device: Device,
    /// The number that mountinfo shows: its device, but for btrfs, which has an anonymous one.
    pub number: Device,
    /// Who has frozen it.
    pub frozen: Option<By>,
    /// Why it cannot be frozen.
    pub freeze_error: Option<Errno>,
    /// Why it cannot be thawed.
    pub thaw_error: Option<Errno>,
    /// What of it does not come back.
    pub hangs: Option<Hang>,
    /// Whether nobody can write to it, wherever it is mounted.
    pub read_only: bool,
    /// How many times the agent holds it open.
    pub opened: usize,
}

/// A filesystem mounted somewhere.
#[derive(Clone, Debug)]
pub struct Mount {
    /// The number that stat(2) shows: for btrfs, that of the subvolume.
    pub device: Device,
    /// The mount point, as it is, not escaped.
    pub point: Vec<u8>,
    /// What of the filesystem is mounted; a long one makes a long line of the table.
    pub root: String,
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
    pub(crate) id: usize,
    pub(crate) parent: usize,
}

impl Mount {
    /// Its number in the mount table, and as statx(2) gives it: 0 stands for one that is not known.
    pub fn number(&self) -> u64 {
        mount_number(self.id)
    }

    /// Whether a freeze must think of it.
    pub(crate) fn is_local(&self) -> bool {
        self.device.major() != 0 || self.kind == "btrfs"
    }

    /// Whether its line of the table is longer than the agent reads.
    pub fn is_cut(&self) -> bool {
        self.root.len() > MOUNT_LINE_BYTES_MAX
    }
}

/// What the table calls the mount `id`; in it there are numbers before ours.
pub(crate) fn mount_number(id: usize) -> u64 {
    id as u64 + 20
}

/// All mounts, in the order of mounting.
#[derive(Debug)]
pub struct Mounts {
    /// The mounts.
    pub list: Vec<Mount>,
    /// The filesystems; they stay when they are unmounted, so that their numbers do not change.
    pub superblocks: Vec<Superblock>,
    /// Which device lies on what; a device may lie on several.
    pub lies: Vec<(Device, Lies)>,
    /// Whether the agent was not told of that when it asked, or no order is right.
    pub lies_untold: bool,
    /// Why nothing can be made read-only.
    pub remount_error: Option<Errno>,
    /// Every freeze (`true`) and thaw of the agent that worked, with the superblock, in order.
    pub changes: Vec<(bool, usize)>,
    /// How many times the agent thawed what somebody else had frozen.
    pub thawed_of_others: usize,
    /// The place that the agent will look at and, when it opens it, find without what is mounted
    /// there: somebody takes that away in between (umount2(2), MNT_DETACH).
    pub vanishing: Option<String>,
    /// Whether the last thaw failed.
    pub(crate) thaw_failed: bool,
    next_id: usize,
}

impl Mounts {
    pub(crate) fn new() -> Self {
        let mut mounts = Mounts {
            list: Vec::new(),
            superblocks: Vec::new(),
            lies: Vec::new(),
            lies_untold: false,
            remount_error: None,
            changes: Vec::new(),
            thawed_of_others: 0,
            vanishing: None,
            thaw_failed: false,
            next_id: 1,
        };
        mounts.add("tmpfs", Device::new(0, 2), "none", b"/", Device::new(0, 2));
        mounts.add("proc", Device::new(0, 5), "proc", b"/proc", Device::new(0, 5));
        mounts.list.iter_mut().for_each(|mount| mount.busy = true);
        mounts
    }

    /// Mounts what is on the device `below` on a place, whatever is there.
    pub(crate) fn add(
        &mut self,
        kind: &str,
        device: Device,
        source: &str,
        point: &[u8],
        below: Device,
    ) {
        let known = self.superblocks.iter().position(|superblock| superblock.device == below);
        let superblock = known.unwrap_or(self.superblocks.len());
        if known.is_none() {
            let cannot = below.major() == 0 && kind != "btrfs";
            let freeze_error = cannot.then_some(Errno::OPNOTSUPP);
            let anonymous = Device::new(0, BTRFS_NUMBERS + self.superblocks.len() as u32);
            self.superblocks.push(Superblock {
                device: below,
                number: if kind == "btrfs" { anonymous } else { below },
                frozen: None,
                freeze_error,
                thaw_error: None,
                hangs: None,
                read_only: false,
                opened: 0,
            });
        }
        let parent = self.covering(point).map_or(0, |mount| mount.id);
        let (kind, source, id) = (kind.to_owned(), source.to_owned(), self.next_id);
        let (point, root) = (point.to_vec(), "/".to_owned());
        let (busy, read_only) = (false, false);
        let mount =
            Mount { device, point, root, kind, source, superblock, busy, read_only, id, parent };
        self.list.push(mount);
        self.next_id += 1;
    }

    /// The mount that a path leads to.
    pub fn covering(&self, path: &[u8]) -> Option<&Mount> {
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

    /// The superblock of a filesystem below this one, through any number of devices, that the agent
    /// has frozen.
    pub(crate) fn frozen_below(&self, superblock: usize) -> Option<usize> {
        let mut devices = vec![self.superblocks[superblock].device];
        let mut looked_at = 0;
        while let Some(&device) = devices.get(looked_at) {
            looked_at += 1;
            for &(_, lies) in self.lies.iter().filter(|(upper, _)| *upper == device) {
                let (Lies::Made(next) | Lies::File(next)) = lies;
                if !devices.contains(&next) {
                    devices.push(next);
                }
                let below = self.superblocks.iter().position(|lower| lower.device == next);
                let frozen = |&lower: &usize| self.superblocks[lower].frozen == Some(By::Agent);
                if let Some(lower) = below.filter(frozen).filter(|_| lies == Lies::File(next)) {
                    return Some(lower);
                }
            }
        }
        None
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

    /// Somebody takes the uppermost mount at a place away, whoever uses it (umount2(2),
    /// MNT_DETACH). A filesystem that nobody holds open then is gone, and with it its freeze.
    /// Whether there was one.
    pub fn detach(&mut self, point: &str) -> bool {
        let found = self.covering(point.as_bytes()).filter(|top| top.point == point.as_bytes());
        let Some(mount) = found else { return false };
        let (id, superblock) = (mount.id, mount.superblock);
        if self.list.iter().any(|other| other.parent == id) {
            return false;
        }
        self.list.retain(|mount| mount.id != id);
        self.bury(superblock);
        true
    }

    /// A filesystem that is neither mounted nor open is gone: the next mount of its device finds it
    /// as new.
    pub(crate) fn bury(&mut self, superblock: usize) {
        let mounted = self.list.iter().any(|mount| mount.superblock == superblock);
        if let Some(gone) = self.superblocks.get_mut(superblock)
            && !mounted
            && gone.opened == 0
        {
            gone.frozen = None;
            gone.thaw_error = None;
        }
    }

    /// The superblock that is mounted at a place now. Panics if nothing is.
    pub fn at(&mut self, point: &str) -> &mut Superblock {
        let index = self.covering(point.as_bytes()).expect("a mount").superblock;
        &mut self.superblocks[index]
    }

    /// Removes the uppermost mount at a place (umount(2)).
    pub(crate) fn unmount(&mut self, path: &[u8]) -> Result<(), Errno> {
        let mount = self.covering(path).filter(|mount| mount.point == path).ok_or(Errno::INVAL)?;
        let (id, busy) = (mount.id, mount.busy);
        let frozen = self.superblocks[mount.superblock].frozen.is_some();
        if busy || frozen || self.list.iter().any(|other| other.parent == id) {
            return Err(Errno::BUSY);
        }
        let superblock = mount.superblock;
        self.list.retain(|mount| mount.id != id);
        self.bury(superblock);
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
