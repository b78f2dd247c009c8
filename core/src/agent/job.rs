//! What takes longer than a step: it is followed at each step, what comes of it becomes the
//! response, and meanwhile the channel is listened to for a guest-sync, with which whoever has
//! asked has given up.

use super::Agent;
use super::doing::{Asker, Doing, refuse};
use crate::frame::Scan;
use crate::platform::{Freezing as _, Platform};
use crate::response::{Cursor, Echo, RETURN};
use crate::shutdown::Progress;

impl<P: Platform, const FRAME: usize, const WINDOW: usize> Agent<P, FRAME, WINDOW> {
    /// Goes on with what takes longer, if anything does. It has no reply when nobody waits for it.
    pub(super) fn follow(&mut self, platform: &mut P) {
        self.deadline_ms = None;
        self.state.freezer.follow(platform);
        let Some(poll) = self.job.poll else { return };
        let progress = poll(platform, &mut self.state);
        if let Progress::Wait(until) = progress {
            self.deadline_ms = Some(until);
            return;
        }
        self.job.poll = None;
        let finish = self.job.finish.take();
        if finish.is_none() || self.job.asker.is_none() {
            self.job.alone = None;
        }
        let Some(asker) = self.job.asker.take() else { return };
        match (&progress, finish) {
            (Progress::Done(Err(error)), _) => {
                refuse(&mut self.doing, &mut self.window, error, asker.id, asker.frame);
                self.stop.owed = true;
            }
            (_, None) => {}
            (_, finish) => {
                let mut out = self.window.writer();
                out.ascii(RETURN);
                let len = out.len();
                self.window.keep(len);
                self.cursor = Cursor::new();
                let Asker { id, frame } = asker.clone();
                self.doing = Doing::Responding(finish, Echo::new(id), frame);
                self.told = self.state.freezer.is_frozen().then_some(asker);
                self.respond(platform);
            }
        }
    }

    /// Looks for the next request. While something is frozen it may not be large: memory may be
    /// short, and who is killed for it cannot thaw. While somebody waits for what takes longer it
    /// waits, too, unless it is a guest-sync: then whoever waited has given up, or gone.
    pub(super) fn scan(&mut self, platform: &mut P) -> Scan {
        if self.job.asker.is_some() {
            while self.job.held == Scan::More {
                let found = self.framer.scan();
                if self.is_sync(platform, found) {
                    self.job.nobody_asks();
                    return found;
                }
                match found {
                    Scan::More => break,
                    // What only looked like one is nothing.
                    Scan::Sync => {}
                    found => self.job.held = found,
                }
            }
            return Scan::More;
        }
        let held = core::mem::replace(&mut self.job.held, Scan::More);
        if held != Scan::More {
            return held;
        }
        self.framer.limit(self.state.freezer.is_frozen());
        self.framer.scan()
    }
}
