//! Trimming: every filesystem gives back what it has free.

use crate::kind::Kind;
use crate::mounts::Hang;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::{Trim, Trimmed, Untrimmed};

impl Trim for Sim {
    const OFFERED: bool = true;

    fn trim(&mut self, path: &[u8], minimum: u64) -> Result<Trimmed, Untrimmed> {
        self.call(Kind::OpenTrim, |world| {
            world.mounts.covering(path).map(drop).ok_or(Errno::NOENT)
        })
        .map_err(Untrimmed::Open)?;
        let trimmed = self.call(Kind::Trim, |world| {
            let mount = world.mounts.covering(path).ok_or(Errno::NOENT)?;
            let superblock = mount.superblock;
            if world.mounts.superblocks[superblock].hangs == Some(Hang::Look) {
                return Err(world.tasks.hang());
            }
            if minimum > i64::MAX as u64 {
                return Err(Errno::INVAL);
            }
            if world.system.untrimmable.contains(&superblock) {
                return Err(Errno::OPNOTSUPP);
            }
            let usage = world.system.usage;
            Ok(Trimmed { bytes: usage.free_blocks * usage.block_bytes, minimum })
        });
        trimmed.map_err(Untrimmed::Trim)
    }
}
