//! Mounts, freezing, and the mark that outlives a killed agent.

use super::device::{Below, Device};
use super::{Freezing, Hooks, Report, Strings, Task};
use crate::errno::Errno;
use embedded_io::{Read, Seek, Write};

/// What stat(2) says of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inode {
    /// The superblock that it is on (`st_dev`); for btrfs, the subvolume.
    pub on: Device,
    /// The number of the mount that it is on, as in the mount table; 0 when that is not known.
    pub mount: u64,
    /// Whether it is a directory or a regular file, so that opening it does nothing else.
    pub plain: bool,
}

/// Mounted filesystems, and stopping them.
pub trait Freeze: Hooks {
    /// Whether this guest can freeze filesystems.
    const OFFERED: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        Self::OFFERED
    }

    /// The mount table in the format of proc(5), `/proc/pid/mountinfo`.
    type Table: Read<Error = Errno>;
    /// An open mount point. It keeps the filesystem from going away.
    type Filesystem;
    /// The frozen mark: a small file that a freeze cannot stop and that does not outlive the boot.
    type Mark: Read<Error = Errno> + Write<Error = Errno> + Seek<Error = Errno>;
    /// What keeps track: [`crate::freezer::Freezer`] of those filesystems, or `()` in a guest that
    /// cannot freeze, which so saves its memory.
    type Freezer: Freezing<Self>;

    /// Opens the mount table. Errors: ENOENT without /proc.
    fn mounts(&mut self) -> Result<Self::Table, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// Looks a path up, following links (stat(2)).
    fn inspect(&mut self, path: &[u8]) -> Result<Inode, Errno> {
        let _ = path;
        Err(Errno::OPNOTSUPP)
    }

    /// Opens a mount point for freezing (open(2), read-only, no waiting).
    fn open_mount(&mut self, path: &[u8]) -> Result<Self::Filesystem, Errno> {
        let _ = path;
        Err(Errno::OPNOTSUPP)
    }

    /// Looks at what was opened (fstat(2)), which is something else than its path led to before if
    /// a mount went in between.
    fn inspect_open(&mut self, filesystem: &Self::Filesystem) -> Result<Inode, Errno> {
        let _ = filesystem;
        Err(Errno::OPNOTSUPP)
    }

    /// Adds what a device lies on directly: the filesystem that the file of a loop device is on
    /// (LOOP_GET_STATUS64), the devices of which a dm or md device is made (its `slaves` in sysfs),
    /// the disk of a partition. What cannot be known counts as nothing.
    fn below(&mut self, device: Device, below: &mut Below) {
        let _ = (device, below);
    }

    /// Freezes (FIFREEZE): waits for writers, writes everything back, stops writes. Errors: EBUSY
    /// (frozen already), EOPNOTSUPP (cannot be frozen), EIO; failure leaves it running.
    fn freeze(&mut self, filesystem: &Self::Filesystem) -> Result<(), Errno> {
        let _ = filesystem;
        Err(Errno::OPNOTSUPP)
    }

    /// Thaws (FITHAW). Errors: EINVAL (not frozen); failure leaves it frozen.
    fn thaw(&mut self, filesystem: &Self::Filesystem) -> Result<(), Errno> {
        let _ = filesystem;
        Err(Errno::OPNOTSUPP)
    }

    /// Begins a new mark, empty and not yet in force. Marks lie in several places, numbered from 0
    /// to below [`crate::limits::MARK_PLACES_MAX`]: each in memory, and as far from the others as
    /// can be, so that what fills one or covers it leaves another. Errors: EOPNOTSUPP where this
    /// guest has no such place.
    fn create_mark(&mut self, place: usize) -> Result<Self::Mark, Errno> {
        let _ = place;
        Err(Errno::OPNOTSUPP)
    }

    /// Puts the mark begun last in force, at once (rename(2)): from now on [`Freeze::open_mark`]
    /// finds it.
    fn publish_mark(&mut self, place: usize) -> Result<(), Errno> {
        let _ = place;
        Err(Errno::OPNOTSUPP)
    }

    /// Opens the mark; ENOENT when there is none, or one that somebody could have put there who
    /// must not.
    fn open_mark(&mut self, place: usize) -> Result<Self::Mark, Errno> {
        let _ = place;
        Err(Errno::NOENT)
    }

    /// Removes the mark, and one that was begun; ENOENT when there is none.
    fn remove_mark(&mut self, place: usize) -> Result<(), Errno> {
        let _ = place;
        Err(Errno::NOENT)
    }

    /// Puts the identity of this boot (`/proc/sys/kernel/random/boot_id`) into `id`; a mark of
    /// another boot says nothing about this one.
    fn boot_id(&mut self, id: &mut [u8; 36]) -> Result<(), Errno> {
        let _ = id;
        Err(Errno::OPNOTSUPP)
    }

    /// Has a worker, which may hang where the agent may not, do a task: a copy of `freezer` in a
    /// process of its own does [`Freezing::run`], with this guest as it is now. Errors: EOPNOTSUPP
    /// in a guest without processes, where the agent does it itself; EAGAIN, ENOMEM, EMFILE.
    fn work(
        &mut self,
        freezer: &mut Self::Freezer,
        task: Task,
        only: Option<Strings<'_>>,
    ) -> Result<(), Errno> {
        let _ = (freezer, task, only);
        Err(Errno::OPNOTSUPP)
    }

    /// In a worker: tells the agent something, with a filesystem that the agent is to hold as well.
    /// When the agent listens no more nobody needs the worker: then `undo` is thawed, which nobody
    /// but this worker knows to be frozen, and the worker ends. In the agent itself it does
    /// nothing.
    fn tell(
        &mut self,
        report: &Report,
        held: Option<&Self::Filesystem>,
        undo: Option<&Self::Filesystem>,
    ) {
        let _ = (report, held, undo);
    }

    /// What the worker has told next goes into `report`; its filesystem, if there is a descriptor
    /// for it, comes out. Errors: EAGAIN when it has told nothing more yet; ECHILD when it has
    /// ended.
    fn hear(&mut self, report: &mut Report) -> Result<Option<Self::Filesystem>, Errno> {
        let _ = report;
        Err(Errno::CHILD)
    }

    /// Listens to the worker no more: what it tells from now on, it cannot tell. What it has told
    /// can still be heard.
    fn dismiss(&mut self) {}

    /// Whether this is a worker.
    fn is_worker(&self) -> bool {
        false
    }

    /// Whether a worker that was dismissed has not ended yet, or one of an agent that is gone: it
    /// may still freeze what it was about to.
    fn lingers(&mut self) -> bool {
        false
    }
}
