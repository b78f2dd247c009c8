//! The frozen set: which filesystems this agent has stopped, and the promise that it can start them again.
//!
//! Freeze: list every freezable local filesystem of the mount table, each superblock once, holding each
//! open; write the mark; then freeze in reverse mount order. If one fails, what was frozen is thawed.
//! Thaw: exactly those, through the descriptors still open, in the reverse of the order they froze in.
//!
//! The mark ([`crate::mark`]) says which step was under way, so that an agent that was killed at any point
//! knows at its next start: an unfinished freeze is rolled back, an unfinished thaw is finished, a finished
//! freeze is what `frozen` means. While anything is frozen nothing but the mark is written.

mod freezing;
mod inherit;
mod limit;
mod marks;

pub use freezing::Freezing;
pub use limit::Limit;
use marks::{Found, Marks};

use crate::errno::Errno;
use crate::error::Error;
use crate::limits::{FROZEN_MAX, MOUNT_LINE_BYTES_MAX};
use crate::mark::{self, Phase, Row, RowState, Shown};
use crate::mountinfo::{Local, each_local};
use crate::platform::{Device, Freeze};
use heapless::Vec;

const TABLE: &str = "failed to read the mount table";
const MARK: &str =
    "failed to write the frozen mark (is /run or /dev a tmpfs that can be written to?)";
const THAW: &str = "failed to thaw";
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
    /// An earlier agent was about to freeze it; whether it did is not known.
    unsure: bool,
}

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
    Plain(&'static str, Errno),
    /// Something on the mount point.
    On(&'static str, Errno),
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
    /// again then), or the mark cannot be written (nothing was frozen).
    #[inline(never)]
    pub fn freeze<'s, P: Freeze<Filesystem = F>>(
        &'s mut self,
        platform: &mut P,
    ) -> Result<i64, Error<'s>> {
        let result = self.freeze_all(platform);
        self.explain(result)
    }

    /// Thaws what was frozen; returns how many filesystems run again because of it. With nothing recorded it
    /// tries every mount, for an operator who must get a guest going that somebody else froze; but the first
    /// thaw behind a freeze that was over by itself does nothing.
    /// Errors: one could not be thawed; it stays on record, and the next thaw tries again.
    pub fn thaw<'s, P: Freeze<Filesystem = F>>(
        &'s mut self,
        platform: &mut P,
    ) -> Result<i64, Error<'s>> {
        let result = match (self.frozen, core::mem::take(&mut self.expired)) {
            (true, _) => self.thaw_recorded(platform),
            (false, true) => Ok(0),
            (false, false) => self.thaw_everything(platform),
        };
        self.explain(result)
    }

    fn explain(&self, result: Result<i64, Failure>) -> Result<i64, Error<'_>> {
        result.map_err(|failure| match failure {
            Failure::Plain(what, errno) => Error::Failed(what, errno),
            Failure::On(what, errno) => Error::FailedOn(what, &self.subject, errno),
            Failure::TooMany => TOO_MANY,
        })
    }

    fn freeze_all<P: Freeze<Filesystem = F>>(&mut self, platform: &mut P) -> Result<i64, Failure> {
        self.expired = false;
        let mut mark = Marks::create(platform);
        let mut prepared = self.list(platform, &mut mark);
        if prepared.is_ok() && !self.entries.is_empty() {
            prepared = mark.publish(platform).map_err(|errno| Failure::Plain(MARK, errno));
        }
        if prepared.is_err() || self.entries.is_empty() {
            self.forget(platform);
            return prepared.map(|()| 0);
        }
        self.frozen = true;
        for entry in self.entries.iter_mut().rev() {
            let state = match platform.freeze(&entry.filesystem) {
                Ok(()) => Ok(RowState::Frozen),
                Err(Errno::BUSY | Errno::OPNOTSUPP) => Ok(RowState::NotOurs),
                Err(errno) => Err(errno),
            };
            entry.frozen = state == Ok(RowState::Frozen);
            if let Err(errno) = state.and_then(|state| mark.set_row(entry.row, state)) {
                let row = entry.row;
                return Err(self.roll_back(platform, &mut mark, Some(row), errno));
            }
        }
        let count = self.entries.iter().filter(|entry| entry.frozen).count() as i64;
        if count == 0 {
            self.forget(platform);
        } else if let Err(errno) = mark.set_phase(Phase::Frozen) {
            return Err(self.roll_back(platform, &mut mark, None, errno));
        }
        Ok(count)
    }

    /// Thaws what a freeze that failed on `row`, or at the end, has frozen.
    fn roll_back<P: Freeze<Filesystem = F>>(
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
        Failure::On("failed to freeze", errno)
    }

    /// Thaws what the entries say.
    fn thaw_recorded<P: Freeze<Filesystem = F>>(
        &mut self,
        platform: &mut P,
    ) -> Result<i64, Failure> {
        let missing = if self.inherited { self.inherit(platform) } else { None };
        if missing == Some(NO_LIST) {
            let thawed = self.thaw_everything(platform);
            match thawed {
                Ok(_) => self.forget(platform),
                Err(_) => self.failed = true,
            }
            return thawed;
        }
        let mut mark = Marks::open(platform);
        self.thaw_entries(platform, &mut mark, missing)
    }

    /// Puts every freezable local filesystem into `entries` and into the mark, in mount order.
    fn list<P: Freeze<Filesystem = F>>(
        &mut self,
        platform: &mut P,
        mark: &mut Marks<P::Mark>,
    ) -> Result<(), Failure> {
        let marked = |errno| Failure::Plain(MARK, errno);
        let boot = boot(platform);
        mark.append(&mark::new_head(&boot)).map_err(marked)?;
        let mut row = mark::HEAD_BYTES as u64;
        let Self { entries, subject, line, .. } = self;
        let mut failure = None;
        each_local(platform, line, &mut |platform, mount| {
            if entries.iter().any(|entry| entry.superblock == mount.superblock) {
                return true;
            }
            let opened = match platform.inspect(mount.path) {
                Ok(inode) if inode.plain && mount.is_on(inode) => platform.open_mount(mount.path),
                // Another mount covers the place: this one cannot be reached by its path.
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => return true,
                Err(errno) => Err(errno),
            };
            failure = match opened {
                Ok(filesystem) => {
                    let Local { superblock, path, .. } = mount;
                    let text = Row { state: RowState::Listed, superblock, path };
                    let entry = Entry { superblock, filesystem, row, frozen: false, unsure: false };
                    match (text.append(|bytes| mark.append(bytes)), entries.push(entry)) {
                        (Ok(length), Ok(())) => {
                            row += length;
                            None
                        }
                        (Err(errno), _) => Some(Failure::Plain(MARK, errno)),
                        (_, Err(_)) => Some(Failure::TooMany),
                    }
                }
                Err(errno) => {
                    mark::show(mount.path, subject);
                    Some(Failure::On("failed to open", errno))
                }
            };
            failure.is_none()
        })
        .map_err(|errno| Failure::Plain(TABLE, errno))?;
        failure.map_or(Ok(()), Err)
    }

    /// Thaws what this agent froze, or took over; `missing` is why something else could not be found. What is
    /// gone is reported once and then off the record: nothing that the agent can do would bring it back.
    fn thaw_entries<P: Freeze<Filesystem = F>>(
        &mut self,
        platform: &mut P,
        mark: &mut Marks<P::Mark>,
        missing: Option<Errno>,
    ) -> Result<i64, Failure> {
        let _ = mark.set_phase(Phase::Thawing);
        let (mut count, mut stuck) = (0, missing);
        let mut left = missing.is_some_and(|errno| errno != GONE);
        // In the order of the rows, in which they do not stand when one was found later than the others.
        let mut from = 0;
        while let Some(entry) = next(&mut self.entries, from) {
            from = entry.row + 1;
            // A row without a result that is not frozen gets its result before any behind it does: else an agent
            // that is killed here leaves it as the last such row, which the next one would thaw.
            let thawed = match entry.frozen {
                true => platform.thaw(&entry.filesystem),
                false => Err(Errno::INVAL),
            };
            match thawed {
                Ok(()) => count += 1,
                // Somebody else has thawed it.
                Err(Errno::INVAL) => {}
                Err(errno) => {
                    if is_no_more_than_gone(stuck) {
                        mark.show_row(entry.row, &mut self.subject);
                        stuck = Some(errno);
                    }
                    left = true;
                    continue;
                }
            }
            entry.frozen = false;
            let _ = mark.set_row(entry.row, RowState::NotOurs);
        }
        if left {
            self.failed = true;
        } else {
            self.forget(platform);
        }
        stuck.map_or(Ok(count), |errno| Err(Failure::On(THAW, errno)))
    }

    /// Thaws whatever is frozen on any mount, as often as it takes; returns on how many that did something.
    fn thaw_everything<P: Freeze<Filesystem = F>>(
        &mut self,
        platform: &mut P,
    ) -> Result<i64, Failure> {
        let Self { subject, line, frozen, .. } = self;
        let (mut count, mut stuck) = (0, None);
        each_local(platform, line, &mut |platform, mount| {
            let opened = match platform.inspect(mount.path) {
                Ok(inode) if inode.plain => platform.open_mount(mount.path),
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => return true,
                Err(errno) => Err(errno),
            };
            let mut thawed = false;
            let failed = match opened {
                Err(errno) => errno,
                Ok(filesystem) => loop {
                    match platform.thaw(&filesystem) {
                        Ok(()) => thawed = true,
                        Err(errno) => break errno,
                    }
                },
            };
            // Not frozen, or never can be, is how each of them ends.
            let ended = matches!(failed, Errno::INVAL | Errno::OPNOTSUPP | Errno::NOTTY);
            if !ended && *frozen && stuck.is_none() {
                mark::show(mount.path, subject);
                stuck = Some(failed);
            }
            count += i64::from(thawed);
            true
        })
        .map_err(|errno| Failure::Plain(TABLE, errno))?;
        stuck.map_or(Ok(count), |errno| Err(Failure::On(THAW, errno)))
    }

    /// Nothing of ours is frozen any more.
    fn forget<P: Freeze<Filesystem = F>>(&mut self, platform: &mut P) {
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

/// The entry whose row is the first that begins at `from` or behind it.
fn next<F>(entries: &mut [Entry<F>], from: u64) -> Option<&mut Entry<F>> {
    entries.iter_mut().filter(|entry| entry.row >= from).min_by_key(|entry| entry.row)
}

/// The boot that the guest is in, if that is known.
#[inline(never)]
fn boot<P: Freeze>(platform: &mut P) -> [u8; 36] {
    platform.boot_id().unwrap_or(mark::NO_BOOT)
}

/// What the mark lists is mounted nowhere.
const GONE: Errno = Errno::NODEV;

/// Whether there is nothing to say yet, or only that something is gone, which must not hide what could not be
/// looked at or thawed.
fn is_no_more_than_gone(said: Option<Errno>) -> bool {
    said.is_none_or(|errno| errno == GONE)
}

const TOO_MANY: Error<'static> =
    Error::Text("too many filesystems to freeze: at most 512, nothing was frozen");
const _: () = assert!(FROZEN_MAX == 512);
