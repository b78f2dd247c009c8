//! Hooks: the administrator's program hears of a freeze before it begins and of its end when
//! everything runs again, always in pairs, whatever comes in between; how it failed goes out.
//!
//! Invariant: a hook that was told of a freeze is on record, in [`Standing::hooked`] of the agent
//! and in the mark, before it is started, so that whoever is left tells it of the thaw. One
//! thaw too many it may hear of, when somebody is killed in between; never one too few.
//!
//! [`Standing::hooked`]: crate::platform::Standing::hooked

use super::failure::HOOK;
use super::marks::boot;
use super::telling::tell_about;
use super::{Freezer, Marks};
use crate::errno::Errno;
use crate::limits::{FREEZE_STEP_MS_MAX, HOOK_LOOK_MS, PATH_SHOWN_BYTES};
use crate::mark::{self, Record, RecordState};
use crate::platform::{Clock, Device, Exit, Failure, Freeze, Level, Log, Moment, Report, What};
use crate::writer::Writer;

impl<F> Freezer<F> {
    /// Begins a mark: its head, and that the hook is to be told of the thaw. Returns where the
    /// first record of a filesystem begins.
    #[inline(never)]
    pub(super) fn begin_mark<P: Freeze<Filesystem = F>>(
        &self,
        platform: &mut P,
        mark: &mut Marks<P::Mark>,
    ) -> Result<u64, Failure> {
        let marked = |errno| Failure(What::Mark, Some(errno));
        mark::new_head(&boot(platform), |bytes| mark.append(bytes)).map_err(marked)?;
        let mut at = mark::HEAD_BYTES as u64;
        if P::HOOKS && self.standing.hooked {
            let (state, superblock) = (RecordState::Hooked, Device::new(0, 0));
            let hook = Record { state, superblock, path: b"(the hook)" };
            at += hook.append(|bytes| mark.append(bytes)).map_err(marked)?;
        }
        Ok(at)
    }

    /// Tells the hook, if there is one, that a freeze begins. Errors: it failed, and so does the
    /// freeze; the mark cannot be written, and nothing was told.
    pub(super) fn tell_hook_of_freeze<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
    ) -> Result<(), Failure> {
        if !P::HOOKS || !platform.has_hook() {
            return Ok(());
        }
        self.standing.hooked = true;
        let mut mark = Marks::create(platform);
        let marked = self
            .begin_mark(platform, &mut mark)
            .and_then(|_| mark.publish(platform).map_err(|errno| Failure(What::Mark, Some(errno))));
        drop(mark);
        if marked.is_err() {
            self.standing.hooked = false;
            return marked;
        }
        self.say_hook(platform, Moment::Freeze)
    }

    /// Tells the hook, if it was told of a freeze, that everything runs again; `result` is what
    /// came of that, and comes back. Errors: that, else that the hook failed.
    pub(super) fn tell_hook_of_thaw<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
        result: Result<(), Failure>,
    ) -> Result<(), Failure> {
        // The one that was told may be gone with an agent before this one, or its settings.
        let owed = P::HOOKS && !self.standing.frozen && core::mem::take(&mut self.standing.hooked);
        if !owed {
            return result;
        }
        let subject = self.subject;
        let told = if platform.has_hook() { self.say_hook(platform, Moment::Thaw) } else { Ok(()) };
        if result.is_err() {
            self.subject = subject;
        }
        if !platform.is_worker() && !self.standing.mark_stays {
            Marks::remove(platform);
        }
        result.and(told)
    }

    /// Runs it, and has the log say how it failed: for a thaw that nobody asks for, too. Nothing is
    /// frozen now.
    fn say_hook<P: Freeze<Filesystem = F> + Clock + Log>(
        &mut self,
        platform: &mut P,
        moment: Moment,
    ) -> Result<(), Failure> {
        let result = self.run_hook(platform, moment);
        if result.is_err() {
            platform.log_of(Level::Error, &[HOOK.phrase(), phrase!(" ")], &self.subject);
        }
        result
    }

    /// Runs it, until it has ended or taken too long.
    fn run_hook<P: Freeze<Filesystem = F> + Clock>(
        &mut self,
        platform: &mut P,
        moment: Moment,
    ) -> Result<(), Failure> {
        mark::show(moment.word(), &mut self.subject);
        tell_about(platform, What::Hook, 0, moment.word());
        let failed = |errno| Failure(What::Hook, Some(errno));
        let ms_max = self.step_ms_max.unwrap_or(FREEZE_STEP_MS_MAX);
        let end_ms = platform.now_ms().saturating_add(ms_max);
        platform.start_hook(moment).map_err(failed)?;
        let exit = loop {
            let left_ms = end_ms.saturating_sub(platform.now_ms());
            if let Some(exit) = platform.wait_for_hook(left_ms.min(HOOK_LOOK_MS)).map_err(failed)? {
                break exit;
            }
            if left_ms == 0 {
                platform.end_hook();
                return Err(failed(Errno::TIMEDOUT));
            }
            // It is this worker that looks at the time. When the agent listens no more nobody needs
            // the hook either.
            platform.tell(&Report::Nothing, None, None);
        };
        if exit == Exit::Status(0) {
            return Ok(());
        }
        let mut bytes = [0; PATH_SHOWN_BYTES];
        let mut account = Writer::new(&mut bytes);
        account.raw(moment.word());
        let (how, number) = match exit {
            Exit::Status(status) => (&b": exit status "[..], status),
            Exit::Signal(signal) => (&b": killed by signal "[..], signal),
        };
        account.raw(how);
        account.unsigned(number.into());
        account.raw(b": ");
        let len = platform.hook_output(account.free());
        account.advance(len);
        mark::show(account.written().trim_ascii_end(), &mut self.subject);
        Err(Failure(What::Hook, None))
    }
}
