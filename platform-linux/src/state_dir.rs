//! The two files that outlive an agent: the handle number and the frozen mark. Both are replaced by renaming, so
//! that they are whole at any moment; the mark lives on a filesystem in memory, which no freeze can stop.

use crate::errno::errno;
use crate::fd::Fd;
use crate::path::PathBuffer;
use crate::sys;
use core::ffi::CStr;
use qga_core::Errno;
use rustix::fs::{Access, AtFlags, Mode, OFlags};

const STATE: &CStr = c"qga.state";
const STATE_NEW: &CStr = c"qga.state.new";
const MARK: &CStr = c"qga.state.isfrozen";
const MARK_NEW: &CStr = c"qga.state.isfrozen.new";

/// statfs(2)'s numbers of filesystems in memory.
const TMPFS_MAGIC: i64 = 0x0102_1994;
const RAMFS_MAGIC: i64 = 0x8584_58F6;

/// Where the state goes when nothing is said, the first that can be written to. The reference's place, then
/// what an initramfs or appliance has instead.
static PLACES: [&CStr; 4] = [c"/var/run", c"/run", c"/dev/shm", c"/tmp"];
/// Where the mark goes when none of these is in memory: the kernel's own device files are.
static LAST_MEMORY: &CStr = c"/dev";

/// The directories of the state.
pub struct StateDir {
    state: Fd,
    /// Where the mark goes, if `state` is on a disk.
    memory: Option<Fd>,
    /// Whether the mark is in memory. On a disk its first result would wait for ever for the thaw of that disk.
    keeps_marks: bool,
}

fn directory(path: &CStr) -> Result<Fd, Errno> {
    sys::open(path, OFlags::DIRECTORY | OFlags::RDONLY, 0)
}

fn writable(directory: &Fd) -> Result<(), Errno> {
    let flags = AtFlags::empty();
    rustix::fs::accessat(directory, c".", Access::WRITE_OK, flags).map_err(errno)
}

fn in_memory(directory: &Fd) -> bool {
    rustix::fs::fstatfs(directory).is_ok_and(|of| matches!(of.f_type, TMPFS_MAGIC | RAMFS_MAGIC))
}

/// Whether the directory of `path` is in memory, so that a file can be made there while disks are frozen.
#[inline(never)]
pub fn is_beside_memory(path: &CStr, room: &mut PathBuffer) -> bool {
    let path = path.to_bytes();
    let slash = path.iter().rposition(|&byte| byte == b'/');
    let parent = slash.map_or(&b"."[..], |at| &path[..=at]);
    room.path(parent).and_then(directory).is_ok_and(|dir| in_memory(&dir))
}

impl StateDir {
    /// The directory `path`, or without one the first usual place. Errors: those of open(2), EROFS, EACCES.
    pub fn open(path: Option<&CStr>) -> Result<Self, Errno> {
        let state = match path {
            Some(path) => directory(path).and_then(|dir| writable(&dir).map(|()| dir)),
            None => default_place(),
        }?;
        let state_in_memory = in_memory(&state);
        let memory = if state_in_memory {
            None
        } else {
            let usable = |dir: &Fd| in_memory(dir) && writable(dir).is_ok();
            let mut places = PLACES.iter().chain([&LAST_MEMORY]);
            places.find_map(|place| directory(place).ok().filter(usable))
        };
        let keeps_marks = state_in_memory || memory.is_some();
        Ok(StateDir { state, memory, keeps_marks })
    }

    /// Reads the state into `into`; ENOENT when there is none.
    pub fn load(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let file = sys::open_at(&self.state, STATE, OFlags::RDONLY, 0)?;
        file.get(into)
    }

    /// Replaces the state.
    pub fn save(&self, state: &[u8]) -> Result<(), Errno> {
        let file = create(&self.state, STATE_NEW)?;
        let written = file.put(state)?;
        if written != state.len() {
            return Err(Errno::NOSPC);
        }
        rustix::fs::renameat(&self.state, STATE_NEW, &self.state, STATE).map_err(errno)
    }

    fn mark_dir(&self) -> &Fd {
        self.memory.as_ref().unwrap_or(&self.state)
    }

    /// Begins a new mark. Errors: EOPNOTSUPP when there is nothing in memory to keep it in.
    pub fn create_mark(&self) -> Result<Fd, Errno> {
        if !self.keeps_marks {
            return Err(Errno::OPNOTSUPP);
        }
        create(self.mark_dir(), MARK_NEW)
    }

    /// Puts the new mark in force.
    pub fn publish_mark(&self) -> Result<(), Errno> {
        let dir = self.mark_dir();
        rustix::fs::renameat(dir, MARK_NEW, dir, MARK).map_err(errno)
    }

    /// Opens the mark, for reading and for recording progress.
    pub fn open_mark(&self) -> Result<Fd, Errno> {
        sys::open_at(self.mark_dir(), MARK, OFlags::RDWR, 0)
    }

    /// Removes the mark, and one that was begun.
    pub fn remove_mark(&self) -> Result<(), Errno> {
        let dir = self.mark_dir();
        let _ = rustix::fs::unlinkat(dir, MARK_NEW, AtFlags::empty());
        rustix::fs::unlinkat(dir, MARK, AtFlags::empty()).map_err(errno)
    }
}

fn create(directory: &Fd, name: &CStr) -> Result<Fd, Errno> {
    sys::open_at(directory, name, OFlags::CREATE | OFlags::TRUNC | OFlags::RDWR, 0o600)
}

fn default_place() -> Result<Fd, Errno> {
    let mut first_error = None;
    for place in &PLACES {
        match directory(place).and_then(|dir| writable(&dir).map(|()| dir)) {
            Ok(dir) => return Ok(dir),
            Err(errno) => first_error = first_error.or(Some(errno)),
        }
    }
    // An initramfs may have none of them yet.
    let mode = Mode::from_raw_mode(0o755);
    rustix::fs::mkdir(c"/run", mode).map_err(|_| first_error.unwrap_or(Errno::NOENT))?;
    directory(c"/run")
}
