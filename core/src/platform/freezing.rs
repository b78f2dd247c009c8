//! What the agent asks of whatever keeps track of a freeze: the one trait, its answers, and `()`, which has nothing to
//! do and takes no memory.

use crate::error::Error;

/// The answer to guest-fsfreeze-status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Nothing of ours is frozen.
    Thawed,
    /// Something of ours is.
    Frozen,
    /// Something of ours is, and could not be thawed, or is gone.
    Error,
}

/// What the agent asks of whatever keeps track of a freeze: a [`crate::freezer::Freezer`], or `()` in a guest that freezes
/// nothing, which takes no memory.
pub trait Freezing<P: ?Sized> {
    /// One that has frozen nothing; all zero.
    const NEW: Self;

    /// Whether anything of ours is frozen.
    fn is_frozen(&self) -> bool {
        false
    }

    /// Whether it holds something frozen, or may mean anything: more than not being able to know, which counts as
    /// frozen, too.
    fn holds(&self) -> bool {
        false
    }

    /// The present state.
    fn status(&self) -> Status {
        Status::Thawed
    }

    /// Room for a line of the mount table.
    fn scratch(&mut self) -> &mut [u8] {
        &mut []
    }

    /// Whether nothing is to be frozen when something would be left out: see
    /// [`crate::Agent::refuse_unreachable`].
    fn set_strict(&mut self, strict: bool) {
        let _ = strict;
    }

    /// Takes over from an agent before this one.
    fn restore(&mut self, platform: &mut P) {
        let _ = platform;
    }

    /// Freezes everything; returns how many filesystems.
    fn freeze<'s>(&'s mut self, platform: &mut P) -> Result<i64, Error<'s>> {
        let _ = platform;
        Ok(0)
    }

    /// Thaws what was frozen; returns how many filesystems run again.
    fn thaw<'s>(&'s mut self, platform: &mut P) -> Result<i64, Error<'s>> {
        let _ = platform;
        Ok(0)
    }

    /// Thaws because the time is over; whether everything runs again. The thaw that its client may still send
    /// then finds nothing to do, not even what somebody else has frozen since.
    fn expire(&mut self, platform: &mut P) -> bool {
        let _ = platform;
        true
    }
}

impl<P: ?Sized> Freezing<P> for () {
    const NEW: Self = ();
}
