//! What an agent takes over from one before it: the mark comes in, the filesystems that it lists as
//! frozen are held open again. What cannot be read or found counts as frozen still, and as an
//! error.

use super::listing::find;
use super::worker::hold;
use super::{Found, Freezer, GONE, Marks, NO_LIST, is_no_more_than_gone};
use crate::errno::Errno;
use crate::lines::Lines;
use crate::mark::{self, Phase, Record, RecordState};
use crate::platform::{Clock, Failure, Freeze, Log, Place, Standing, What};

/// A worker that lingers may freeze it, or undo that. No call that finds a filesystem gives this.
const NOT_YET: Errno = Errno::new(u32::MAX);

impl<F> Freezer<F> {
    /// Takes over from an agent before this one, whose mark is there: see the head of
    /// [`crate::freezer`]. Errors: why something could not be found.
    pub(super) fn take_over<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
    ) -> Result<(), Failure> {
        let (found, phase) = {
            let marks = Marks::open(platform);
            (marks.found, marks.phase)
        };
        self.standing.frozen = true;
        self.standing.inherited = true;
        self.standing.listless = found == Found::Foreign;
        if found == Found::Ours && phase != Phase::Frozen {
            // A failure stays on record: the status says so.
            return self.thaw_recorded(platform);
        }
        // Descriptors are held from now on, as by the agent that froze; what is gone is an error.
        let missing = self.inherit(platform);
        self.standing.failed = missing.is_some_and(|errno| errno != NO_LIST);
        if missing.is_some_and(Errno::is_short) {
            self.spare();
        }
        missing.map_or(Ok(()), |errno| Err(Failure(What::Open, Some(errno))))
    }

    /// Takes over what the mark of an earlier agent lists and this one does not hold yet, as far as
    /// it can be found. Returns why something could not, if so: it is looked for again then.
    pub(super) fn inherit<P: Freeze<Filesystem = F> + Clock>(
        &mut self,
        platform: &mut P,
    ) -> Option<Errno> {
        let missing = match self.inherit_records(platform) {
            // What else it listed nobody knows any more; what is held is ours all the same.
            Some(NO_LIST) if self.entries.iter().any(|entry| entry.place.frozen) => Some(GONE),
            missing => missing,
        };
        self.standing.inherited = missing.is_some();
        missing
    }

    /// Freezing went from the last record to the first: of those without a result only the last one
    /// can have been frozen before the agent was killed.
    fn inherit_records<P: Freeze<Filesystem = F> + Clock>(
        &mut self,
        platform: &mut P,
    ) -> Option<Errno> {
        mark::show(b"what the frozen mark lists", &mut self.subject);
        let marks = Marks::open(platform);
        if marks.found == Found::Unread {
            return Some(marks.failed);
        }
        let Some(mark) = marks.into_ahead() else { return Some(NO_LIST) };
        let mut missing = None;
        // Why the last record without a result could not be found, and where it is.
        let mut unsure_missing: Option<(Errno, u64)> = None;
        let mut at = mark::HEAD_BYTES as u64;
        let mut lines = Lines::new(mark, mark::RECORD_END, &mut self.record);
        while let Some(line) = lines.line() {
            let begins = at;
            at += line.len() as u64 + 1;
            let Some(record) = Record::parse(line) else { continue };
            self.standing.hooked |= record.state == RecordState::Hooked;
            if matches!(record.state, RecordState::NotOurs | RecordState::Hooked) {
                continue;
            }
            let unsure = record.state == RecordState::Listed;
            if unsure {
                // Only the last of these can be frozen (see below). Those before it get their
                // result: as the last such record, after another kill, one would be taken for
                // frozen. Those held get it from the thaw.
                if let Some((_, at)) = unsure_missing.take() {
                    let _ = Marks::open(platform).set_record(at, RecordState::NotOurs);
                }
                for entry in self.entries.iter_mut().filter(|entry| entry.place.unsure) {
                    entry.place.frozen &= entry.place.record >= begins;
                }
            }
            if self.entries.iter().any(|entry| entry.place.record == begins) {
                continue;
            }
            let hangs = self.hanging.contains(&begins);
            match look_for(platform, &mut self.line, &record, begins, hangs, &mut self.standing) {
                Ok(filesystem) => {
                    let Record { superblock, .. } = record;
                    let (record, frozen, busy) = (begins, true, false);
                    let place = Place { superblock, record, frozen, busy, unsure };
                    // As many fit as were frozen.
                    let _ = hold(platform, &mut self.entries, place, filesystem);
                }
                Err(errno) if unsure && errno != NOT_YET => unsure_missing = Some((errno, begins)),
                Err(errno) if !unsure && is_no_more_than_gone(missing) => {
                    mark::show(record.path, &mut self.subject);
                    missing = Some(errno);
                }
                Err(_) => {}
            }
        }
        if let Err(errno) = lines.ended() {
            // Which of those without a result is the last one is not known: next time anew.
            self.entries.clear();
            return Some(errno);
        }
        match unsure_missing {
            Some((errno, _)) if is_no_more_than_gone(missing) => {
                mark::show(b"what the frozen mark lists", &mut self.subject);
                Some(errno)
            }
            _ => missing,
        }
    }
}

/// What a record lists, if it can be found.
fn look_for<P: Freeze + Clock>(
    platform: &mut P,
    line: &mut [u8],
    record: &Record<'_>,
    begins: u64,
    hangs: bool,
    standing: &mut Standing,
) -> Result<P::Filesystem, Errno> {
    // Who was about to freeze it is not gone yet: that is waited for.
    if record.state == RecordState::Listed && platform.lingers() {
        standing.mark_stays = true;
        return Err(NOT_YET);
    }
    if hangs {
        return Err(Errno::TIMEDOUT);
    }
    find(platform, line, record.superblock, begins)
}
