//! Shutting the guest down, also where there is no /sbin/shutdown and where the agent is process 1.
//!
//! In this order, until one works: the guest's own programs (as the reference calls them), its init by
//! signal, and last the agent itself: end the processes, unmount or make read-only, reboot(2). As process 1
//! only the last makes sense. Each step that fails leaves a line in the account that the error reply shows.
//! Nothing here waits: [`Shutdown::poll`] says when to ask again.

use crate::errno::Errno;
use crate::error::{Error, reason};
use crate::json::write::Writer;
use crate::limits::{
    SHUTDOWN_HELPER_MS_MAX, SHUTDOWN_KILL_MS, SHUTDOWN_REPORT_BYTES_MAX, SHUTDOWN_TERM_MS,
    SHUTDOWN_TERM_POLL_MS,
};
use crate::mountinfo::each_local;
use crate::platform::{Clock, Exit, Freeze, InitSystem, Mode, Power, Signal};
use core::ffi::CStr;

/// How work that takes longer is getting on.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress<'s> {
    /// Ask again when a child has ended, or at this time of [`Clock::now_ms`].
    Wait(u64),
    /// It has worked, or not.
    Done(Result<(), Error<'s>>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Start the next of the programs.
    Program,
    /// It runs, until the time is over.
    Running,
    Init,
    Terminate,
    /// Processes have time to end by themselves.
    Ending,
    /// They were killed, and have time to be gone.
    Killed,
    Kernel,
}

/// A shutdown under way.
pub struct Shutdown {
    stage: Stage,
    mode: Mode,
    /// Which of the programs it is at.
    number: u8,
    /// When the time of the stage is over.
    until_ms: u64,
    account_len: usize,
    account: [u8; SHUTDOWN_REPORT_BYTES_MAX],
}

impl Shutdown {
    /// None under way.
    pub const fn new() -> Self {
        Shutdown {
            stage: Stage::Program,
            mode: Mode::Powerdown,
            number: 0,
            until_ms: 0,
            account_len: 0,
            account: [0; SHUTDOWN_REPORT_BYTES_MAX],
        }
    }

    /// Begins one.
    pub fn begin(&mut self, mode: Mode) {
        self.stage = Stage::Program;
        self.mode = mode;
        self.number = 0;
        self.account_len = 0;
    }

    /// Goes on with it; `line` is room for a line of the mount table.
    pub fn poll<P: Power + Freeze + Clock>(
        &mut self,
        platform: &mut P,
        line: &mut [u8],
    ) -> Progress<'_> {
        loop {
            let next = match self.stage {
                Stage::Program => self.start(platform),
                Stage::Running => self.follow(platform),
                Stage::Init => self.signal_init(platform),
                Stage::Terminate => self.terminate(platform),
                Stage::Ending | Stage::Killed => self.await_end(platform),
                Stage::Kernel => {
                    unmount_all(platform, line);
                    platform.sync();
                    let failed = platform.reboot(self.mode).err().unwrap_or(Errno::NOSYS);
                    self.note(b"reboot(2)", Because::Errno(failed));
                    Next::Refused
                }
            };
            match next {
                Next::Stage => {}
                Next::Wait => return Progress::Wait(self.until_ms),
                Next::WaitLess => {
                    let soon = platform.now_ms().saturating_add(SHUTDOWN_TERM_POLL_MS);
                    return Progress::Wait(self.until_ms.min(soon));
                }
                Next::Works => return Progress::Done(Ok(())),
                Next::Refused => return self.failed(),
            }
        }
    }

    /// Goes over to a stage that has `time_ms`.
    fn enter<P: Clock>(&mut self, platform: &mut P, stage: Stage, time_ms: u64) -> Next {
        self.stage = stage;
        self.until_ms = platform.now_ms().saturating_add(time_ms);
        Next::Stage
    }

    fn start<P: Power + Clock>(&mut self, platform: &mut P) -> Next {
        self.stage = Stage::Terminate;
        if platform.init_system() == InitSystem::Agent {
            return Next::Stage;
        }
        self.stage = Stage::Init;
        let Some(command) = program(self.mode, self.number) else { return Next::Stage };
        match platform.start_program(command) {
            Ok(()) => self.enter(platform, Stage::Running, SHUTDOWN_HELPER_MS_MAX),
            Err(errno) => self.next_program(Because::Errno(errno)),
        }
    }

    fn follow<P: Power + Clock>(&mut self, platform: &mut P) -> Next {
        match platform.program_exit() {
            Some(Exit::Status(0)) => Next::Works,
            Some(exit) => {
                let mut output = [0; 128];
                let len = platform.program_output(&mut output);
                self.next_program(Because::Exit(exit, output.get(..len).unwrap_or(&[])))
            }
            None if platform.now_ms() >= self.until_ms => Next::Works,
            None => Next::Wait,
        }
    }

    /// The present program did not work.
    fn next_program(&mut self, because: Because<'_>) -> Next {
        let command = program(self.mode, self.number).and_then(|command| command.first());
        self.note(command.map_or(b"", |path| path.to_bytes()), because);
        self.number += 1;
        self.stage = Stage::Program;
        Next::Stage
    }

    fn signal_init<P: Power>(&mut self, platform: &mut P) -> Next {
        self.stage = Stage::Terminate;
        let init = platform.init_system();
        let because = match platform.signal_init(init, self.mode) {
            Ok(()) => return Next::Works,
            Err(Errno::OPNOTSUPP) => Because::Text("its signals are not known"),
            Err(errno) => Because::Errno(errno),
        };
        self.note(b"init", because);
        Next::Stage
    }

    /// From here on nothing is spared, so the right to end the guest is asked for first.
    fn terminate<P: Power + Clock>(&mut self, platform: &mut P) -> Next {
        if let Err(errno) = platform.may_reboot() {
            self.note(b"reboot(2)", Because::Errno(errno));
            return Next::Refused;
        }
        platform.signal_all(Signal::Terminate);
        self.enter(platform, Stage::Ending, SHUTDOWN_TERM_MS)
    }

    /// Waits for processes to end; kills those that have not in time.
    fn await_end<P: Power + Clock>(&mut self, platform: &mut P) -> Next {
        if platform.processes_remain() {
            if platform.now_ms() < self.until_ms {
                return Next::WaitLess;
            }
            if self.stage == Stage::Ending {
                platform.signal_all(Signal::Kill);
                return self.enter(platform, Stage::Killed, SHUTDOWN_KILL_MS);
            }
        }
        self.stage = Stage::Kernel;
        Next::Stage
    }

    /// Adds a line to the account; what does not fit is left out.
    fn note(&mut self, who: &[u8], because: Because<'_>) {
        let mut out = Writer::after(&mut self.account, self.account_len);
        if !out.is_empty() {
            out.ascii("; ");
        }
        out.raw(who);
        out.ascii(": ");
        match because {
            Because::Errno(errno) => reason(&mut out, errno),
            Because::Text(text) => out.ascii(text),
            Because::Exit(exit, output) => {
                let (word, number) = match exit {
                    Exit::Status(status) => ("exit status ", status),
                    Exit::Signal(signal) => ("ended by signal ", signal),
                };
                out.ascii(word);
                out.unsigned(u64::from(number));
                if let Some(last) = output.iter().rposition(|byte| byte.is_ascii_graphic()) {
                    out.ascii(", it said: ");
                    out.raw(output.get(..=last).unwrap_or(output));
                }
            }
        }
        self.account_len = out.len();
    }

    /// The reply when nothing worked.
    fn failed(&self) -> Progress<'_> {
        let account = self.account.get(..self.account_len).unwrap_or(&[]);
        Progress::Done(Err(Error::Tried("failed to shutdown", account)))
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::new()
    }
}

/// What follows; which stage, and until when, stands in the [`Shutdown`].
enum Next {
    /// The stage that was entered.
    Stage,
    /// Waiting, for the whole time of the stage at most.
    Wait,
    /// Waiting, and looking again before.
    WaitLess,
    Works,
    Refused,
}

enum Because<'a> {
    Errno(Errno),
    Text(&'a str),
    Exit(Exit, &'a [u8]),
}

/// The programs that shut a guest down, as the reference calls them.
#[inline(never)]
fn program(mode: Mode, number: u8) -> Option<&'static [&'static CStr]> {
    const WHY: &CStr = c"hypervisor initiated shutdown";
    Some(match (number, mode) {
        (0, Mode::Powerdown) => &[c"/sbin/poweroff"],
        (0, Mode::Halt) => &[c"/sbin/halt"],
        (0, Mode::Reboot) => &[c"/sbin/reboot"],
        (1, Mode::Powerdown) => &[c"/sbin/shutdown", c"-h", c"-P", c"+0", WHY],
        (1, Mode::Halt) => &[c"/sbin/shutdown", c"-h", c"-H", c"+0", WHY],
        (1, Mode::Reboot) => &[c"/sbin/shutdown", c"-h", c"-r", c"+0", WHY],
        _ => return None,
    })
}

/// Unmounts every local filesystem, inner ones first, and makes read-only what stays busy.
fn unmount_all<P: Power + Freeze>(platform: &mut P, line: &mut [u8]) {
    platform.sync();
    // The table lists outer mounts first and has no end to begin at, so each pass takes what is free by
    // then. A pass that frees nothing is the last.
    let mut freed = true;
    while core::mem::take(&mut freed) {
        let _ = each_local(platform, line, &mut |platform, mount| {
            freed |= platform.unmount(mount.path).is_ok();
            true
        });
    }
    let _ = each_local(platform, line, &mut |platform, mount| {
        let _ = platform.remount_read_only(mount.path);
        true
    });
}
