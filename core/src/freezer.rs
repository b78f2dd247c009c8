//! The frozen set: which filesystems this agent has stopped, and the promise that it can start them again.
//!
//! Freeze: list every freezable local filesystem of the mount table, each superblock once, holding each
//! open; write the mark; then freeze in reverse mount order. If one fails, what was frozen is thawed. What is
//! left out is said in the log: before the first one freezes, or after the thaw.
//! Thaw: exactly those, through the descriptors still open, in the reverse of the order they froze in.
//!
//! The mark ([`crate::mark`]) says which step was under way, so that an agent that was killed at any point
//! knows at its next start: an unfinished freeze is rolled back, an unfinished thaw is finished, a finished
//! freeze is what `frozen` means. While anything is frozen nothing but the mark is written.

mod inherit;
mod limit;
mod listing;
mod marks;
mod thawing;

pub use limit::Limit;
use marks::{Found, Marks};

use crate::errno::Errno;
use crate::error::Error;
use crate::limits::{FROZEN_MAX, MOUNT_LINE_BYTES_MAX};
use crate::mark::{self, Phase, RowState, Shown};
pub use crate::platform::Status;
use crate::platform::{Device, Freeze, Freezing, Level, Log};
use crate::text::{Phrase, Text};
use heapless::Vec;

const TABLE: Text = text!("failed to read the mount table");
const MARK: Text =
    text!("failed to write the frozen mark (is /run or /dev a tmpfs that can be written to?)");
/// The mark has no list of what is frozen, or is gone. No call that finds a filesystem gives this.
const NO_LIST: Errno = Errno::CHILD;

/// A filesystem that is listed for freezing, or frozen.
struct Entry<F> {
    /// What the mount table calls it.
    superblock: Device,
    /// Keeps the filesystem from going away.
    filesystem: F,
    /// Where in the mark its row begins.
    row: u64,
    frozen: bool,
    /// Somebody else had frozen it, or suspended its device, when its turn came.
    busy: bool,
    /// An earlier agent was about to freeze it; whether it did is not known.
    unsure: bool,
}

/// What the agent has frozen. All zero when new.
#[repr(C)]
pub struct Freezer<F> {
    frozen: bool,
    /// A thaw has failed on something.
    failed: bool,
    /// What is frozen stands in the mark of an earlier agent, not in `entries`.
    inherited: bool,
    /// That mark was read, and has no list.
    listless: bool,
    /// The last freeze has ended because its time was over: a thaw may still come for it.
    expired: bool,
    /// Nothing is frozen when something would be left out.
    strict: bool,
    /// How many filesystems the present command has frozen or thawed.
    count: i64,
    /// Why the first filesystem that the present freeze leaves out cannot be reached.
    hidden: Option<Errno>,
    entries: Vec<Entry<F>, FROZEN_MAX>,
    /// The mount point that the present error is about.
    subject: Shown,
    /// One row of the mark.
    row: [u8; mark::ROW_BYTES_MAX],
    /// One line of the mount table.
    line: [u8; MOUNT_LINE_BYTES_MAX],
}

/// What went wrong; the mount point stands in [`Freezer::subject`].
#[derive(Clone, Copy)]
enum Failure {
    /// Something that concerns no mount point.
    Plain(Text, Errno),
    /// Something on the mount point.
    On(Text, Errno),
    /// More filesystems than fit.
    TooMany,
}

impl<F> Freezer<F> {
    /// A freezer that has frozen nothing.
    pub const fn new() -> Self {
        Freezer {
            frozen: false,
            failed: false,
            inherited: false,
            listless: false,
            expired: false,
            strict: false,
            count: 0,
            hidden: None,
            entries: Vec::new(),
            subject: Vec::new(),
            row: [0; mark::ROW_BYTES_MAX],
            line: [0; MOUNT_LINE_BYTES_MAX],
        }
    }

    /// Whether anything of ours is frozen, so that nothing may be written.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The present state.
    pub fn status(&self) -> Status {
        match (self.frozen, self.failed) {
            (false, _) => Status::Thawed,
            (true, false) => Status::Frozen,
            (true, true) => Status::Error,
        }
    }

    /// Freezes everything; returns how many filesystems. Errors: one cannot be opened or frozen (all run
    /// again then), nothing can be reached that should be frozen, or the mark cannot be written (nothing was
    /// frozen).
    pub fn freeze<'s, P: Freeze<Filesystem = F> + Log>(
        &'s mut self,
        platform: &mut P,
    ) -> Result<i64, Error<'s>> {
        let result = self.freeze_all(platform);
        self.explain(result)
    }

    /// Thaws what was frozen; returns how many filesystems run again because of it. With nothing recorded it
    /// tries every mount, for an operator who must get a guest going that somebody else froze; but the first
    /// thaw after a freeze that was over by itself does nothing.
    /// Errors: one could not be thawed; it stays on record, and the next thaw tries again.
    pub fn thaw<'s, P: Freeze<Filesystem = F> + Log>(
        &'s mut self,
        platform: &mut P,
    ) -> Result<i64, Error<'s>> {
        self.count = 0;
        let result = match (self.frozen, core::mem::take(&mut self.expired)) {
            (true, _) => self.thaw_recorded(platform),
            (false, true) => Ok(()),
            (false, false) => self.thaw_everything(platform),
        };
        self.explain(result)
    }

    fn explain(&self, result: Result<(), Failure>) -> Result<i64, Error<'_>> {
        result.map(|()| self.count).map_err(|failure| match failure {
            Failure::Plain(what, errno) => Error::Failed(what, errno),
            Failure::On(what, errno) => Error::FailedOn(what, &self.subject, errno),
            Failure::TooMany => Error::Text(TOO_MANY),
        })
    }

    fn freeze_all<P: Freeze<Filesystem = F> + Log>(
        &mut self,
        platform: &mut P,
    ) -> Result<(), Failure> {
        self.expired = false;
        let mut mark = Marks::create(platform);
        let mut prepared = self.list(platform, &mut mark);
        if prepared.is_ok() && !self.entries.is_empty() {
            prepared = mark.publish(platform).map_err(|errno| Failure::Plain(MARK, errno));
        }
        if let Err(failure) = prepared {
            self.forget(platform);
            return Err(failure);
        }
        self.frozen = true;
        self.count = 0;
        for entry in self.entries.iter_mut().rev() {
            let state = match platform.freeze(&entry.filesystem) {
                Ok(()) => Ok(RowState::Frozen),
                Err(errno @ (Errno::BUSY | Errno::OPNOTSUPP)) => {
                    entry.busy = errno == Errno::BUSY;
                    if entry.busy && self.strict { Err(errno) } else { Ok(RowState::NotOurs) }
                }
                Err(errno) => Err(errno),
            };
            entry.frozen = state == Ok(RowState::Frozen);
            self.count += i64::from(entry.frozen);
            if let Err(errno) = state.and_then(|state| mark.set_row(entry.row, state)) {
                let row = entry.row;
                return Err(self.roll_back(platform, &mut mark, Some(row), errno));
            }
        }
        if self.count == 0 {
            self.forget(platform);
            return self.hidden.map_or(Ok(()), |errno| Err(Failure::On(HIDDEN, errno)));
        }
        if let Err(errno) = mark.set_phase(Phase::Frozen) {
            return Err(self.roll_back(platform, &mut mark, None, errno));
        }
        Ok(())
    }

    /// Thaws what a freeze that failed on `row`, or at the end, has frozen.
    fn roll_back<P: Freeze<Filesystem = F> + Log>(
        &mut self,
        platform: &mut P,
        mark: &mut Marks<P::Mark>,
        row: Option<u64>,
        errno: Errno,
    ) -> Failure {
        // What cannot be thawed stays on record: the status says so.
        let _ = self.thaw_entries(platform, mark, None);
        match row {
            Some(row) => mark.show_row(row, &mut self.subject),
            None => mark::show(b"all filesystems", &mut self.subject),
        }
        Failure::On(text!("failed to freeze"), errno)
    }

    /// Nothing of ours is frozen any more: now what was found busy can be said.
    fn forget<P: Freeze<Filesystem = F> + Log>(&mut self, platform: &mut P) {
        for entry in self.entries.iter().filter(|entry| entry.busy) {
            let mut path = Shown::new();
            Marks::open(platform).show_row(entry.row, &mut path);
            platform.log_of(Level::Warning, &[THEIRS], &path);
        }
        Marks::remove(platform);
        self.entries.clear();
        self.frozen = false;
        self.failed = false;
        self.inherited = false;
        self.listless = false;
    }
}

impl<F> Default for Freezer<F> {
    fn default() -> Self {
        Freezer::new()
    }
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

/// What the mark lists is mounted nowhere.
const GONE: Errno = Errno::NODEV;

/// Whether there is nothing to say yet, or only that something is gone, which must not hide what could not be
/// looked at or thawed.
fn is_no_more_than_gone(said: Option<Errno>) -> bool {
    said.is_none_or(|errno| errno == GONE)
}

/// What is said of a filesystem that no path leads to.
const HIDDEN: Text = text!("not frozen, hidden by another mount or the unit's sandbox:");
/// What is said of one that FIFREEZE finds busy.
const THEIRS: Phrase =
    phrase!("frozen or suspended by somebody else, who may end that at any time: ");

const TOO_MANY: Text = text!("too many filesystems to freeze: at most 512, nothing was frozen");
const _: () = assert!(FROZEN_MAX == 512);
