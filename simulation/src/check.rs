//! The oracle: what must be true after every act, and at the end of a session.

use crate::play::{Agent, Play};
use crate::reply;
use crate::source::Source;
use crate::stops::frozen_by_agent;
use qga_core::freezer::Status;

impl<S: Source> Play<S> {
    /// What must be true after every act.
    pub(crate) fn check(&mut self) {
        self.check_time();
        let handles = self.session.agent().state().files.len();
        let status = self.session.agent().state().freezer.status();
        assert_eq!(self.session.agent().is_frozen(), status != Status::Thawed);
        let (ended, frozen, mounted, marked, others) = self.session.sim.with(|world| {
            // Nothing was written or logged while frozen.
            assert!(world.violations.is_empty(), "{:?}", world.violations);
            let ended = world.machine.ending.is_some();
            if !ended {
                // No descriptor leaked.
                assert_eq!(world.open.files, handles, "files are open that no handle owns");
                assert_eq!(
                    (world.open.marks, world.open.tables),
                    (0, 0),
                    "marks, tables left open"
                );
                if status == Status::Thawed {
                    assert_eq!(world.open.filesystems, 0, "filesystems left open");
                }
            }
            let mounted = world.mounts.is_frozen_by_agent();
            let marked = world.store.is_marked();
            (ended, frozen_by_agent(world), mounted, marked, world.mounts.thawed_of_others)
        });
        if ended {
            return;
        }
        assert!(self.model.files.len() <= handles, "an open file is gone");
        assert!(!self.model.complete || self.model.files.len() == handles, "a file too much");
        // The frozen flag is the world's.
        assert!(!mounted || status != Status::Thawed, "called thawed, and is not");
        assert!(!mounted || marked, "frozen, and no mark for the next agent");
        assert_eq!(others, self.thawed_of_others, "thawed what others had frozen");
        if status == Status::Thawed {
            self.recorded = 0;
            self.listless &= marked;
            // Nothing is recorded any more: whatever was not known of it does not matter.
            self.sure |= !marked;
        } else if self.sure {
            assert_ne!(self.recorded, 0, "called {status:?}, and is not");
            assert_eq!(frozen & !self.recorded, 0, "frozen without being on record");
            assert!(marked, "called {status:?} without a mark");
        }
    }

    /// What the client knows is looked up anew, after a request whose reply was lost.
    pub(crate) fn look_again(&mut self) {
        self.model.complete = false;
        self.model.files.iter_mut().for_each(|file| file.position = None);
        // The request that was lost may have closed one.
        self.model.files.clear();
        let next = self.session.sim.with(|world| {
            self.model.look_at_all(world);
            // Without a state no file was opened yet.
            world.store.state.as_deref().map_or(Some(1000), |state| {
                let line = std::str::from_utf8(state).ok()?.lines().nth(1)?;
                line.strip_prefix("fd_counter=")?.parse().ok()
            })
        });
        // Numbers that were saved and never told to anybody are skipped.
        self.model.next_handle = self.model.next_handle.max(next.unwrap_or(0));
    }

    /// Everything that was broken is repaired: the agent answers, and what it froze runs again.
    pub(crate) fn end(mut self) -> Agent {
        if self.over() {
            return self.session;
        }
        self.session.sim.with(|world| {
            world.faults.mend();
            world.mounts.superblocks.iter_mut().for_each(|superblock| superblock.thaw_error = None);
        });
        // A shutdown may still be under way, and may come to its end.
        self.settle();
        if self.over() {
            return self.session;
        }
        self.dirty = true;
        let answered = self.must("guest-sync", format_args!("\"id\": 7"));
        assert!(answered.is_some_and(|value| reply::number(self.text(value)) == 7), "no answer");
        // What covers a frozen filesystem is taken away: nobody could thaw it otherwise.
        self.uncover();
        // A mark that could not be removed makes the next agent careful, once.
        for _ in 0..2 {
            if self.session.agent().is_frozen() {
                self.thaw();
                self.check();
                // What is gone is reported, and off the record; everything else runs.
                assert!(!self.session.agent().is_frozen(), "a thaw without faults");
            }
            self.restart();
            self.check();
            let marked = self.session.sim.with(|world| world.store.is_marked());
            if !marked && !self.session.agent().is_frozen() {
                break;
            }
        }
        assert_eq!(self.session.agent().state().freezer.status(), Status::Thawed);
        self.session.sim.with(|world| {
            assert_eq!((world.open.files, world.open.filesystems), (0, 0), "left open");
            assert!(!world.store.is_marked(), "a mark was left behind");
        });
        self.session
    }
}
