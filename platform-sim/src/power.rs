//! Power: the programs, init and processes of the guest as data, and how the guest ended.

use crate::{Kind, Sim};
use qga_core::Errno;
use qga_core::platform::{Exit, InitSystem, Mode, Power, Signal};
use std::ffi::CStr;

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
}

impl Program {
    /// A program that ends at once with a status and prints nothing.
    pub fn ending(path: &str, status: u8) -> Self {
        let exit = Exit::Status(status);
        Program { path: path.to_owned(), runs_ms: Some(0), exit, output: Vec::new(), error: None }
    }
}

/// What ended the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// This signal-like request to init.
    Init(InitSystem, Mode),
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
    /// Which init runs the guest.
    pub init: InitSystem,
    /// Why init cannot be signalled.
    pub init_error: Option<Errno>,
    /// Why reboot(2) is not allowed.
    pub reboot_error: Option<Errno>,
    /// Why reboot(2) fails although it is allowed.
    pub kernel_error: Option<Errno>,
    /// The other processes.
    pub processes: Vec<Process>,
    /// How the guest ended; no call has any effect behind it.
    pub ending: Option<Ending>,
    /// Every program that was started, with its arguments, as a command line.
    pub started: Vec<String>,
    /// How often everything was written back.
    pub syncs: usize,
    /// The program started last, and when.
    running: Option<(Program, u64)>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        Machine {
            programs: Vec::new(),
            init: InitSystem::Other,
            init_error: None,
            reboot_error: None,
            kernel_error: None,
            processes: Vec::new(),
            ending: None,
            started: Vec::new(),
            syncs: 0,
            running: None,
        }
    }

    fn start(&mut self, path: &str, arguments: &[&str], now_ms: u64) -> Result<(), Errno> {
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

    fn exit(&self, now_ms: u64) -> Option<Exit> {
        let (program, since_ms) = self.running.as_ref()?;
        (now_ms >= since_ms.saturating_add(program.runs_ms?)).then_some(program.exit)
    }

    fn signal(&mut self, signal: Signal, now_ms: u64) {
        match signal {
            Signal::Kill => self.processes.clear(),
            Signal::Terminate => {
                for process in &mut self.processes {
                    process.told_at_ms = process.told_at_ms.or(Some(now_ms));
                }
            }
        }
    }

    fn processes_remain(&mut self, now_ms: u64) -> bool {
        self.processes.retain(|process| match (process.told_at_ms, process.ends_ms) {
            (Some(told), Some(takes)) => now_ms < told.saturating_add(takes),
            _ => true,
        });
        !self.processes.is_empty()
    }
}

fn none_or(error: Option<Errno>) -> Result<(), Errno> {
    error.map_or(Ok(()), Err)
}

impl Power for Sim {
    const OFFERED: bool = true;

    fn start_program(&mut self, command: &[&CStr]) -> Result<(), Errno> {
        let words: Vec<&str> = command.iter().map(|word| word.to_str().unwrap_or("")).collect();
        let (path, arguments) = words.split_first().ok_or(Errno::INVAL)?;
        self.call(Kind::StartProgram, |world| {
            world.machine.start(path, arguments, world.time.now_ms)
        })
    }

    fn program_exit(&mut self) -> Option<Exit> {
        self.sure(Kind::ProgramExit, None, |world| world.machine.exit(world.time.now_ms))
    }

    fn program_output(&mut self, into: &mut [u8]) -> usize {
        self.sure(Kind::ProgramOutput, 0, |world| {
            let Some((program, _)) = &world.machine.running else { return 0 };
            let len = program.output.len().min(into.len());
            into[..len].copy_from_slice(&program.output[..len]);
            len
        })
    }

    fn init_system(&mut self) -> InitSystem {
        self.sure(Kind::InitSystem, InitSystem::Other, |world| world.machine.init)
    }

    fn signal_init(&mut self, init: InitSystem, mode: Mode) -> Result<(), Errno> {
        self.call(Kind::SignalInit, |world| {
            if matches!(init, InitSystem::Agent | InitSystem::Other) {
                return Err(Errno::OPNOTSUPP);
            }
            none_or(world.machine.init_error)?;
            world.machine.ending = Some(Ending::Init(init, mode));
            Ok(())
        })
    }

    fn may_reboot(&mut self) -> Result<(), Errno> {
        self.call(Kind::MayReboot, |world| none_or(world.machine.reboot_error))
    }

    fn signal_all(&mut self, signal: Signal) {
        self.sure(Kind::SignalAll, (), |world| {
            world.machine.signal(signal, world.time.now_ms);
        });
    }

    fn processes_remain(&mut self) -> bool {
        self.sure(Kind::ProcessesRemain, false, |world| {
            world.machine.processes_remain(world.time.now_ms)
        })
    }

    fn unmount(&mut self, path: &[u8]) -> Result<(), Errno> {
        self.call(Kind::Unmount, |world| world.mounts.unmount(path))
    }

    fn remount_read_only(&mut self, path: &[u8]) -> Result<(), Errno> {
        self.call(Kind::RemountReadOnly, |world| world.mounts.remount_read_only(path))
    }

    fn sync(&mut self) {
        self.sure(Kind::Sync, (), |world| world.machine.syncs += 1);
    }

    /// A real one does not return when it works; this one cuts the power, and the driver stops.
    fn reboot(&mut self, mode: Mode) -> Result<(), Errno> {
        self.call(Kind::Reboot, |world| {
            none_or(world.machine.reboot_error)?;
            none_or(world.machine.kernel_error)?;
            world.machine.ending = Some(Ending::Kernel(mode));
            let calls = world.faults.calls();
            world.faults.cut_after(calls);
            Ok(())
        })
    }
}
