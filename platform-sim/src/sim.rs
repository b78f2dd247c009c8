//! A handle on the guest: a platform call in, what the guest answers out. Invariant: no call
//! reaches the guest but past the fault plan, which counts and records it.

use crate::kind::Kind;
use crate::world::World;
use qga_core::Errno;
use std::cell::RefCell;
use std::rc::Rc;

/// A handle on the guest; clones are the same guest.
#[derive(Clone, Debug)]
pub struct Sim {
    world: Rc<RefCell<World>>,
}

impl Sim {
    /// A guest with a root in memory, `/dev`, `/etc`, `/proc`, `/run` and `/tmp`; `seed` decides
    /// the boot id and whatever is left to chance.
    pub fn new(seed: u64) -> Self {
        Sim { world: Rc::new(RefCell::new(World::new(seed))) }
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
        world.workers.pass()?;
        world.tasks.pass()?;
        world.faults.pass(kind, open)?;
        act(&mut world)
    }

    /// One platform call that cannot fail; `dead` is what it gives when the power is cut.
    pub(crate) fn sure<R>(&self, kind: Kind, dead: R, act: impl FnOnce(&mut World) -> R) -> R {
        let mut world = self.world.borrow_mut();
        match world.workers.pass().and_then(|()| world.faults.pass(kind, 0)) {
            Ok(()) => act(&mut world),
            Err(_) => dead,
        }
    }
}
