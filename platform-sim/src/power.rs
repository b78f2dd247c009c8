//! Power as data: what is started, signalled and ended comes in; the programs and processes beside
//! init, what is to be seen of them, and how the guest ended go out.

use crate::init::{Init, Sign};
use qga_core::Errno;
use qga_core::platform::{About, Exit, FIRST_PROCESSES, Mode, Signal};

/// A program that can be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// Its path.
    pub path: String,
    /// How long it runs; without an end it runs for ever.
    pub runs_ms: Option<u64>,
    /// How it ends.
    pub exit: Exit,
    /// What it prints.
    pub output: Vec<u8>,
    /// Why it cannot be executed, although it is there.
    pub error: Option<Errno>,
    /// Whether it is a script.
    pub script: bool,
    /// Whether init goes down when it ends with status 0.
    pub obeyed: bool,
}

impl Program {
    /// A program that ends at once with a status and prints nothing. With status 0 it is obeyed.
    pub fn ending(path: &str, status: u8) -> Self {
        let (path, exit) = (path.to_owned(), Exit::Status(status));
        let (runs_ms, output, error) = (Some(0), Vec::new(), None);
        Program { path, runs_ms, exit, output, error, script: false, obeyed: true }
    }
}

/// In which namespaces the agent is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// A process namespace that is not the machine's first: a container.
    pub contained: bool,
    /// A mount namespace of its own.
    pub own_mounts: bool,
    /// Why there is nothing to be seen in /proc.
    pub no_proc: Option<Errno>,
}

/// What ended the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// reboot(2).
    Kernel(Mode),
}

/// A process of the guest other than init and the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Process {
    /// How long it takes to end after SIGTERM; without a time it does not.
    pub ends_ms: Option<u64>,
    /// Since when it has known that it should end.
    told_at_ms: Option<u64>,
}

impl Process {
    /// A process that ends so long after SIGTERM, or never.
    pub fn ending(ends_ms: Option<u64>) -> Self {
        Process { ends_ms, told_at_ms: None }
    }
}

/// Programs, init, processes and rights.
#[derive(Debug)]
pub struct Machine {
    /// The programs that there are.
    pub programs: Vec<Program>,
    /// Process 1; nothing when that is the agent.
    pub init: Option<Init>,
    /// Where the agent is.
    pub place: Place,
    /// Why reboot(2) is not allowed.
    pub reboot_error: Option<Errno>,
    /// Why reboot(2) fails although it is allowed.
    pub kernel_error: Option<Errno>,
    /// The other processes.
    pub processes: Vec<Process>,
    /// How the guest ended; no call has any effect after it.
    pub ending: Option<Ending>,
    /// Every program that was started, with its arguments, as a command line.
    pub started: Vec<String>,
    /// What those were given to read that a copy of the agent ran.
    pub inputs: Vec<Vec<u8>>,
    /// How often everything was written back.
    pub syncs: usize,
    /// The program started last, and when.
    running: Option<(Program, u64)>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Machine {
            programs: Vec::new(),
            init: Some(Init::new("/bin/some-init", &[], &[])),
            place: Place::default(),
            reboot_error: None,
            kernel_error: None,
            processes: Vec::new(),
            ending: None,
            started: Vec::new(),
            inputs: Vec::new(),
            syncs: 0,
            running: None,
        }
    }

    pub(crate) fn start(
        &mut self,
        path: &str,
        arguments: &[&str],
        now_ms: u64,
    ) -> Result<(), Errno> {
        let found = self.programs.iter().find(|program| program.path == path);
        let program = found.ok_or(Errno::NOENT)?.clone();
        if let Some(errno) = program.error {
            return Err(errno);
        }
        let words: Vec<&str> = [path].into_iter().chain(arguments.iter().copied()).collect();
        self.started.push(words.join(" "));
        self.running = Some((program, now_ms));
        Ok(())
    }

    pub(crate) fn exit(&mut self, now_ms: u64) -> Option<Exit> {
        let (program, since_ms) = self.running.as_ref()?;
        let ended = now_ms >= since_ms.saturating_add(program.runs_ms?);
        let obeyed = program.obeyed && program.exit == Exit::Status(0);
        if let (true, true, Some(init)) = (ended, obeyed, &mut self.init) {
            init.obey(now_ms);
        }
        ended.then_some(program.exit)
    }

    /// When the program that was started last ends, if that is to come: who waits is woken then.
    pub fn wakes_at_ms(&self, now_ms: u64) -> Option<u64> {
        let (program, since_ms) = self.running.as_ref()?;
        let ends_ms = since_ms.saturating_add(program.runs_ms?);
        (ends_ms > now_ms).then_some(ends_ms)
    }

    /// What the program that was started last has printed.
    pub(crate) fn output(&self, now_ms: u64) -> Vec<u8> {
        let Some((program, _)) = &self.running else { return Vec::new() };
        let stopping = self.init.as_ref().is_some_and(|init| init.shows(Sign::State, now_ms));
        match program.path.as_str() {
            "/bin/systemctl" if stopping => b"stopping\n".to_vec(),
            _ => program.output.clone(),
        }
    }

    pub(crate) fn about(&self, about: About, now_ms: u64) -> Result<Vec<u8>, Errno> {
        let Place { contained, own_mounts, no_proc } = self.place;
        none_or(no_proc)?;
        let text = match (about, &self.init) {
            (About::OwnProcesses, _) if contained => "pid:[4026532001]".into(),
            (About::OwnProcesses, _) => return Ok(FIRST_PROCESSES.to_vec()),
            (About::OwnMounts, _) if own_mounts => "mnt:[4026532000]".into(),
            (About::OwnMounts | About::InitMounts, _) => "mnt:[4026531841]".into(),
            (_, Some(init)) => init.text(about, now_ms)?,
            (_, None) => "/bin/qga".into(),
        };
        Ok(text.into_bytes())
    }

    /// Whether init has been asked in a way that it obeys.
    pub fn is_going_down(&self) -> bool {
        self.init.as_ref().is_some_and(|init| init.down_at_ms.is_some())
    }

    pub(crate) fn signal(&mut self, signal: Signal, now_ms: u64) {
        match signal {
            Signal::Kill => self.processes.clear(),
            Signal::Terminate => {
                for process in &mut self.processes {
                    process.told_at_ms = process.told_at_ms.or(Some(now_ms));
                }
            }
        }
    }

    pub(crate) fn processes_remain(&mut self, now_ms: u64) -> bool {
        self.processes.retain(|process| match (process.told_at_ms, process.ends_ms) {
            (Some(told), Some(takes)) => now_ms < told.saturating_add(takes),
            _ => true,
        });
        !self.processes.is_empty()
    }
}

/// What is not allowed, if anything.
pub(crate) fn none_or(error: Option<Errno>) -> Result<(), Errno> {
    error.map_or(Ok(()), Err)
}
