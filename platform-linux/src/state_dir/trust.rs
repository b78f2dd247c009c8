//! What a hostile user could have made is not trusted: a descriptor or a name in, whether it is
//! root's or this user's own work out. Nothing here follows a link, waits for a FIFO's other end or
//! opens a terminal.

use crate::errno::errno;
use crate::fd::Fd;
use crate::path::PathBuffer;
use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::general::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use qga_core::Errno;
use rustix::fs::{Access, AtFlags, Mode, OFlags};

/// Why a directory or a file is not used, above what the kernel gives: an agent that lives has it.
pub const HELD: Errno = Errno::new(5000);
const NOT_PLAIN: Errno = Errno::new(5001);
const NOT_OWNED: Errno = Errno::new(5002);
const WRITABLE: Errno = Errno::new(5003);
const FOREIGN_LINK: Errno = Errno::new(5004);
/// What is at a name is no file that an agent has written.
pub const UNTRUSTED: Errno = Errno::new(5005);

/// How a file is opened that may be anything.
const CAREFUL: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// statfs(2)'s numbers of filesystems in memory.
const TMPFS_MAGIC: i64 = 0x0102_1994;
const RAMFS_MAGIC: i64 = 0x8584_58F6;

pub fn directory(path: &CStr) -> Result<Fd, Errno> {
    sys::open(path, OFlags::DIRECTORY, 0)
}

pub fn in_memory(directory: &Fd) -> bool {
    rustix::fs::fstatfs(directory).is_ok_and(|of| matches!(of.f_type, TMPFS_MAGIC | RAMFS_MAGIC))
}

/// Whether nobody but root or this user can have made the file, or directory, or can write to it. A
/// file has no other name, by which somebody could.
pub fn trusted(file: &Fd, kind: u32) -> Result<(), Errno> {
    check(file, kind, false)
}

/// Whether nobody but root or this user can take away what is theirs in the directory: others may
/// put something there if it is sticky, as a tmpfs is that was mounted without more words.
pub fn keeps_what_is_in_it(directory: &Fd) -> Result<(), Errno> {
    check(directory, S_IFDIR, true)
}

fn check(file: &Fd, kind: u32, sticky_does: bool) -> Result<(), Errno> {
    const WRITERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let node = sys::look(file)?;
    if node.mode & S_IFMT != kind || kind == S_IFREG && node.links != 1 {
        return Err(NOT_PLAIN);
    }
    if !sys::is_own(node.user) {
        return Err(NOT_OWNED);
    }
    if node.mode & WRITERS == 0 || sticky_does && node.mode & STICKY != 0 {
        return Ok(());
    }
    Err(WRITABLE)
}

/// Opens a directory, also one that a link leads to; not another user's link, who could have it
/// lead anywhere.
pub fn named_directory(path: &CStr, room: &mut PathBuffer) -> Result<Fd, Errno> {
    let mut name = path.to_bytes();
    // What ends so would be looked at behind its link.
    while let [shorter @ .., b'/'] = name
        && !shorter.is_empty()
    {
        name = shorter;
    }
    let name = room.path(name)?;
    let link = sys::open(name, OFlags::PATH | OFlags::NOFOLLOW, 0)?;
    if trusted(&link, S_IFLNK) == Err(NOT_OWNED) {
        return Err(FOREIGN_LINK);
    }
    directory(name)
}

/// Opens a file that is there already. Errors: [`UNTRUSTED`] for what no agent has written; why it
/// cannot be opened or looked at.
pub fn open_old(directory: &Fd, name: &CStr, flags: OFlags) -> Result<Fd, Errno> {
    match sys::open_at(directory, name, flags | CAREFUL, 0) {
        Ok(file) => match trusted(&file, S_IFREG) {
            Ok(()) => Ok(file),
            // It could not be looked at, which says nothing of who wrote it.
            Err(errno) if errno.number() < HELD.number() => Err(of_what_is_open(errno)),
            Err(_) => Err(UNTRUSTED),
        },
        Err(Errno::ISDIR | Errno::NXIO | Errno::LOOP) => Err(UNTRUSTED),
        other => other,
    }
}

/// Why a file that is open cannot be looked at or read. It is there: ENOENT, as a filesystem in
/// user space may say, would be taken for a file that no agent has written yet.
pub fn of_what_is_open(errno: Errno) -> Errno {
    if errno == Errno::NOENT { Errno::STALE } else { errno }
}

/// Which filesystem a directory is on; 0 is none.
pub fn filesystem(directory: &Fd) -> u64 {
    rustix::fs::fstat(directory).map_or(0, |stat| stat.st_dev)
}

/// Whether files can be made in a directory.
pub fn writable(directory: &Fd) -> Result<(), Errno> {
    let flags = AtFlags::empty();
    rustix::fs::accessat(directory, c".", Access::WRITE_OK, flags).map_err(errno)
}

/// Opens the file that is locked, and makes it if need be.
pub fn open_lock(directory: &Fd) -> Result<Fd, Errno> {
    sys::open_at(directory, c"qga.lock", OFlags::RDWR | OFlags::CREATE | CAREFUL, 0o600)
}

/// Makes a file that nobody has open or linked elsewhere.
pub fn create(directory: &Fd, name: &CStr) -> Result<Fd, Errno> {
    let _ = unlink(directory, name);
    sys::open_at(directory, name, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR, 0o600)
}

pub fn unlink(directory: &Fd, name: &CStr) -> Result<(), Errno> {
    rustix::fs::unlinkat(directory, name, AtFlags::empty()).map_err(errno)
}

pub fn rename(directory: &Fd, from: &CStr, to: &CStr) -> Result<(), Errno> {
    rustix::fs::renameat(directory, from, directory, to).map_err(errno)
}

/// Opens a directory, which is made if it is missing: the one of this name, not one that a link of
/// this name leads to, if `flags` say so. Why it could not be made is what opening it says.
pub fn found_or_made(path: &CStr, flags: OFlags, mode: u32) -> Result<Fd, Errno> {
    let open = || sys::open(path, flags | OFlags::DIRECTORY, 0);
    open().or_else(|_| {
        let _ = rustix::fs::mkdir(path, Mode::from_raw_mode(mode));
        open()
    })
}
