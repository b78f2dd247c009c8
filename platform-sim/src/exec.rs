//! Programs of clients as data: what each prints and when, how it ends, who holds its outputs open
//! after it, come in; what was started and with which words can be looked at. Invariant: nothing is
//! printed before its time, and nothing into a pipe that is full.

use qga_core::Errno;
use qga_core::platform::Exit;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// How much a pipe holds (pipe(7)).
pub const PIPE_BYTES: usize = 65_536;

/// Something that a program prints.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Print {
    /// How long after its start.
    pub after_ms: u64,
    /// Whether that goes to its standard error output.
    pub error: bool,
    /// What.
    pub bytes: Vec<u8>,
}

/// A program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Executable {
    /// Its path.
    pub path: String,
    /// Why it cannot be executed, although it is there.
    pub error: Option<Errno>,
    /// How long execve(2) takes; without an end it hangs.
    pub begins_ms: Option<u64>,
    /// What it prints.
    pub prints: Vec<Print>,
    /// Whether it prints what it reads, first of all.
    pub echoes: bool,
    /// How long it runs; without an end it runs for ever.
    pub runs_ms: Option<u64>,
    /// How it ends.
    pub exit: Exit,
    /// Whether another process holds its outputs open from then on.
    pub held: bool,
}

impl Executable {
    /// A program that prints something and ends with status 0 at once.
    pub fn printing(path: &str, text: &[u8]) -> Self {
        let print = Print { after_ms: 0, error: false, bytes: text.to_vec() };
        Executable {
            path: path.to_owned(),
            error: None,
            begins_ms: Some(0),
            prints: if text.is_empty() { Vec::new() } else { vec![print] },
            echoes: false,
            runs_ms: Some(0),
            exit: Exit::Status(0),
            held: false,
        }
    }
}

/// A program that was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Its path.
    pub path: String,
    /// Its words, the first one among them.
    pub words: Vec<String>,
    /// Its environment, if it is not the agent's.
    pub variables: Option<Vec<String>>,
    /// What it could read.
    pub input: Vec<u8>,
}

/// What is in a pipe.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) bytes: VecDeque<u8>,
    /// How much it holds, if that is not [`PIPE_BYTES`].
    pub(crate) capacity: Option<usize>,
    /// How many writing ends are open.
    pub(crate) writers: usize,
    pub(crate) watched: bool,
}

impl Queue {
    pub(crate) fn free(&self) -> usize {
        self.capacity.unwrap_or(PIPE_BYTES).saturating_sub(self.bytes.len())
    }
}

pub(crate) type Pipe = Rc<RefCell<Queue>>;

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) program: Executable,
    /// What it prints into, until it has closed it.
    pub(crate) outputs: [Option<Pipe>; 2],
    pub(crate) report: Option<Pipe>,
    since_ms: u64,
    /// How much of what it prints is printed.
    printed: usize,
    /// How much of the next thing.
    begun: usize,
    ended: bool,
}

/// The programs, and what became of those that were started.
#[derive(Debug, Default)]
pub struct Execs {
    /// The programs that there are.
    pub programs: Vec<Executable>,
    /// The agent's variable PATH.
    pub search: Option<&'static str>,
    /// Whether there is no /dev/null.
    pub no_null: bool,
    /// The largest pipe that there can be; any, if that is nothing.
    pub pipe_bytes_max: Option<usize>,
    /// What was started, one after the other.
    pub started: Vec<Run>,
    /// How many descriptors the agent has open for programs.
    pub open: usize,
    /// How many processes there were.
    pub spawned: usize,
    /// The most that was kept of an output at once.
    pub held_bytes_max: usize,
    /// When programs were killed by the agent, by their places.
    pub killed: Vec<(usize, u64)>,
    /// The number of the next one, if it is not to be another one.
    pub next_pid: Option<i32>,
    pub(crate) processes: BTreeMap<usize, Process>,
    /// What the present child has become.
    pub(crate) becomes: Option<(Executable, Run)>,
}

impl Execs {
    /// A child has come to its end, or has become what it is now.
    pub(crate) fn spawn(
        &mut self,
        slot: usize,
        outputs: [Option<Pipe>; 2],
        report: Option<Pipe>,
        now_ms: u64,
    ) -> i32 {
        self.spawned += 1;
        let pid = self.next_pid.take().unwrap_or(4000 + self.spawned as i32);
        let program = match self.becomes.take() {
            Some((program, run)) => {
                self.started.push(run);
                program
            }
            // What it reports stands in the pipe already.
            None => Executable { exit: Exit::Status(127), ..Executable::printing("", b"") },
        };
        let pipes = outputs.iter().chain([&report]).flatten();
        pipes.for_each(|pipe| pipe.borrow_mut().writers += 1);
        let process = Process {
            program,
            outputs,
            report,
            since_ms: now_ms,
            printed: 0,
            begun: 0,
            ended: false,
        };
        self.processes.insert(slot, process);
        pid
    }

    /// Somebody ends the program of a slot, if it runs, by this signal.
    pub fn kill(&mut self, slot: usize, signal: u8) {
        let process = self.processes.get_mut(&slot);
        if let Some(process) = process.filter(|process| !process.ended) {
            process.program.exit = Exit::Signal(signal);
            process.program.runs_ms = Some(0);
        }
    }

    /// The agent ends the program of a slot. Errors: ESRCH when it has ended.
    pub(crate) fn end(&mut self, slot: usize, now_ms: u64) -> Result<(), Errno> {
        let process = self.processes.get_mut(&slot).filter(|process| !process.ended);
        let process = process.ok_or(Errno::SRCH)?;
        // Whatever it waits for, execve(2) too.
        process.program.begins_ms = Some(0);
        process.program.prints.truncate(process.printed);
        self.kill(slot, 9);
        self.killed.push((slot, now_ms));
        self.go_on(now_ms);
        Ok(())
    }

    /// How the process of a slot has ended.
    pub(crate) fn exit(&self, slot: usize) -> Option<Exit> {
        let process = self.processes.get(&slot)?;
        process.ended.then_some(process.program.exit)
    }

    /// All processes go on up to this time.
    pub(crate) fn go_on(&mut self, now_ms: u64) {
        self.processes.values_mut().for_each(|process| process.go_on(now_ms));
    }
}

impl Process {
    fn go_on(&mut self, now_ms: u64) {
        let Some(begins_ms) = self.program.begins_ms else { return };
        let since_ms = self.since_ms.saturating_add(begins_ms);
        if now_ms < since_ms {
            return;
        }
        close(&mut self.report);
        while let Some(print) = self.program.prints.get(self.printed) {
            if now_ms < since_ms + print.after_ms {
                break;
            }
            if let Some(output) = &self.outputs[usize::from(print.error)] {
                let mut queue = output.borrow_mut();
                let rest = &print.bytes[self.begun..];
                let len = queue.free().min(rest.len());
                queue.bytes.extend(&rest[..len]);
                if len < rest.len() {
                    self.begun += len;
                    return;
                }
            }
            self.printed += 1;
            self.begun = 0;
        }
        if self.program.runs_ms.is_some_and(|runs_ms| now_ms >= since_ms.saturating_add(runs_ms)) {
            self.ended = true;
            if !self.program.held {
                self.outputs.iter_mut().for_each(close);
            }
        }
    }
}

fn close(pipe: &mut Option<Pipe>) {
    if let Some(pipe) = pipe.take() {
        pipe.borrow_mut().writers -= 1;
    }
}
