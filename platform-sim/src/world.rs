//! The whole guest as data: a seed and what somebody puts there come in, what the agent did to it
//! can be looked at. Invariant: what no agent may do is put down in [`World::violations`] and has
//! no other effect.

use crate::accounts::Accounts;
use crate::canary::Canary;
use crate::clock::Time;
use crate::exec::Execs;
use crate::faults::Faults;
use crate::files::{Content, Tree};
use crate::hooks::Hook;
use crate::mounts::{Hang, Mounts};
use crate::power::Machine;
use crate::random::Random;
use crate::store::Store;
use crate::system::System;
use crate::tasks::Tasks;
use crate::workers::Workers;
use qga_core::Errno;
use qga_core::platform::{Device, Inode, Level};

/// One line of the agent's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// What it says.
    pub text: String,
}

/// How many things the agent holds open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Open {
    /// Files of guest-file-open.
    pub files: usize,
    /// Mount points.
    pub filesystems: usize,
    /// The frozen mark.
    pub marks: usize,
    /// The mount table.
    pub tables: usize,
    /// Texts.
    pub texts: usize,
}

impl Open {
    /// What a freeze takes of them.
    pub(crate) fn of_freezes(self) -> usize {
        self.filesystems + self.marks + self.tables
    }
}

/// The whole guest.
#[derive(Debug)]
pub struct World {
    /// Files and folders.
    pub files: Tree,
    /// Mounted filesystems and which of them are frozen.
    pub mounts: Mounts,
    /// What outlives an agent: saved state, frozen mark, boot id.
    pub store: Store,
    /// Programs, init, processes, and how the guest ended.
    pub machine: Machine,
    /// Programs of clients.
    pub exec: Execs,
    /// Who makes lists that may take time.
    pub tasks: Tasks,
    /// Users.
    pub accounts: Accounts,
    /// What is told of freezes, if anything.
    pub hook: Option<Hook>,
    /// Who freezes and thaws.
    pub workers: Workers,
    /// What the guest says of itself.
    pub system: System,
    /// The clocks.
    pub time: Time,
    /// The fault plan and the record of all calls.
    pub faults: Faults,
    /// What the agent logged.
    pub log: Vec<LogLine>,
    /// What the agent holds open.
    pub open: Open,
    /// What the agent must not have done: each entry is a bug of the core.
    pub violations: Vec<String>,
    /// The bug that this guest has on purpose, if any.
    pub canary: Option<Canary>,
}

impl World {
    /// A guest with a root in memory, `/dev`, `/etc`, `/proc`, `/run` and `/tmp`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        World {
            files: Tree::new(),
            mounts: Mounts::new(),
            store: Store::new(&mut random),
            machine: Machine::new(),
            system: System::new(),
            exec: Execs::default(),
            tasks: Tasks::default(),
            accounts: Accounts::new(),
            hook: None,
            workers: Workers::default(),
            time: Time::new(),
            faults: Faults::new(random),
            log: Vec::new(),
            open: Open::default(),
            violations: Vec::new(),
            canary: None,
        }
    }

    /// Says whether the agent's own freeze forbids writing now, and puts it down if it does.
    pub(crate) fn forbid_while_frozen(&mut self, what: &str) -> bool {
        let frozen = self.mounts.is_frozen_by_agent();
        if frozen {
            let call = self.faults.calls();
            self.violations.push(format!("{what} while filesystems are frozen (call {call})"));
        }
        frozen
    }

    /// Puts it down when the agent freezes what lies on something that it has frozen already: that
    /// would never come back.
    pub(crate) fn forbid_above_frozen(&mut self, superblock: usize) {
        if let Some(below) = self.mounts.frozen_below(superblock)
            && !self.mounts.lies_untold
        {
            let [upper, lower] =
                [superblock, below].map(|number| self.mounts.superblocks[number].device);
            self.violations.push(format!("{upper:?} freezes on {lower:?}, which is frozen"));
        }
    }

    /// Mounts a filesystem, making its mount point a folder if there is no file of that name. One
    /// whose device is mounted already is the same filesystem at another place (a bind mount).
    pub fn mount(&mut self, kind: &str, device: Device, point: &str) {
        let source = format!("/dev/disk-{}-{}", device.major(), device.minor());
        self.files.add(&source, Content::Block(device));
        self.mount_from(kind, device, &source, point);
    }

    /// Mounts `source`. With device major 0 the filesystem is that on the block device `source`:
    /// for btrfs `device` is the number of the subvolume.
    pub fn mount_from(&mut self, kind: &str, device: Device, source: &str, point: &str) {
        let below = match self.files.content(source.as_bytes()) {
            Ok(Content::Block(block)) => block,
            _ => device,
        };
        if self.files.content(point.as_bytes()).is_err() {
            self.files.add(point, Content::Directory);
        }
        self.mounts.add(kind, device, source, point.as_bytes(), below);
    }

    pub(crate) fn inspect(&self, path: &[u8]) -> Result<Inode, Errno> {
        let (path, inode) = self.files.resolve(path)?;
        let inode = inode.ok_or(Errno::NOENT)?;
        let mount = self.mounts.covering(&path).ok_or(Errno::NOENT)?;
        let hidden = mount.point != path
            && self.mounts.list.iter().any(|other| other.point == path && other.id < mount.id);
        if hidden {
            return Err(Errno::NOENT);
        }
        let plain = matches!(inode.borrow().content, Content::Directory | Content::Regular(_));
        Ok(Inode { on: mount.device, mount: mount.number(), plain })
    }

    /// Whether a call of this kind on a filesystem comes back.
    pub(crate) fn hang_of(&mut self, superblock: usize, hang: Hang) -> Result<(), Errno> {
        if self.mounts.superblocks[superblock].hangs == Some(hang) {
            return Err(self.workers.hang());
        }
        Ok(())
    }

    /// Whether looking at a path comes back.
    pub(crate) fn hang_at(&mut self, path: &[u8]) -> Result<(), Errno> {
        match self.mounts.covering(path).map(|mount| mount.superblock) {
            Some(superblock) => self.hang_of(superblock, Hang::Look),
            None => Ok(()),
        }
    }
}
