//! What the agent asks of whatever keeps track of a freeze: the one trait comes in, its two answers go out, a
//! [`Freezer`] that does it all and `()`, which has nothing to do and takes no memory.

use super::{Freezer, Status};
use crate::error::Error;
use crate::platform::{Freeze, Log};

/// What the agent asks of whatever keeps track of a freeze: a [`Freezer`], or `()` in a guest that freezes
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

impl<P: Freeze + Log> Freezing<P> for Freezer<P::Filesystem> {
    const NEW: Self = Freezer::new();

    fn is_frozen(&self) -> bool {
        Freezer::is_frozen(self)
    }

    fn holds(&self) -> bool {
        // Without a list any filesystem may be meant.
        self.listless || self.entries.iter().any(|entry| entry.frozen)
    }

    fn status(&self) -> Status {
        Freezer::status(self)
    }

    fn scratch(&mut self) -> &mut [u8] {
        &mut self.line
    }

    fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    fn restore(&mut self, platform: &mut P) {
        Freezer::restore(self, platform);
    }

    fn freeze<'s>(&'s mut self, platform: &mut P) -> Result<i64, Error<'s>> {
        Freezer::freeze(self, platform)
    }

    fn thaw<'s>(&'s mut self, platform: &mut P) -> Result<i64, Error<'s>> {
        Freezer::thaw(self, platform)
    }

    fn expire(&mut self, platform: &mut P) -> bool {
        // What fails stays on record.
        let _ = Freezer::thaw(self, platform);
        self.expired = !self.frozen;
        self.expired
    }
}
