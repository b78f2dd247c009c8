//! Stopping: the word that the agent is to stop comes in; what it froze is thawed first, and
//! whoever was told, or was about to be told, that everything is frozen gets an error instead; then
//! it exits.
//!
//! Invariant: no reply that says that all is frozen leaves when that is true no more.

use super::doing::{Asker, refuse};
use super::{Agent, Step};
use crate::error::{Error, TAKEN_BACK};
use crate::limits::STOP_REPLY_MS_MAX;
use crate::platform::{FreezeStatus, Freezing as _, Platform, Reason};

impl<P: Platform, const FRAME: usize, const WINDOW: usize> Agent<P, FRAME, WINDOW> {
    /// Thaws and then stops. While something cannot be thawed the agent stays, and while it ends
    /// the machine. A client that has not been told yet that everything is frozen gets an error, if
    /// it takes that soon; nobody else is served any more. A thaw that takes time goes on with
    /// [`Agent::step`].
    pub fn stop(&mut self, platform: &mut P) {
        if self.state.freezer.is_frozen() {
            // What fails stays on record, and the agent with it.
            self.state.freezer.thaw(platform, Reason::Stop);
        }
        // Told once more, it waits for nobody.
        self.stop.owed &= !self.stop.ends;
        self.stop.told = true;
        // Whoever waits for a freeze, or was about to be told of one, learns that it is over.
        self.follow(platform);
        self.take_back();
        self.stop_if_thawed(platform);
    }

    /// Stops when it was told to, as soon as the thaw for that is over.
    pub(super) fn stop_if_thawed(&mut self, platform: &mut P) {
        if !self.stop.told || self.state.freezer.is_under_way() {
            return;
        }
        self.stop.told = false;
        self.stop.ends = !self.state.freezer.is_frozen() && !self.state.shutdown.ends_all();
        if self.stop.owed && self.stop.ends {
            self.respond(platform);
            self.deadline_ms = Some(platform.now_ms().saturating_add(STOP_REPLY_MS_MAX));
        } else if self.stop.ends {
            self.window.clear();
        }
    }

    /// Puts an error in the place of a reply that says that all is frozen, if that is true no more.
    pub(super) fn take_back(&mut self) {
        let freezer = &self.state.freezer;
        let untrue =
            |_: &mut Asker| freezer.status() != FreezeStatus::Frozen || freezer.is_under_way();
        let Some(Asker { id, frame }) = self.told.take_if(untrue) else { return };
        let error = Error::Text(TAKEN_BACK);
        refuse(&mut self.doing, &mut self.window, &error, id, frame);
        self.stop.owed = true;
    }

    /// Ends, as soon as the last reply has left or has waited long enough.
    pub(super) fn end(&self, platform: &mut P) -> Step {
        let over = self.deadline_ms.is_none_or(|at_ms| platform.now_ms() >= at_ms);
        let idle = self.window.pending().is_empty();
        if over || idle { Step::Exit } else { Step::Transmit }
    }
}
