//! The frozen set: which filesystems this agent has stopped, and the promise that it can start them
//! again.
//!
//! Freeze: list every freezable local filesystem of the mount table, each superblock once, holding
//! each open; write the mark; then freeze what lies on others before those ([`stack`]), and else in
//! reverse mount order. If one fails, what was frozen is thawed. What is left out is said in the
//! log: before the first one freezes, or after the thaw. Thaw: exactly those, through the
//! descriptors still open, in the reverse of the order they froze in.
//!
//! The mark (mark.rs) says which step was under way, so that an agent that was killed at any point
//! knows at its next start: an unfinished freeze is rolled back, an unfinished thaw is finished, a
//! finished freeze is what `frozen` means. While anything is frozen nothing but the mark is
//! written.
//!
//! Whatever touches a filesystem may hang, so a worker does it (worker.rs): the agent is there for
//! its clients all the time, and gives up what takes too long. In a guest without workers the agent
//! does it itself.

mod failure;
mod freezing;
mod hooks;
mod inherit;
mod limit;
mod listing;
mod marks;
mod stack;
mod telling;
mod thawing;
mod wanted;
mod worker;

use failure::HIDDEN;
pub(crate) use limit::Limit;
use marks::{Found, Marks};

use crate::errno::Errno;
use crate::error::Error;
use crate::limits::{FROZEN_MAX, HANGING_MAX, MOUNT_LINE_BYTES_MAX};
use crate::mark::{self, Shown};
use crate::platform::{
    Clock, Failure, Freeze, FreezeStatus, Freezing, Level, Log, Place, Reason, Standing, Strings,
    Task, What,
};
use crate::text::Phrase;
use heapless::Vec;

/// The mark has no list of what is frozen, or is gone. No call that finds a filesystem gives this.
const NO_LIST: Errno = Errno::CHILD;

/// A filesystem that is listed for freezing, or frozen.
#[derive(Clone)]
struct Entry<F> {
    place: Place,
    /// Keeps the filesystem from going away.
    filesystem: F,
}

/// What the agent has frozen. All zero when new.
#[derive(Clone)]
#[repr(C)]
pub struct Freezer<F> {
    standing: Standing,
    /// The last freeze has ended because its time was over: a thaw may still come for it.
    expired: bool,
    /// Somebody has been told that all is frozen while a worker was at it, and has not thawed
    /// since.
    seen: bool,
    /// The thaw under way is one for which nobody has asked, because the time is over.
    expiring: bool,
    /// Nothing is frozen when something would be left out.
    strict: bool,
    /// A worker that nobody listens to may be at work still: one that was dismissed, or an earlier
    /// agent's.
    unheard: bool,
    /// What is under way.
    task: Task,
    /// It has not begun: the worker before it has not ended.
    waits: bool,
    /// When to look whether that has.
    look_at_ms: u64,
    /// What the worker is about to do.
    about: What,
    /// To which filesystem: where its record begins, or the number of its mount.
    about_key: u64,
    /// When it has taken too long.
    until_ms: u64,
    /// The agent had no descriptor for something that the worker holds.
    short: bool,
    /// How long it may take.
    step_ms_max: Option<u64>,
    /// How long the freeze begun last may last.
    ms_max: Option<u64>,
    /// How many filesystems the present command has frozen or thawed.
    count: i64,
    /// Why it has failed.
    failure: Failure,
    /// Why the first filesystem that the present freeze leaves out cannot be reached.
    hidden: Option<Errno>,
    // What is used most stands first, within what a short address reaches.
    entries: Vec<Entry<F>, FROZEN_MAX>,
    /// The filesystems, by their keys as above, that have taken too long since the present command
    /// began.
    hanging: Vec<u64, HANGING_MAX>,
    /// The mount point that the present error is about.
    subject: Shown,
    /// One record of the mark.
    record: [u8; mark::RECORD_BYTES_MAX],
    /// One line of the mount table.
    line: [u8; MOUNT_LINE_BYTES_MAX],
}

impl<F> Freezer<F> {
    /// A freezer that has frozen nothing.
    pub const fn new() -> Self {
        Freezer {
            standing: Standing::NONE,
            expired: false,
            expiring: false,
            seen: false,
            strict: false,
            unheard: false,
            task: Task::Nothing,
            waits: false,
            look_at_ms: 0,
            about: What::Nothing,
            about_key: 0,
            until_ms: 0,
            short: false,
            step_ms_max: None,
            ms_max: None,
            count: 0,
            failure: Failure::NONE,
            hidden: None,
            hanging: Vec::new(),
            entries: Vec::new(),
            subject: Shown::new(),
            record: [0; mark::RECORD_BYTES_MAX],
            line: [0; MOUNT_LINE_BYTES_MAX],
        }
    }

    /// Whether anything of ours is frozen, or about to be, so that nothing may be written.
    pub fn is_frozen(&self) -> bool {
        self.standing.frozen
    }

    /// The present state.
    pub fn status(&self) -> FreezeStatus {
        match (self.standing.frozen, self.standing.failed) {
            (false, _) => FreezeStatus::Thawed,
            (true, false) => FreezeStatus::Frozen,
            (true, true) => FreezeStatus::Error,
        }
    }

    /// Nothing of ours is frozen any more: now what was found busy can be said.
    fn forget<P: Freeze<Filesystem = F> + Log>(&mut self, platform: &mut P) {
        let may_freeze = self.standing.mark_stays || platform.lingers();
        let mark_stays = may_freeze && Marks::found(platform) == Found::Ours;
        if !mark_stays {
            for entry in self.entries.iter().filter(|entry| entry.place.busy) {
                let mut path = Shown::new();
                Marks::show(platform, entry.place.record, &mut path);
                platform.log_of(Level::Warning, &[THEIRS], &path);
            }
            // The agent does it when the worker has ended: until it knows that, the mark is what it
            // goes by. So it is until the hook has been told.
            if !platform.is_worker() && !self.standing.hooked {
                Marks::remove(platform);
            }
        }
        self.entries.clear();
        // The hook is told when all else is done.
        let hooked = self.standing.hooked;
        self.standing = Standing { mark_stays, hooked, ..Standing::NONE };
    }

    /// Lets go what has its record there; without one what runs again, in a command that has left
    /// something frozen. What is busy is said when nothing is.
    #[inline(never)]
    fn let_go(&mut self, record: Option<u64>) {
        // Not by `retain`: 400 bytes less.
        let mut number = 0;
        while let Some(Entry { place, .. }) = self.entries.get(number) {
            if record.map_or(place.frozen || place.busy, |record| place.record != record) {
                number += 1;
            } else {
                drop(self.entries.swap_remove(number));
            }
        }
    }
}

impl<F> Default for Freezer<F> {
    fn default() -> Self {
        Freezer::new()
    }
}

impl<F, P> Freezing<P> for Freezer<F>
where
    P: Freeze<Filesystem = F, Freezer = Freezer<F>> + Clock + Log,
{
    const NEW: Self = Freezer::new();

    fn is_frozen(&self) -> bool {
        Freezer::is_frozen(self)
    }

    fn holds(&self) -> bool {
        // Without a list any filesystem may be meant.
        let Standing { listless, mark_stays, .. } = self.standing;
        listless || mark_stays || self.entries.iter().any(|entry| entry.place.frozen)
    }

    fn status(&self) -> FreezeStatus {
        Freezer::status(self)
    }

    fn tell_status(&mut self) -> FreezeStatus {
        self.seen |= self.task != Task::Nothing;
        Freezer::status(self)
    }

    fn scratch(&mut self) -> &mut [u8] {
        &mut self.line
    }

    fn set_strict(&mut self, strict: bool) {
        self.strict = strict;
    }

    fn set_step_limit(&mut self, ms_max: u64) {
        self.step_ms_max = Some(ms_max);
    }

    fn restore(&mut self, platform: &mut P) {
        self.unheard = true;
        match Marks::found(platform) {
            Found::Nothing => {}
            Found::Stale => self.forget(platform),
            _ => {
                self.standing.frozen = true;
                self.begin(platform, Task::Restore, Failure::NONE, None);
            }
        }
    }

    /// Freezes everything, or what has been named. Errors: one cannot be opened or frozen (all run
    /// again then), nothing can be reached that should be frozen, or the mark cannot be written
    /// (nothing was frozen).
    fn freeze(&mut self, platform: &mut P, only: Option<Strings<'_>>, ms_max: Option<u64>) {
        self.expired = false;
        self.ms_max = ms_max;
        (self.standing.inherited, self.standing.failed) = (false, false);
        if self.standing.mark_stays {
            // What hangs would hang again.
            self.failure = Failure(What::Lingers, Some(Errno::BUSY));
            return;
        }
        self.standing.frozen = true;
        self.begin(platform, Task::Freeze, Failure::NONE, only);
    }

    /// Thaws what was frozen. With nothing recorded it tries every mount, for an operator who must
    /// get a guest going that somebody else froze; but the first thaw after a freeze that was over
    /// by itself does nothing, nor does any while a worker lingers, which undoes what it does.
    /// Errors: one could not be thawed; it stays on record, and the next thaw tries again.
    fn thaw(&mut self, platform: &mut P, reason: Reason) {
        // Here it comes.
        self.seen &= reason != Reason::Asked;
        if self.task == Task::Thaw {
            if reason == Reason::Asked {
                // What it was begun for is no business of who asks now.
                self.expiring = false;
                if self.failure.0 != What::Thaw {
                    self.failure = Failure::NONE;
                    self.subject = Shown::new();
                }
            }
            return;
        }
        let failure = match (self.task, reason) {
            // Its client still waits for it.
            (Task::Freeze, Reason::Stop | Reason::Over) => Failure(What::Freezing, None),
            _ => Failure::NONE,
        };
        if self.task != Task::Nothing {
            self.dismiss(platform);
            self.standing.inherited |= self.task == Task::Restore;
        }
        let over = core::mem::take(&mut self.expired) || platform.lingers();
        self.expiring = reason == Reason::Over;
        if !self.standing.frozen && (over || reason != Reason::Asked) {
            (self.count, self.failure) = (0, failure);
            self.expired = core::mem::take(&mut self.expiring);
        } else {
            self.begin(platform, Task::Thaw, failure, None);
        }
    }

    fn ms_max(&self) -> Option<u64> {
        self.ms_max
    }

    fn run(&mut self, platform: &mut P, task: Task, only: Option<Strings<'_>>) {
        self.work(platform, task, only);
    }

    fn follow(&mut self, platform: &mut P) {
        Freezer::follow(self, platform);
    }

    fn tidy(&mut self, platform: &mut P) {
        Freezer::tidy(self, platform);
    }

    fn may_write(&self) -> bool {
        !self.standing.frozen && !self.standing.mark_stays
    }

    fn is_under_way(&self) -> bool {
        self.task != Task::Nothing
    }

    fn next_ms(&self) -> u64 {
        Freezer::next_ms(self)
    }

    fn outcome(&self) -> Result<i64, Error<'_>> {
        self.failure.explain(self.count, &self.subject)
    }
}

/// What the mark lists is mounted nowhere.
const GONE: Errno = Errno::NODEV;

/// Whether there is nothing to say yet, or only that something is gone, which must not hide what
/// could not be looked at or thawed.
fn is_no_more_than_gone(said: Option<Errno>) -> bool {
    said.is_none_or(|errno| errno == GONE)
}

/// What is said of one that FIFREEZE finds busy.
const THEIRS: Phrase =
    phrase!("frozen or suspended by somebody else, who may end that at any time: ");
