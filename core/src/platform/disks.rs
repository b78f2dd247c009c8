//! Disks and the filesystems on them, as far as texts do not tell of them.

use super::Device;
use crate::errno::Errno;

/// How full a filesystem is, in blocks (statfs(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// How long a block is, in bytes.
    pub block_bytes: u64,
    /// How many blocks there are.
    pub blocks: u64,
    /// How many are free.
    pub free_blocks: u64,
    /// How many of these are for everybody.
    pub available_blocks: u64,
}

/// Length of what an NVMe controller tells of its health (NVM Express Base Specification, "SMART /
/// Health Information").
pub const HEALTH_BYTES: usize = 512;

/// Disks. What hangs here hangs in a copy of the agent ([`super::Tasks`]).
pub trait Disks {
    /// Whether this guest has disks that it can tell about: below `/sys`, and in
    /// `/proc/self/mountinfo`.
    const OFFERED: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        Self::OFFERED
    }

    /// How full the filesystem is that a path leads to (statfs(2)). Errors: ENOENT, EACCES, EIO.
    fn usage(&mut self, path: &[u8]) -> Result<Usage, Errno> {
        let _ = path;
        Err(Errno::OPNOTSUPP)
    }

    /// Where a link leads, into `into`; how long that is (readlink(2)). Errors: ENOENT, EINVAL for
    /// what is no link.
    fn link(&mut self, path: &[u8], into: &mut [u8]) -> Result<usize, Errno> {
        let _ = (path, into);
        Err(Errno::NOENT)
    }

    /// What the controller of an NVMe disk tells of its health (NVME_IOCTL_ADMIN_CMD). Errors:
    /// EACCES, ENOENT, ENOTTY for a disk of another kind, EIO when the controller refuses.
    fn health(&mut self, path: &[u8], into: &mut [u8; HEALTH_BYTES]) -> Result<(), Errno> {
        let _ = (path, into);
        Err(Errno::OPNOTSUPP)
    }
}

impl Device {
    /// As one number of 32 bits: kernels have no larger ones (`MINORBITS` of linux/kdev_t.h).
    pub const fn word(self) -> u32 {
        self.major() << 20 | self.minor()
    }
}
