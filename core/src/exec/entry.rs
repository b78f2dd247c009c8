//! One program that was started: how it stands with it, and what it prints, taken as it comes.

use crate::errno::Errno;
use crate::limits::EXEC_OUTPUT_BYTES_MAX;
use crate::platform::{Exec, Exit, Free};

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

/// The signal that nobody ignores.
const SIGKILL: u8 = 9;

/// How it stands with a program. The numbered first variant makes a new table all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
#[repr(u8)]
pub(super) enum Stage {
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
    pub(super) pipe: Option<F>,
    /// What keeps it, while there is any.
    pub(super) memory: Option<F>,
    /// How much that is.
    pub bytes: u32,
    /// How much of it the present reply has.
    pub leaving: u32,
    /// How much came before it, was told and let go.
    pub gone_bytes: u64,
    /// Whether there was more.
    pub truncated: bool,
}

impl<F> Output<F> {
    const NONE: Self =
        Output { pipe: None, memory: None, bytes: 0, leaving: 0, gone_bytes: 0, truncated: false };

    /// What it kept, if it kept any.
    pub fn memory(&self) -> Option<&F> {
        self.memory.as_ref()
    }

    /// Whether something was dropped right after what the present reply has.
    pub fn is_cut(&self) -> bool {
        self.truncated && self.leaving == self.bytes
    }

    /// The present reply has its part, which is let go: there is room for as much again, and what
    /// was dropped after it was told. Memory that cannot be given back would grow without end, so
    /// from then on all is dropped.
    pub(crate) fn let_go<P: Exec<Pipe = F>>(&mut self, platform: &mut P) {
        self.truncated &= !self.is_cut();
        let Some(memory) = self.memory.as_ref().filter(|_| self.leaving > 0) else { return };
        self.gone_bytes += u64::from(self.leaving);
        self.bytes = self.bytes.saturating_sub(self.leaving);
        self.leaving = 0;
        if platform.forget(memory, self.gone_bytes).is_err() {
            self.truncated |= self.bytes > 0;
            (self.memory, self.bytes) = (None, 0);
        }
    }
}

/// A program that was started.
#[derive(Debug)]
pub struct Entry<F> {
    pub(super) stage: Stage,
    pub(super) exit: Exit,
    pub(super) pid: i32,
    /// How many had ended before it.
    pub(super) order: u32,
    /// What says whether it could be executed, until it has.
    pub(super) report: Option<F>,
    /// When it is killed; 0 for never.
    pub(super) kill_ms: u64,
    /// Whether it was.
    pub(super) killed: bool,
    /// Whether its output is told while it runs.
    pub streams: bool,
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
        kill_ms: 0,
        killed: false,
        streams: false,
        outputs: [Output::NONE, Output::NONE],
    };
}

impl<F> Entry<F> {
    /// How it has ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        (self.stage == Stage::Ended).then_some(self.exit)
    }

    /// Whether that is because its time was over.
    pub fn is_timed_out(&self) -> bool {
        self.killed && self.exit == Exit::Signal(SIGKILL)
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
pub(super) enum Taken {
    /// There may be more.
    Something,
    /// Nothing is there now.
    Nothing,
    /// Nothing will come any more.
    Over,
}

/// Takes once what a program has printed, if it can print still and there are calls left.
pub(super) fn take<F, P: Exec<Pipe = F>>(
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
