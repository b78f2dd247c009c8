//! What the agent asks of whatever keeps track of a freeze: the one trait, its answers, and `()`,
//! which has nothing to do and takes no memory.

use super::{Strings, Task};
use crate::error::Error;

/// The answer to guest-fsfreeze-status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FreezeStatus {
    /// Nothing of ours is frozen.
    Thawed,
    /// Something of ours is.
    Frozen,
    /// Something of ours is, and could not be thawed, or is gone.
    Error,
}

/// Why something is thawed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// A client asks for it.
    Asked,
    /// The agent was told to stop.
    Stop,
    /// The time is over. The thaw that its client may still send then finds nothing to do, not even
    /// what somebody else has frozen since.
    Over,
}

/// What the agent asks of whatever keeps track of a freeze: a [`crate::freezer::Freezer`], or `()`
/// in a guest that freezes nothing, which takes no memory.
pub trait Freezing<P: ?Sized> {
    /// One that has frozen nothing; all zero.
    const NEW: Self;

    /// Whether anything of ours is frozen.
    fn is_frozen(&self) -> bool {
        false
    }

    /// Whether it holds something frozen, or may mean anything: more than not being able to know,
    /// which counts as frozen, too.
    fn holds(&self) -> bool {
        false
    }

    /// The present state.
    fn status(&self) -> FreezeStatus {
        FreezeStatus::Thawed
    }

    /// The same for a client, which may act on it.
    fn tell_status(&mut self) -> FreezeStatus {
        self.status()
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

    /// How long one filesystem may take before it counts as hanging: see
    /// [`crate::Agent::limit_steps`].
    fn set_step_limit(&mut self, ms_max: u64) {
        let _ = ms_max;
    }

    /// Begins to take over from an agent before this one.
    fn restore(&mut self, platform: &mut P) {
        let _ = platform;
    }

    /// Begins to freeze everything, or only what is mounted where these say; for `ms_max`
    /// milliseconds at most, or for as long as nobody thaws.
    fn freeze(&mut self, platform: &mut P, only: Option<Strings<'_>>, ms_max: Option<u64>) {
        let _ = (platform, only, ms_max);
    }

    /// How long the present freeze may last, in milliseconds, if its client has said that.
    fn ms_max(&self) -> Option<u64> {
        None
    }

    /// Begins to thaw what was frozen. A freeze that is under way is given up.
    fn thaw(&mut self, platform: &mut P, reason: Reason) {
        let _ = (platform, reason);
    }

    /// Does a task, in the agent or in a worker, and tells what came of it.
    fn run(&mut self, platform: &mut P, task: Task, only: Option<Strings<'_>>) {
        let _ = (platform, task, only);
    }

    /// Goes on with what is under way. To be called with every step.
    fn follow(&mut self, platform: &mut P) {
        let _ = platform;
    }

    /// Looks for what may have been left behind. To be called with every step in which nobody waits
    /// for an [`Freezing::outcome`].
    fn tidy(&mut self, platform: &mut P) {
        let _ = platform;
    }

    /// Whether files can be written to: nothing is frozen, nor can it be by something that hangs.
    fn may_write(&self) -> bool {
        true
    }

    /// Whether any of that is under way.
    fn is_under_way(&self) -> bool {
        false
    }

    /// The time of [`super::Clock::now_ms`] by which to go on with it; `u64::MAX` for never.
    fn next_ms(&self) -> u64 {
        u64::MAX
    }

    /// What came of the freeze or thaw begun last: how many filesystems.
    fn outcome(&self) -> Result<i64, Error<'_>> {
        Ok(0)
    }
}

impl<P: ?Sized> Freezing<P> for () {
    const NEW: Self = ();
}
