//! Freezing: the list comes in, each of it is frozen, from the last to the first, and on record;
//! or, when one fails, none of it.

use super::telling::tell_about;
use super::worker::tell_done;
use super::{Freezer, Marks};
use crate::errno::Errno;
use crate::mark::{self, Phase, RecordState};
use crate::platform::{Clock, Failure, Freeze, Log, Strings, What};

impl<F> Freezer<F> {
    pub(super) fn freeze_all<P>(
        &mut self,
        platform: &mut P,
        only: Option<Strings<'_>>,
    ) -> Result<(), Failure>
    where
        P: Freeze<Filesystem = F> + Clock + Log,
    {
        if let Err(failure) = self.tell_hook_of_freeze(platform) {
            self.forget(platform);
            return Err(failure);
        }
        let mut mark = Marks::create(platform);
        let mut prepared = self.list(platform, &mut mark, only);
        if prepared.is_ok() && !self.entries.is_empty() {
            prepared = mark.publish(platform).map_err(|errno| Failure(What::Mark, Some(errno)));
        }
        if let Err(failure) = prepared {
            self.forget(platform);
            return Err(failure);
        }
        self.standing.frozen = true;
        for number in (0..self.entries.len()).rev() {
            let Some(record) = self.entries.get(number).map(|entry| entry.place.record) else {
                continue;
            };
            tell_about(platform, What::Freeze, record, &[]);
            let Some(entry) = self.entries.get_mut(number) else { continue };
            let frozen = platform.freeze(&entry.filesystem);
            entry.place.frozen = frozen.is_ok();
            entry.place.busy = frozen == Err(Errno::BUSY);
            self.count += i64::from(entry.place.frozen);
            // That it is not ours is on record even if the agent has gone. What is frozen is not,
            // before the agent knows.
            let mut noted = match frozen {
                Err(Errno::BUSY) if self.strict => frozen,
                Err(Errno::BUSY | Errno::OPNOTSUPP) => {
                    mark.set_record(record, RecordState::NotOurs)
                }
                other => other,
            };
            tell_done(platform, entry, self.count);
            if frozen.is_ok() {
                noted = mark.set_record(record, RecordState::Frozen);
            }
            if let Err(errno) = noted {
                return Err(self.roll_back(platform, &mut mark, Some(record), errno));
            }
        }
        if self.count == 0 {
            self.forget(platform);
            return self.hidden.map_or(Ok(()), |errno| Err(Failure(What::Hidden, Some(errno))));
        }
        if let Err(errno) = mark.set_phase(Phase::Frozen) {
            return Err(self.roll_back(platform, &mut mark, None, errno));
        }
        Ok(())
    }

    /// Thaws what a freeze that failed on `record`, or at the end, has frozen.
    fn roll_back<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
        mark: &mut Marks<P::Mark>,
        record: Option<u64>,
        errno: Errno,
    ) -> Failure {
        // What cannot be thawed stays on record: the status says so.
        let _ = self.thaw_entries(platform, mark, None);
        match record {
            Some(record) => mark.show_record(record, &mut self.subject),
            None => mark::show(b"all filesystems", &mut self.subject),
        }
        Failure(What::Freeze, Some(errno))
    }
}
