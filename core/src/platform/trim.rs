//! Telling disks which of their blocks no filesystem uses any more.

use crate::errno::Errno;

/// What came of a filesystem's trim, in bytes (`struct fstrim_range` of linux/fs.h).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trimmed {
    /// How much was given back.
    pub bytes: u64,
    /// Smaller extents were left alone: as much as was asked for, or as the disk can at least.
    pub minimum: u64,
}

/// Why nothing did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Untrimmed {
    /// The filesystem cannot be opened.
    Open(Errno),
    /// It cannot be trimmed: EOPNOTSUPP and ENOTTY where there is nothing to be told.
    Trim(Errno),
}

/// Filesystems that can be trimmed. What hangs here hangs in a copy of the agent
/// ([`super::Tasks`]).
pub trait Trim {
    /// Whether this guest has such, in `/proc/self/mountinfo`.
    const OFFERED: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        Self::OFFERED
    }

    /// Trims the filesystem that a path leads to, extents of `minimum` bytes and more (FITRIM).
    fn trim(&mut self, path: &[u8], minimum: u64) -> Result<Trimmed, Untrimmed> {
        let _ = (path, minimum);
        Err(Untrimmed::Trim(Errno::OPNOTSUPP))
    }
}
