//! The programs that clients have started, by number: what they print is taken as they print it,
//! how they end is kept until somebody asks.
//!
//! A program has ended when its process has, whoever else may hold its outputs open: what stands in
//! them then is taken, and they are closed. When all places of the table are taken, the program
//! that ended first and was never asked for gives way.

mod words;

pub use words::Program;

use crate::errno::Errno;
use crate::error::Error;
use crate::limits::{
    EXEC_ENTRIES_MAX, EXEC_OUTPUT_BYTES_MAX, EXEC_PIPE_BYTES_MIN, EXEC_STEP_CALLS_MAX,
};
use crate::platform::{Clock, Exec, Exit, Free, Level, Log, Memory, Standard};
use crate::text::Phrase;

/// What of a program's output somebody wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// Nothing.
    None,
    /// The standard output.
    Output,
    /// The standard error output.
    Errors,
    /// Both, each by itself.
    Separated,
    /// Both, as one.
    Merged,
}

/// How it stands with a program. The numbered first variant makes a new table all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
#[repr(u8)]
enum Stage {
    /// There is none.
    Free = 0,
    /// Its process is not the program yet.
    Starting,
    Running,
    Ended,
}

/// What a program prints into one of its outputs.
#[derive(Debug)]
pub struct Output<F> {
    /// The reading end, while the program runs.
    pipe: Option<F>,
    /// What keeps it, while there is any.
    memory: Option<F>,
    /// How much that is.
    pub bytes: u32,
    /// Whether there was more.
    pub truncated: bool,
}

impl<F> Output<F> {
    const NONE: Self = Output { pipe: None, memory: None, bytes: 0, truncated: false };

    /// What it kept, if it kept any.
    pub fn memory(&self) -> Option<&F> {
        self.memory.as_ref()
    }
}

/// A program that was started.
#[derive(Debug)]
pub struct Entry<F> {
    stage: Stage,
    exit: Exit,
    pid: i32,
    /// How many had ended before it.
    order: u32,
    /// What says whether it could be executed, until it has.
    report: Option<F>,
    /// Its standard output and its standard error output.
    pub outputs: [Output<F>; 2],
}

impl<F> Free for Entry<F> {
    const FREE: Self = Entry {
        stage: Stage::Free,
        exit: Exit::Status(0),
        pid: 0,
        order: 0,
        report: None,
        outputs: [Output::NONE, Output::NONE],
    };
}

impl<F> Entry<F> {
    /// How it has ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        (self.stage == Stage::Ended).then_some(self.exit)
    }

    /// Nobody asks for it any more.
    pub fn free(&mut self) {
        *self = Entry::FREE;
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid
    }
}

/// What came of a call for a pipe.
#[derive(PartialEq, Eq)]
enum Taken {
    /// There may be more.
    Something,
    /// Nothing is there now.
    Nothing,
    /// Nothing will come any more.
    Over,
}

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
        last: 0,
        said: false,
        failed: None,
        entries: [Entry::<F>::FREE; EXEC_ENTRIES_MAX],
    };
}

impl<F> Programs<F> {
    /// When to go on; `u64::MAX` if that can wait until something comes.
    pub fn next_ms(&self) -> u64 {
        if self.again_ms == 0 { u64::MAX } else { self.again_ms }
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
        let goes_on = calls == 0 && self.active > 0;
        self.again_ms = if goes_on { platform.now_ms().max(1) } else { 0 };
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

/// Takes once what a program has printed, if it can print still and there are calls left.
fn take<F, P: Exec<Pipe = F>>(
    platform: &mut P,
    output: &mut Output<F>,
    calls: &mut usize,
) -> Taken {
    let Some(pipe) = output.pipe.as_ref().filter(|_| *calls > 0) else { return Taken::Nothing };
    *calls -= 1;
    let room = EXEC_OUTPUT_BYTES_MAX - output.bytes;
    let keeps = output.memory.as_ref().filter(|_| room > 0 && !output.truncated);
    let taken = match keeps {
        Some(memory) => platform.keep(pipe, memory, room as usize),
        None => platform.discard(pipe),
    };
    match (taken, keeps.is_some()) {
        (Ok(0), _) => {
            output.pipe = None;
            return Taken::Over;
        }
        (Ok(len), true) => output.bytes += len.min(room),
        (Ok(_), false) => output.truncated = true,
        (Err(Errno::AGAIN), _) => return Taken::Nothing,
        (Err(Errno::INTR), _) => {}
        // Without memory the rest is dropped.
        (Err(_), true) => output.truncated = true,
        (Err(_), false) => {
            output.pipe = None;
            return Taken::Over;
        }
    }
    Taken::Something
}

/// What is open while a process is made, but for what stays open: closed in one place, whatever
/// fails.
struct Opened<F> {
    nothing: Option<F>,
    input: Option<F>,
    reports: Option<F>,
    /// What the program prints into.
    prints: [Option<F>; 2],
}

/// Makes the process of a program, and what takes its output, into a free entry.
#[inline(never)]
fn spawn<F, P: Exec<Pipe = F>>(
    platform: &mut P,
    place: usize,
    program: &Program<'_>,
    input: Option<&[u8]>,
    wanted: Wanted,
    entry: &mut Entry<F>,
) -> Result<(), Errno> {
    let mut opened = Opened { nothing: None, input: None, reports: None, prints: [None, None] };
    let opened = &mut opened;
    open(platform, input, wanted, entry, opened)?;
    let [printed, complained] = &opened.prints;
    let merged = if wanted == Wanted::Merged { printed } else { &None };
    let (Some(nothing), Some(report)) = (&opened.nothing, &opened.reports) else {
        return Err(Errno::BADF);
    };
    let standard = Standard {
        input: opened.input.as_ref().unwrap_or(nothing),
        output: printed.as_ref().unwrap_or(nothing),
        error: complained.as_ref().or(merged.as_ref()).unwrap_or(nothing),
        report,
    };
    let mut child = |platform: &mut P, room: &mut [u8]| program.become_it(platform, room);
    entry.pid = platform.spawn(place, standard, program.room_bytes(), &mut child)?;
    entry.stage = Stage::Starting;
    Ok(())
}

/// Opens what that takes.
fn open<F, P: Exec<Pipe = F>>(
    platform: &mut P,
    input: Option<&[u8]>,
    wanted: Wanted,
    entry: &mut Entry<F>,
    opened: &mut Opened<F>,
) -> Result<(), Errno> {
    opened.nothing = Some(platform.nothing().or_else(|_| platform.memory())?);
    if let Some(bytes) = input {
        opened.input = Some(feed(platform, bytes)?);
    }
    watched(platform, &mut entry.report, &mut opened.reports)?;
    let outputs = entry.outputs.iter_mut().zip(&mut opened.prints);
    let unwanted = [
        matches!(wanted, Wanted::None | Wanted::Errors),
        !matches!(wanted, Wanted::Errors | Wanted::Separated),
    ];
    for ((output, prints), unwanted) in outputs.zip(unwanted) {
        if !unwanted {
            watched(platform, &mut output.pipe, prints)?;
            output.memory = Some(platform.memory()?);
        }
    }
    Ok(())
}

/// A pipe whose reading end is watched.
#[inline(never)]
fn watched<F, P: Exec<Pipe = F>>(
    platform: &mut P,
    read: &mut Option<F>,
    write: &mut Option<F>,
) -> Result<(), Errno> {
    let [reads, writes] = platform.pipe()?;
    (*read, *write) = (Some(reads), Some(writes));
    read.as_ref().map_or(Err(Errno::BADF), |read| platform.watch(read))
}

/// What a program reads these bytes from, all of them in it already: a pipe, as the reference has
/// it, or, where it cannot be as large, memory.
fn feed<F, P: Exec<Pipe = F>>(platform: &mut P, bytes: &[u8]) -> Result<F, Errno> {
    let [read, write] = platform.pipe()?;
    let holds = bytes.len() <= EXEC_PIPE_BYTES_MIN || platform.enlarge(&write, bytes.len()).is_ok();
    if holds && put_all(platform, &write, false, bytes).is_ok() {
        return Ok(read);
    }
    let memory = platform.memory()?;
    put_all(platform, &memory, true, bytes)?;
    Ok(memory)
}

/// Puts all of `bytes` into a pipe, or into memory, by as many calls as that takes. Errors: those
/// of a call; EIO when nothing more goes in.
#[inline(never)]
fn put_all<F, P: Exec<Pipe = F>>(
    platform: &mut P,
    file: &F,
    is_memory: bool,
    bytes: &[u8],
) -> Result<(), Errno> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let put = match is_memory {
            true => platform.put_into_memory(file, at, rest),
            false => platform.put_into_pipe(file, rest),
        };
        match put {
            Ok(0) => return Err(Errno::IO),
            Ok(len) => at += len,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
