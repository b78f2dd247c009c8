//! Who does the work: a task comes in; a worker does it, which tells what it is about to do and
//! what came of it, and the agent follows, until the worker has ended or has taken too long; what
//! came of it goes out.
//!
//! Invariant: each filesystem that is frozen is known to the agent, or to a worker that nobody
//! listens to, which thaws it at once. A worker that hangs stays behind until the kernel lets it
//! go; another one does what is left without it.

use super::telling::tell_about;
use super::{Entry, Freezer, Marks};
use crate::errno::Errno;
use crate::limits::{FREEZE_STEP_MS_MAX, FROZEN_MAX, LINGER_MS_MAX, SPARE_DESCRIPTORS};
use crate::platform::{Clock, Failure, Freeze, Log, Place, Report, Strings, Task, What};
use heapless::Vec;

/// Holds another filesystem, and tells of it. Errors: no more fit.
#[inline(never)]
pub(super) fn hold<P: Freeze>(
    platform: &mut P,
    entries: &mut Vec<Entry<P::Filesystem>, FROZEN_MAX>,
    place: Place,
    filesystem: P::Filesystem,
) -> Result<(), Failure> {
    platform.tell(&Report::Held(place), Some(&filesystem), None);
    keep(entries, place, filesystem)
}

#[inline(never)]
fn keep<F>(
    entries: &mut Vec<Entry<F>, FROZEN_MAX>,
    place: Place,
    filesystem: F,
) -> Result<(), Failure> {
    let entry = Entry { place, filesystem };
    entries.push(entry).map_err(|_| Failure(What::TooMany, None))
}

/// It has done to one what it was about to, or that has failed.
pub(super) fn tell_done<P: Freeze>(platform: &mut P, entry: &Entry<P::Filesystem>, count: i64) {
    // A worker to whom nobody listens thaws what it has just frozen.
    let undo = entry.place.frozen.then_some(&entry.filesystem);
    platform.tell(&Report::Done(entry.place, count), None, undo);
}

impl<F> Freezer<F> {
    /// Begins a task, when nothing else is under way; `failure` is what is to be told of it,
    /// whatever comes of it. A freeze for which something has been named begins now or never: the
    /// names stand in a request that nobody keeps.
    pub(super) fn begin<P>(
        &mut self,
        platform: &mut P,
        task: Task,
        failure: Failure,
        only: Option<Strings<'_>>,
    ) where
        P: Freeze<Filesystem = F, Freezer = Freezer<F>> + Clock + Log,
    {
        self.task = task;
        self.count = 0;
        self.failure = failure;
        self.hanging.clear();
        self.leave_to_mark();
        // What it would freeze may be what that one hangs on; what it would thaw that one thaws
        // itself, if it can.
        self.waits = true;
        let now_ms = platform.now_ms();
        if task == Task::Freeze {
            self.allow_step(now_ms);
        } else {
            self.until_ms = now_ms.saturating_add(LINGER_MS_MAX);
        }
        if only.is_some() {
            // One that has told its end is on its way out.
            self.unheard = self.unheard && platform.lingers();
            match self.unheard {
                true => self.until_ms = now_ms,
                false => self.start(platform, only),
            }
        }
        self.follow(platform);
    }

    fn start<P>(&mut self, platform: &mut P, only: Option<Strings<'_>>)
    where
        P: Freeze<Filesystem = F, Freezer = Freezer<F>> + Clock + Log,
    {
        self.waits = false;
        self.allow_step(platform.now_ms());
        let task = self.task;
        self.short = false;
        (self.about, self.about_key) = (What::Worker, 0);
        match platform.work(self, task, only) {
            Ok(()) => {}
            // It would be of no use to an agent that hangs.
            Err(errno) if task == Task::Freeze && errno != Errno::OPNOTSUPP => {
                self.standing.frozen = false;
                self.fail(What::Worker, Some(errno));
                self.end();
            }
            // Whoever is to thaw must do it, and if there is no memory for anybody else.
            Err(_) => {
                self.work(platform, task, only);
                self.end();
            }
        }
    }

    /// Nobody tells when a worker that lingers has ended.
    fn look_again_soon<P: Clock>(&mut self, platform: &mut P) {
        self.look_at_ms = platform.now_ms().saturating_add(LINGER_MS_MAX);
    }

    /// When to go on with what is under way, or to look for a worker that lingers.
    pub(super) fn next_ms(&self) -> u64 {
        match self.task {
            Task::Nothing if self.standing.mark_stays => self.look_at_ms,
            Task::Nothing => u64::MAX,
            _ if self.waits => self.until_ms.min(self.look_at_ms),
            _ => self.until_ms,
        }
    }

    /// A step that begins at this time takes too long from when on.
    #[inline(never)]
    fn allow_step(&mut self, now_ms: u64) {
        self.until_ms = now_ms.saturating_add(self.step_ms_max.unwrap_or(FREEZE_STEP_MS_MAX));
    }

    /// Does a task, in the agent or in a worker.
    pub(super) fn work<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
        task: Task,
        only: Option<Strings<'_>>,
    ) {
        // From here on who is dismissed can be seen to linger.
        tell_about(platform, What::Worker, 0, &[]);
        let result = match task {
            Task::Nothing => Ok(()),
            Task::Freeze => self.freeze_all(platform, only),
            Task::Restore => self.take_over(platform),
            Task::Thaw if self.standing.frozen => self.thaw_recorded(platform),
            Task::Thaw => self.thaw_everything(platform),
        };
        let result = self.tell_hook_of_thaw(platform, result);
        let failure @ Failure(what, errno) = result.err().unwrap_or(Failure::NONE);
        self.fail(what, errno);
        let report = Report::End(self.standing, self.count, failure, self.subject);
        platform.tell(&report, None, None);
    }

    /// The first failure is the one to be told of.
    fn fail(&mut self, what: What, errno: Option<Errno>) {
        if self.failure.is_none() {
            self.failure = Failure(what, errno);
        }
    }

    /// Looks whether a worker that may still freeze something has ended. It may have been killed
    /// before it could undo that.
    pub(super) fn tidy<P>(&mut self, platform: &mut P)
    where
        P: Freeze<Filesystem = F, Freezer = Freezer<F>> + Clock + Log,
    {
        if self.standing.mark_stays && self.task == Task::Nothing {
            self.look_again_soon(platform);
            if !platform.lingers() {
                self.standing.mark_stays = false;
                (self.standing.frozen, self.standing.inherited) = (true, true);
                self.task = Task::Thaw;
                self.hanging.clear();
                self.start(platform, None);
            }
        }
    }

    /// Goes on with what is under way.
    pub(super) fn follow<P>(&mut self, platform: &mut P)
    where
        P: Freeze<Filesystem = F, Freezer = Freezer<F>> + Clock + Log,
    {
        while self.task != Task::Nothing {
            if self.waits {
                self.look_again_soon(platform);
                let (lingers, over) = (platform.lingers(), platform.now_ms() >= self.until_ms);
                if !lingers || over && self.task != Task::Freeze {
                    self.start(platform, None);
                } else if !over {
                    return;
                } else {
                    self.standing.frozen = false;
                    self.fail(What::Lingers, Some(Errno::BUSY));
                    self.end();
                }
                continue;
            }
            match self.hear(platform) {
                Ok(()) => self.allow_step(platform.now_ms()),
                Err(Errno::AGAIN) if platform.now_ms() < self.until_ms => return,
                Err(Errno::AGAIN) => self.give_up(platform, Errno::TIMEDOUT),
                // It was killed.
                Err(_) => self.give_up(platform, Errno::INTR),
            }
        }
    }

    /// Takes over what a worker has told next. Errors: as [`Freeze::hear`].
    #[inline(never)]
    fn hear<P: Freeze<Filesystem = F>>(&mut self, platform: &mut P) -> Result<(), Errno> {
        let mut report = Report::Nothing;
        let filesystem = platform.hear(&mut report)?;
        match &report {
            Report::Nothing => {}
            Report::About(what, key, path) => {
                (self.about, self.about_key) = (*what, *key);
                self.standing.hooked |= *what == What::Hook;
                if self.failure.is_none() {
                    self.subject = *path;
                }
            }
            Report::Held(place) => match filesystem {
                Some(filesystem) if self.entry(place.record).is_none() => {
                    // As many fit as the worker holds.
                    let _ = keep(&mut self.entries, *place, filesystem);
                }
                // There was no descriptor for it: the mark knows it, and a thaw finds it there.
                _ => self.short = true,
            },
            Report::Done(place, count) => {
                if let Some(entry) = self.entry(place.record) {
                    entry.place = *place;
                }
                self.count = *count;
                (self.about, self.about_key) = (What::Worker, 0);
            }
            Report::End(standing, count, failure, subject) => {
                self.standing = *standing;
                self.standing.inherited |= self.short;
                self.count = *count;
                if self.failure.is_none() {
                    self.failure = *failure;
                    self.subject = *subject;
                }
                if standing.frozen && self.task != Task::Freeze {
                    self.let_go(None);
                }
                if self.standing.inherited && (self.short || failure.1.is_some_and(Errno::is_short))
                {
                    self.spare();
                }
                if !standing.frozen && !standing.mark_stays {
                    // Not by the worker: see `forget`.
                    Marks::remove(platform);
                }
                // Who has seen that it was frozen may thaw it: that is done.
                self.expiring |= core::mem::take(&mut self.seen);
                self.end();
            }
        }
        Ok(())
    }

    /// What the worker was about to freeze when it was last heard of only the mark tells, and
    /// whether it lingers: as an agent that comes after another one, this one takes it over from
    /// there. Whether there is such a thing.
    fn leave_to_mark(&mut self) -> bool {
        if self.about != What::Freeze {
            return false;
        }
        let key = self.about_key;
        self.let_go(Some(key));
        self.standing.inherited = true;
        self.about = What::Worker;
        true
    }

    /// What is held by this key.
    fn entry(&mut self, record: u64) -> Option<&mut Entry<F>> {
        self.entries.iter_mut().find(|entry| entry.place.record == record)
    }

    /// Lets some descriptors go: the channel, its client and a thaw need them, else nobody could
    /// ask for that.
    pub(super) fn spare(&mut self) {
        self.entries.truncate(self.entries.len().saturating_sub(SPARE_DESCRIPTORS));
    }

    /// Nothing is under way any more.
    fn end(&mut self) {
        self.task = Task::Nothing;
        self.about = What::Worker;
        if !self.standing.frozen {
            self.entries.clear();
        }
        self.expired = core::mem::take(&mut self.expiring) && !self.standing.frozen;
    }

    /// Listens to the worker no more. What it has told before counts, and it may have ended.
    pub(super) fn dismiss<P: Freeze<Filesystem = F>>(&mut self, platform: &mut P) {
        self.unheard = true;
        platform.dismiss();
        while self.hear(platform).is_ok() {}
    }

    /// The worker takes too long, or is gone: what can be done without it and without what it hangs
    /// on is done.
    fn give_up<P>(&mut self, platform: &mut P, errno: Errno)
    where
        P: Freeze<Filesystem = F, Freezer = Freezer<F>> + Clock + Log,
    {
        self.dismiss(platform);
        if self.task == Task::Nothing {
            return;
        }
        let (about, key) = (self.about, self.about_key);
        let is_gone = errno == Errno::INTR;
        if self.subject.is_empty() {
            Marks::show(platform, key, &mut self.subject);
        }
        if about == What::Hook && self.task != Task::Freeze && !is_gone {
            // Not again.
            self.standing.hooked = false;
        }
        // Where one that thaws was killed the next one goes on.
        let in_flight = self.leave_to_mark();
        let too_many = self.hanging.push(if is_gone || in_flight { 0 } else { key }).is_err();
        if !is_gone || too_many || self.task == Task::Freeze {
            self.fail(about, Some(errno));
        }
        if too_many {
            // It would take for ever.
            self.standing.failed = true;
            self.standing.inherited |= self.task == Task::Restore;
            return self.end();
        }
        match self.task {
            Task::Freeze
                if in_flight
                    || self.standing.hooked
                    || self.entries.iter().any(|entry| entry.place.frozen) =>
            {
                (self.task, self.count) = (Task::Thaw, 0);
                self.start(platform, None);
            }
            Task::Freeze => {
                self.forget(platform);
                self.end();
            }
            _ => self.start(platform, None),
        }
    }
}
