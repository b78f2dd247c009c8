//! Mounts and freezing: /proc/self/mountinfo, stat(2), FIFREEZE, FITHAW, and the mark on tmpfs.

use super::Linux;
use crate::errno::errno;
use crate::fd::Fd;
use crate::sys;
use linux_raw_sys::general::{S_IFDIR, S_IFMT, S_IFREG};
use linux_raw_sys::ioctl::{FIFREEZE, FITHAW};
use qga_core::Errno;
use qga_core::freezer::Freezer;
use qga_core::platform::{Device, Freeze, Inode};
use rustix::fs::{AtFlags, CWD, OFlags, StatxFlags, major, minor};
use rustix::ioctl::NoArg;

fn read_only(path: &core::ffi::CStr) -> Result<Fd, Errno> {
    sys::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, 0)
}

#[inline(never)]
fn is_plain(mode: u32) -> bool {
    matches!(mode & S_IFMT, S_IFDIR | S_IFREG)
}

impl Freeze for Linux {
    const OFFERED: bool = true;
    type Table = Fd;
    type Filesystem = Fd;
    type Mark = Fd;
    type Freezer = Freezer<Fd>;

    fn mounts(&mut self) -> Result<Fd, Errno> {
        read_only(c"/proc/self/mountinfo")
    }

    fn inspect(&mut self, path: &[u8]) -> Result<Inode, Errno> {
        let path = self.path.path(path)?;
        // The type and the device's number come unasked for, the mount's number since 5.8; before, a zero does.
        let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        // As stat(2) does, it lets an automount point be.
        match rustix::fs::statx(CWD, path, AtFlags::NO_AUTOMOUNT, mask) {
            Ok(stat) => Ok(Inode {
                on: Device::new(stat.stx_dev_major, stat.stx_dev_minor),
                mount: stat.stx_mnt_id,
                plain: is_plain(stat.stx_mode.into()),
            }),
            // A kernel before 4.11.
            Err(rustix::io::Errno::NOSYS) => {
                let stat = rustix::fs::stat(path).map_err(errno)?;
                let on = Device::new(major(stat.st_dev), minor(stat.st_dev));
                Ok(Inode { on, mount: 0, plain: is_plain(stat.st_mode) })
            }
            Err(error) => Err(errno(error)),
        }
    }

    fn open_mount(&mut self, path: &[u8]) -> Result<Fd, Errno> {
        read_only(self.path.path(path)?)
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
        // Each frozen filesystem takes a descriptor, and the usual soft limit is below what the table holds.
        sys::raise_descriptor_limit();
        self.state.create_mark(place)
    }

    fn publish_mark(&mut self, place: usize) -> Result<(), Errno> {
        self.state.publish_mark(place)
    }

    fn open_mark(&mut self, place: usize) -> Result<Fd, Errno> {
        let mark = self.state.open_mark(place)?;
        // What it lists is held open, too.
        sys::raise_descriptor_limit();
        Ok(mark)
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
