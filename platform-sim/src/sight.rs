//! What an agent can see of the mounts: which superblocks a path leads to, and which are hidden
//! from it.

use crate::mounts::{Mount, Mounts};

impl Mounts {
    /// The superblocks that can be frozen and that a path leads to, each once, in mount order.
    pub fn reachable(&self) -> Vec<usize> {
        let mut found = Vec::new();
        for mount in &self.list {
            let known = !mount.is_local() || mount.is_cut() || found.contains(&mount.superblock);
            // A device is known by its number, whichever of its mounts at that place is uppermost;
            // a btrfs is not. Below a mount that covers the whole place there is nothing of that
            // name.
            let leads_there = |upper: &Mount| {
                let same = upper.point == mount.point && mount.device.major() != 0;
                upper.id == mount.id || same && upper.device == mount.device
            };
            if !known && self.covering(&mount.point).is_some_and(leads_there) {
                found.push(mount.superblock);
            }
        }
        found
    }

    /// What should be frozen and is out of the agent's sight: the first mount of each superblock
    /// that no path leads to and that somebody can write to.
    pub fn hidden(&self) -> Vec<&Mount> {
        let reachable = self.reachable();
        let mut found: Vec<&Mount> = Vec::new();
        for mount in self.list.iter().filter(|mount| mount.is_local() || mount.is_cut()) {
            let number = mount.superblock;
            let read_only = mount.read_only || self.superblocks[number].read_only;
            let known = read_only || reachable.contains(&number);
            if !known && found.iter().all(|other| other.superblock != number) {
                found.push(mount);
            }
        }
        found
    }
}
