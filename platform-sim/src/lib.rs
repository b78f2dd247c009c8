//! A guest as plain data: what it consists of goes in, what the agent did to it can be looked at.
//!
//! A [`Sim`] is a platform for [`qga_core::Agent`]. It outlives agents, as a guest does: files,
//! frozen filesystems, the frozen mark and the saved state stay when an agent is dropped and
//! another one is started. Nothing in here looks at the real machine, and nothing depends on time
//! or chance but for the seed, so a run can be repeated exactly.
//!
//! Every platform call passes [`Faults`] first: it is counted, recorded, and fails if the plan says
//! so. What no agent may do (log, or write to a filesystem, while that is frozen) does not hang as
//! it would in a real guest but is put down in [`World::violations`].

#![forbid(unsafe_code)]

pub mod canary;
pub mod clock;
pub mod drive;
mod errnos;
pub mod faults;
pub mod files;
pub mod freeze;
pub mod init;
pub mod mounts;
pub mod power;
mod sight;
pub mod store;
mod table;

pub use canary::Canary;
pub use drive::Session;
pub use faults::{Call, Fault, Faults, Kind, Random};

use clock::Time;
use files::Tree;
use mounts::Mounts;
use power::Machine;
use qga_core::Errno;
use qga_core::platform::{Level, Log};
use std::cell::RefCell;
use std::rc::Rc;
use store::Store;

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
}

impl Open {
    /// What a freeze takes of them.
    fn of_freezes(self) -> usize {
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
    /// Says whether the agent's own freeze forbids writing now, and puts it down if it does.
    fn forbid_while_frozen(&mut self, what: &str) -> bool {
        let frozen = self.mounts.is_frozen_by_agent();
        if frozen {
            let call = self.faults.calls();
            self.violations.push(format!("{what} while filesystems are frozen (call {call})"));
        }
        frozen
    }
}

/// A handle on the guest; clones are the same guest.
#[derive(Clone, Debug)]
pub struct Sim {
    world: Rc<RefCell<World>>,
}

impl Sim {
    /// A guest with a root in memory, `/dev`, `/etc`, `/proc`, `/run` and `/tmp`; `seed` decides
    /// the boot id and whatever is left to chance.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let world = World {
            files: Tree::new(),
            mounts: Mounts::new(),
            store: Store::new(&mut random),
            machine: Machine::new(),
            time: Time::new(),
            faults: Faults::new(random),
            log: Vec::new(),
            open: Open::default(),
            violations: Vec::new(),
            canary: None,
        };
        Sim { world: Rc::new(RefCell::new(world)) }
    }

    /// Looks at the guest or changes it, as somebody who is not the agent.
    pub fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        act(&mut self.world.borrow_mut())
    }

    /// One platform call: past the fault plan, then `act`.
    pub(crate) fn call<R>(
        &self,
        kind: Kind,
        act: impl FnOnce(&mut World) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        let mut world = self.world.borrow_mut();
        let open = world.open.of_freezes();
        world.faults.pass(kind, open)?;
        act(&mut world)
    }

    /// One platform call that cannot fail; `dead` is what it gives when the power is cut.
    pub(crate) fn sure<R>(&self, kind: Kind, dead: R, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world.borrow_mut();
        match world.faults.pass(kind, 0) {
            Ok(()) => act(&mut world),
            Err(_) => dead,
        }
    }
}

impl Log for Sim {
    fn log(&mut self, level: Level, pieces: &[&str]) {
        self.log_of(level, pieces, b"");
    }

    fn log_of(&mut self, level: Level, pieces: &[&str], path: &[u8]) {
        self.sure(Kind::Log, (), |world| {
            world.forbid_while_frozen("log");
            let text = format!("{}{}", pieces.concat(), path.escape_ascii());
            world.log.push(LogLine { level, text });
        });
    }
}
