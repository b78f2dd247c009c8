//! Thawing: what is held, or what an earlier agent's mark lists, or everything that can be reached.
//! Whatever fails, what can run again does.

use super::listing::reach;
use super::telling::tell_about;
use super::worker::tell_done;
use super::{Entry, Freezer, GONE, Marks, NO_LIST, is_no_more_than_gone};
use crate::errno::Errno;
use crate::mark::{self, Phase, RecordState};
use crate::mountinfo::each_local;
use crate::platform::{Clock, Failure, Freeze, Log, What};

impl<F> Freezer<F> {
    /// Thaws what the entries say.
    pub(super) fn thaw_recorded<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
    ) -> Result<(), Failure> {
        loop {
            let missing = if self.standing.inherited { self.inherit(platform) } else { None };
            if missing == Some(NO_LIST) {
                let thawed = self.thaw_everything(platform);
                match thawed {
                    Ok(_) => self.forget(platform),
                    Err(_) => self.standing.failed = true,
                }
                return thawed;
            }
            let mut mark = Marks::open(platform);
            let before = self.count;
            let thawed = self.thaw_entries(platform, &mut mark, missing);
            // What runs again has let its descriptor go, and a descriptor may be all that the rest
            // wanted.
            if !self.standing.frozen || !self.standing.inherited || self.count == before {
                return thawed;
            }
        }
    }

    /// Thaws what this agent froze, or took over; `missing` is why something else could not be
    /// found. What is gone is reported once and then off the record: nothing that the agent can do
    /// would bring it back.
    pub(super) fn thaw_entries<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
        mark: &mut Marks<P::Mark>,
        missing: Option<Errno>,
    ) -> Result<(), Failure> {
        let _ = mark.set_phase(Phase::Thawing);
        let mut stuck = missing;
        let mut left = missing.is_some_and(|errno| errno != GONE);
        // In the order of the records, in which they do not stand when one was found later than the
        // others.
        let mut from = 0;
        while let Some(entry) = next(&mut self.entries, from) {
            from = entry.place.record + 1;
            // A record without a result that is not frozen gets its result before any after it
            // does: else an agent that is killed here leaves it as the last such record, which the
            // next one would thaw.
            let thawed = match entry.place.frozen {
                true if self.hanging.contains(&entry.place.record) => Err(Errno::TIMEDOUT),
                true => {
                    tell_about(platform, What::Thaw, entry.place.record, &[]);
                    platform.thaw(&entry.filesystem)
                }
                false => Err(Errno::INVAL),
            };
            match thawed {
                Ok(()) => self.count += 1,
                // Somebody else has thawed it.
                Err(Errno::INVAL) => {}
                Err(errno) => {
                    if is_no_more_than_gone(stuck) {
                        mark.show_record(entry.place.record, &mut self.subject);
                        stuck = Some(errno);
                    }
                    left = true;
                    continue;
                }
            }
            entry.place.frozen = false;
            tell_done(platform, entry, self.count);
            let _ = mark.set_record(entry.place.record, RecordState::NotOurs);
        }
        if left {
            self.standing.failed = true;
            self.standing.inherited |= self.standing.mark_stays;
            // Not before all that can run does: letting the last descriptor go may unmount, which
            // writes.
            self.let_go(None);
        } else {
            self.forget(platform);
        }
        stuck.map_or(Ok(()), |errno| Err(Failure(What::Thaw, Some(errno))))
    }

    /// Thaws whatever is frozen on any mount, as often as it takes; returns on how many that did
    /// something.
    pub(super) fn thaw_everything<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
    ) -> Result<(), Failure> {
        let Self { subject, line, standing, count, hanging, .. } = self;
        let mut stuck = None;
        each_local(platform, line, &mut |platform, mount| {
            let mut thawed = false;
            let found = match hanging.contains(&mount.id) {
                true => Err(Errno::TIMEDOUT),
                false => reach(platform, &mount, mount.id),
            };
            let failed = match found {
                // What lies over it has a line of its own.
                Err(Errno::BUSY | Errno::NOENT | Errno::NOTDIR) => return true,
                Err(_) if mount.cut => return true,
                Err(errno) => errno,
                Ok(filesystem) => loop {
                    tell_about(platform, What::Thaw, mount.id, mount.path);
                    match platform.thaw(&filesystem) {
                        Ok(()) => thawed = true,
                        Err(errno) => break errno,
                    }
                },
            };
            // Not frozen, or never can be, is how each of them ends.
            let ended = matches!(failed, Errno::INVAL | Errno::OPNOTSUPP | Errno::NOTTY);
            if !ended && (standing.frozen || failed.is_short()) && stuck.is_none() {
                mark::show(mount.path, subject);
                stuck = Some(failed);
            }
            *count += i64::from(thawed);
            true
        })
        .map_err(|errno| Failure(What::Table, Some(errno)))?;
        stuck.map_or(Ok(()), |errno| Err(Failure(What::Thaw, Some(errno))))
    }
}

/// The entry whose record is the first that begins at `from` or after it.
#[inline(never)]
fn next<F>(entries: &mut [Entry<F>], from: u64) -> Option<&mut Entry<F>> {
    entries
        .iter_mut()
        .filter(|entry| entry.place.record >= from)
        .min_by_key(|entry| entry.place.record)
}
