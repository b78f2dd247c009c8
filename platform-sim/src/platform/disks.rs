//! Disks: what the guest's data says of them.

use crate::kind::Kind;
use crate::mounts::Hang;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::{Disks, HEALTH_BYTES, Usage};

impl Disks for Sim {
    const OFFERED: bool = true;

    fn usage(&mut self, path: &[u8]) -> Result<Usage, Errno> {
        self.call(Kind::Usage, |world| {
            let mount = world.mounts.covering(path).ok_or(Errno::NOENT)?;
            if world.mounts.superblocks[mount.superblock].hangs == Some(Hang::Look) {
                return Err(world.tasks.hang());
            }
            Ok(world.system.usage)
        })
    }

    fn link(&mut self, path: &[u8], into: &mut [u8]) -> Result<usize, Errno> {
        self.call(Kind::Link, |world| {
            let path = std::str::from_utf8(path).map_err(|_| Errno::NOENT)?;
            let to = world.system.link_at(path).ok_or(Errno::NOENT)?.as_bytes();
            let len = to.len().min(into.len());
            into[..len].copy_from_slice(&to[..len]);
            Ok(len)
        })
    }

    fn health(&mut self, path: &[u8], into: &mut [u8; HEALTH_BYTES]) -> Result<(), Errno> {
        self.call(Kind::Health, |world| {
            if !path.starts_with(b"/dev/nvme") {
                return Err(Errno::NOTTY);
            }
            *into = world.system.health;
            Ok(())
        })
    }
}
