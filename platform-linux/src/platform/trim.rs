//! Filesystems that tell their disks what they do not use: FITRIM.

use super::Linux;
use crate::sys;
use qga_core::platform::{Trim, Trimmed, Untrimmed};
use rustix::fs::OFlags;

impl Trim for Linux {
    const OFFERED: bool = cfg!(feature = "trim");

    fn trim(&mut self, path: &[u8], minimum: u64) -> Result<Trimmed, Untrimmed> {
        let path = self.path.path(path).map_err(Untrimmed::Open)?;
        let mount =
            sys::open(path, OFlags::RDONLY | OFlags::DIRECTORY, 0).map_err(Untrimmed::Open)?;
        let [bytes, minimum] = sys::disk::trim(&mount, minimum).map_err(Untrimmed::Trim)?;
        Ok(Trimmed { bytes, minimum })
    }
}
