//! The programs that clients have started, by number: what they print is taken as they print it,
//! how they end is kept until somebody asks.
//!
//! A program has ended when its process has, whoever else may hold its outputs open: what stands in
//! them then is taken, and they are closed. When all places of the table are taken, the program
//! that ended first and was never asked for gives way.

mod entry;
mod starting;
mod words;

pub use entry::{Entry, Output, Wanted};
use entry::{Stage, Taken, take};
use starting::spawn;
pub use words::Program;

use crate::errno::Errno;
use crate::error::Error;
use crate::limits::{EXEC_ENTRIES_MAX, EXEC_LOOK_MS, EXEC_STEP_CALLS_MAX};
use crate::platform::{Clock, Exec, Exit, Free, Level, Log, Memory};
use crate::text::Phrase;

/// How many pipes a program can have that are watched.
const PIPES: u16 = 3;

/// The table of a guest's programs, if it has any.
pub type ProgramsOf<P> = <<P as Exec>::Memory as Memory>::Of<Programs<<P as Exec>::Pipe>>;

/// The programs. All zero when new, and but for the places in use untouched.
pub struct Programs<F> {
    /// How many of the places were ever in use: those from there on are free.
    used: u16,
    /// How many programs run.
    active: u16,
    /// How many have ended.
    ended: u32,
    /// Which pipe is the next to be looked at, and how many before it were empty.
    next: u16,
    empty: u16,
    /// When to go on, although nothing new may come; 0 for never.
    again_ms: u64,
    /// When the first of them is to be killed; 0 for never.
    kill_ms: u64,
    /// The place of the one started last.
    last: u16,
    /// Whether it was said that one gives way, since there was a free place.
    said: bool,
    /// Why that could not be executed.
    failed: Option<Errno>,
    entries: [Entry<F>; EXEC_ENTRIES_MAX],
}

/// What failed when there is no process.
const NOT_STARTED: Phrase = phrase!("failed to start the program: !");

impl<F> Free for Programs<F> {
    const FREE: Self = Programs {
        used: 0,
        active: 0,
        ended: 0,
        next: 0,
        empty: 0,
        again_ms: 0,
        kill_ms: 0,
        last: 0,
        said: false,
        failed: None,
        entries: [Entry::<F>::FREE; EXEC_ENTRIES_MAX],
    };
}

impl<F> Programs<F> {
    /// When to go on; `u64::MAX` if that can wait until something comes.
    pub fn next_ms(&self) -> u64 {
        match sooner(self.again_ms, self.kill_ms) {
            0 => u64::MAX,
            at_ms => at_ms,
        }
    }

    /// How many run, or were not asked for since they have ended.
    pub fn len(&self) -> usize {
        self.entries.iter().filter(|entry| entry.stage != Stage::Free).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether any runs.
    pub fn is_active(&self) -> bool {
        self.active > 0
    }

    /// The place of a program, by its number.
    pub fn find(&self, pid: i64) -> Option<usize> {
        let matches =
            |entry: &Entry<F>| entry.stage > Stage::Starting && i64::from(entry.pid) == pid;
        self.entries.iter().take(self.used.into()).position(matches)
    }

    /// What stands in a place.
    pub fn entry(&mut self, place: usize) -> Option<&mut Entry<F>> {
        self.entries.get_mut(place)
    }

    /// Has every pipe be looked at once, should nothing else say that there is something in one.
    pub fn look_again(&mut self) {
        self.empty = 0;
    }

    /// Whether the one started last is a program now: its number. While it is not, its report is
    /// looked at with every step. Errors: it could not be executed.
    pub fn started(&mut self) -> Result<Option<i32>, Errno> {
        self.look_again();
        if let Some(errno) = self.failed {
            return Err(errno);
        }
        let entry =
            self.entries.get(usize::from(self.last)).filter(|entry| entry.stage > Stage::Starting);
        Ok(entry.map(Entry::pid))
    }

    /// A place for one more: a free one, or that of the program that ended first.
    fn place(&self) -> Option<usize> {
        let places = || self.entries.iter().enumerate();
        if let Some((place, _)) = places().find(|(_, entry)| entry.stage == Stage::Free) {
            return Some(place);
        }
        let ended = places().filter(|(_, entry)| entry.stage == Stage::Ended);
        ended.min_by_key(|(_, entry)| entry.order.wrapping_sub(self.ended)).map(|(place, _)| place)
    }
}

impl<F> Programs<F> {
    /// Begins to start a program: whether it can be executed says [`Programs::started`]. Errors:
    /// all places are taken by programs that run; there can be no process.
    pub fn start<P: Exec<Pipe = F> + Log>(
        &mut self,
        platform: &mut P,
        program: &Program<'_>,
        input: Option<&[u8]>,
        wanted: Wanted,
    ) -> Result<(), Error<'static>> {
        let Some(place) = self.place() else {
            let sentence = phrase!("too many running programs: at most #, wait for one to end");
            return Err(Error::Told(sentence, b"", EXEC_ENTRIES_MAX as i64));
        };
        let mut entry = Entry::FREE;
        spawn(platform, place, program, input, wanted, &mut entry)
            .map_err(|errno| Error::because(NOT_STARTED, errno))?;
        // Their numbers come round.
        let former = self.find(entry.pid.into());
        if let Some(former) = former.and_then(|former| self.entries.get_mut(former)) {
            former.free();
        }
        let Some(old) = self.entries.get_mut(place) else { return Ok(()) };
        let gives_way = old.stage == Stage::Ended;
        if gives_way && !self.said {
            let text = phrase!("too many programs that nobody asked for: the oldest are forgotten");
            platform.log(Level::Warning, &[text]);
        }
        self.said = gives_way;
        *old = entry;
        (self.last, self.failed) = (place as u16, None);
        self.used = self.used.max(place as u16 + 1);
        self.active += 1;
        Ok(())
    }

    /// Of the one started last: whether its output is told while it runs, and when it is killed, 0
    /// for never.
    pub fn arrange(&mut self, streams: bool, kill_ms: u64) {
        if let Some(entry) = self.entries.get_mut(usize::from(self.last)) {
            (entry.streams, entry.kill_ms) = (streams, kill_ms);
        }
        self.kill_ms = sooner(self.kill_ms, kill_ms);
    }

    /// Takes what programs have printed, and how they have ended; a bounded part of it. To be
    /// called with every step while any runs.
    #[inline(never)]
    pub fn follow<P: Exec<Pipe = F> + Clock>(&mut self, platform: &mut P) {
        if platform.is_readable() {
            self.empty = 0;
        }
        let mut calls = EXEC_STEP_CALLS_MAX;
        for place in 0..usize::from(self.used) {
            let entry = self.entries.get(place);
            let runs = |entry: &Entry<F>| matches!(entry.stage, Stage::Starting | Stage::Running);
            if calls > 0
                && entry.is_some_and(runs)
                && let Some(exit) = platform.ended(place)
            {
                self.end(platform, place, exit, &mut calls);
            }
        }
        let pipes = self.used * PIPES;
        while self.empty < pipes && calls > 0 {
            let pipe = self.next % pipes;
            self.next = pipe + 1;
            self.empty += 1;
            let (place, pipe) = (usize::from(pipe / PIPES), usize::from(pipe % PIPES));
            if self.look(platform, place, pipe, &mut calls) == Taken::Something {
                self.empty = 0;
            }
        }
        if self.kill_ms != 0 {
            self.kill(platform);
        }
        let goes_on = calls == 0 && self.active > 0;
        self.again_ms = if goes_on { platform.now_ms().max(1) } else { 0 };
    }

    /// Kills the programs whose time is over, and finds out when the next one's is. One that cannot
    /// be killed is tried again: it may not have begun its group yet.
    #[inline(never)]
    fn kill<P: Exec<Pipe = F> + Clock>(&mut self, platform: &mut P) {
        let now_ms = platform.now_ms();
        self.kill_ms = 0;
        for (place, entry) in self.entries.iter_mut().enumerate().take(self.used.into()) {
            if !matches!(entry.stage, Stage::Starting | Stage::Running) {
                continue;
            }
            if entry.kill_ms != 0 && entry.kill_ms <= now_ms {
                entry.killed = platform.kill(place).is_ok();
                entry.kill_ms = if entry.killed { 0 } else { now_ms + EXEC_LOOK_MS };
            }
            self.kill_ms = sooner(self.kill_ms, entry.kill_ms);
        }
    }

    /// Looks at one of a program's pipes: 0 for the report, 1 and 2 for what it prints.
    fn look<P: Exec<Pipe = F>>(
        &mut self,
        platform: &mut P,
        place: usize,
        pipe: usize,
        calls: &mut usize,
    ) -> Taken {
        let Some(entry) = self.entries.get_mut(place) else { return Taken::Nothing };
        match pipe.checked_sub(1) {
            None if entry.report.is_some() => {
                *calls -= 1;
                self.hear(platform, place);
                Taken::Nothing
            }
            None => Taken::Nothing,
            Some(output) => {
                let output = entry.outputs.get_mut(output);
                output.map_or(Taken::Nothing, |output| take(platform, output, calls))
            }
        }
    }

    /// Hears whether a process has become its program.
    fn hear<P: Exec<Pipe = F>>(&mut self, platform: &mut P, place: usize) {
        let Some(entry) = self.entries.get_mut(place) else { return };
        let Some(report) = &entry.report else { return };
        let failed = match platform.report(report) {
            Err(Errno::AGAIN) => return,
            Ok(None) => {
                (entry.report, entry.stage) = (None, Stage::Running);
                return;
            }
            Ok(Some(errno)) | Err(errno) => errno,
        };
        *entry = Entry::FREE;
        self.active -= 1;
        if place == usize::from(self.last) {
            self.failed = Some(failed);
        }
    }

    /// A process has ended: what it has printed is taken, its pipes are closed.
    fn end<P: Exec<Pipe = F>>(
        &mut self,
        platform: &mut P,
        place: usize,
        exit: Exit,
        calls: &mut usize,
    ) {
        self.hear(platform, place);
        let Some(entry) = self.entries.get_mut(place) else { return };
        if entry.stage == Stage::Free {
            return;
        }
        for output in &mut entry.outputs {
            // Whoever else prints into it does not go on for ever.
            let mut left = EXEC_STEP_CALLS_MAX;
            while take(platform, output, &mut left) == Taken::Something {}
            *calls = calls.saturating_sub(EXEC_STEP_CALLS_MAX - left);
            output.pipe = None;
            if output.bytes == 0 {
                output.memory = None;
            }
        }
        (entry.stage, entry.exit, entry.order) = (Stage::Ended, exit, self.ended);
        entry.report = None;
        self.ended = self.ended.wrapping_add(1);
        self.active -= 1;
    }
}

/// The sooner of two times, of which 0 is never.
fn sooner(one_ms: u64, other_ms: u64) -> u64 {
    one_ms.wrapping_sub(1).min(other_ms.wrapping_sub(1)).wrapping_add(1)
}
