//! Mounts and freezing: /proc/self/mountinfo, stat(2), FIFREEZE, FITHAW, and the mark on tmpfs.

use super::Linux;
use crate::errno::errno;
use crate::fd::Fd;
use crate::sys;
use linux_raw_sys::ioctl::{FIFREEZE, FITHAW};
use qga_core::Errno;
use qga_core::freezer::Freezer;
use qga_core::platform::{Device, Freeze, Inode};
use rustix::fs::{FileType, OFlags};
use rustix::ioctl::NoArg;

fn device(number: u64) -> Device {
    Device::new(rustix::fs::major(number), rustix::fs::minor(number))
}

fn read_only(path: &core::ffi::CStr) -> Result<Fd, Errno> {
    sys::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, 0)
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
        let stat = rustix::fs::stat(self.path.path(path)?).map_err(errno)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let plain = matches!(kind, FileType::Directory | FileType::RegularFile);
        Ok(Inode { on: device(stat.st_dev), plain })
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

    fn create_mark(&mut self) -> Result<Fd, Errno> {
        // Each frozen filesystem takes a descriptor, and the usual soft limit is below what the table holds.
        sys::raise_descriptor_limit();
        self.state.create_mark()
    }

    fn publish_mark(&mut self) -> Result<(), Errno> {
        self.state.publish_mark()
    }

    fn open_mark(&mut self) -> Result<Fd, Errno> {
        self.state.open_mark()
    }

    fn remove_mark(&mut self) -> Result<(), Errno> {
        self.state.remove_mark()
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
