//! Mounts and freezing: /proc/self/mountinfo, stat(2), FIFREEZE, FITHAW, and the mark on tmpfs.

use super::Linux;
use crate::errno::errno;
use crate::fd::Fd;
use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::ioctl::{FIFREEZE, FITHAW};
use qga_core::Errno;
use qga_core::platform::{Device, Freeze, Inode};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, CWD, FileType, OFlags, StatxFlags, major, minor};
use rustix::ioctl::NoArg;

fn read_only(path: &CStr) -> Result<Fd, Errno> {
    sys::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, 0)
}

/// Looks up a path, or what is open as `at` when that is empty.
fn look(at: BorrowedFd<'_>, path: &CStr, flags: AtFlags) -> Result<Inode, Errno> {
    // The type and the device's number come unasked for, the mount's number since 5.8; before, a zero does.
    let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    match rustix::fs::statx(at, path, flags, mask) {
        Ok(stat) => Ok(Inode {
            on: Device::new(stat.stx_dev_major, stat.stx_dev_minor),
            mount: stat.stx_mnt_id,
            plain: is_plain(stat.stx_mode.into()),
        }),
        // A kernel before 4.11.
        Err(rustix::io::Errno::NOSYS) => {
            let stat = rustix::fs::statat(at, path, flags).map_err(errno)?;
            let on = Device::new(major(stat.st_dev), minor(stat.st_dev));
            Ok(Inode { on, mount: 0, plain: is_plain(stat.st_mode) })
        }
        Err(error) => Err(errno(error)),
    }
}

fn is_plain(mode: u32) -> bool {
    matches!(FileType::from_raw_mode(mode), FileType::Directory | FileType::RegularFile)
}

impl Freeze for Linux {
    const OFFERED: bool = cfg!(feature = "freeze");
    type Table = Fd;
    type Filesystem = Fd;
    type Mark = Fd;
    #[cfg(feature = "freeze")]
    type Freezer = qga_core::freezer::Freezer<Fd>;
    #[cfg(not(feature = "freeze"))]
    type Freezer = ();

    fn mounts(&mut self) -> Result<Fd, Errno> {
        read_only(c"/proc/self/mountinfo")
    }

    fn inspect(&mut self, path: &[u8]) -> Result<Inode, Errno> {
        // As stat(2) does, it lets an automount point be.
        look(CWD, self.path.path(path)?, AtFlags::NO_AUTOMOUNT)
    }

    fn open_mount(&mut self, path: &[u8]) -> Result<Fd, Errno> {
        read_only(self.path.path(path)?)
    }

    fn inspect_open(&mut self, filesystem: &Fd) -> Result<Inode, Errno> {
        look(filesystem.as_fd(), c"", AtFlags::EMPTY_PATH)
    }

    fn freeze(&mut self, filesystem: &Fd) -> Result<(), Errno> {
        // SAFETY: FIFREEZE takes no argument.
        unsafe { rustix::ioctl::ioctl(filesystem, NoArg::<FIFREEZE>::new()) }.map_err(errno)
    }

    fn thaw(&mut self, filesystem: &Fd) -> Result<(), Errno> {
        // SAFETY: FITHAW takes no argument.
        unsafe { rustix::ioctl::ioctl(filesystem, NoArg::<FITHAW>::new()) }.map_err(errno)
    }

    fn create_mark(&mut self, place: usize) -> Result<Fd, Errno> {
        self.state.ensure(self.path, false)?;
        self.state.create_mark(place)
    }

    fn publish_mark(&mut self, place: usize) -> Result<(), Errno> {
        self.state.publish_mark(place)
    }

    fn open_mark(&mut self, place: usize) -> Result<Fd, Errno> {
        self.state.open_mark(place)
    }

    fn remove_mark(&mut self, place: usize) -> Result<(), Errno> {
        self.state.remove_mark(place)
    }

    fn boot_id(&mut self) -> Result<[u8; 36], Errno> {
        let mut id = [0; 36];
        let file = read_only(c"/proc/sys/kernel/random/boot_id")?;
        match file.get(&mut id)? {
            36 => Ok(id),
            _ => Err(Errno::IO),
        }
    }
}
