//! Disks: statfs(2), readlink(2), the admin command of NVMe.

use super::Linux;
use crate::errno::errno;
use crate::sys;
use qga_core::Errno;
use qga_core::platform::{Disks, HEALTH_BYTES, Usage};
use rustix::fs::OFlags;

impl Disks for Linux {
    const OFFERED: bool = cfg!(feature = "disks");

    fn usage(&mut self, path: &[u8]) -> Result<Usage, Errno> {
        let told = rustix::fs::statfs(self.path.path(path)?).map_err(errno)?;
        Ok(Usage {
            block_bytes: told.f_frsize as u64,
            blocks: told.f_blocks,
            free_blocks: told.f_bfree,
            available_blocks: told.f_bavail,
        })
    }

    fn link(&mut self, path: &[u8], into: &mut [u8]) -> Result<usize, Errno> {
        sys::read_link(self.path.path(path)?, into).map(|len| len as usize)
    }

    fn health(&mut self, path: &[u8], into: &mut [u8; HEALTH_BYTES]) -> Result<(), Errno> {
        let disk = sys::open(self.path.path(path)?, OFlags::RDONLY | OFlags::NONBLOCK, 0)?;
        sys::disk::nvme_health(&disk, into)
    }
}
