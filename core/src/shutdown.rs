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
    /// Start this one of the programs.
    Program(usize),
    /// It runs, until this time at most.
    Running(usize, u64),
    Init,
    Terminate,
    /// Processes have until this time to end by themselves.
    Ending(u64),
    /// They were killed, and have until this time to be gone.
    Killed(u64),
    Kernel,
}

/// A shutdown under way.
pub struct Shutdown {
    stage: Stage,
    mode: Mode,
    account_len: usize,
    account: [u8; SHUTDOWN_REPORT_BYTES_MAX],
}

impl Shutdown {
    /// None under way.
    pub const fn new() -> Self {
        let account = [0; SHUTDOWN_REPORT_BYTES_MAX];
        Shutdown { stage: Stage::Program(0), mode: Mode::Powerdown, account_len: 0, account }
    }

    /// Begins one.
    pub fn begin(&mut self, mode: Mode) {
        self.stage = Stage::Program(0);
        self.mode = mode;
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
                Stage::Program(number) => self.start(platform, number),
                Stage::Running(number, until) => self.follow(platform, number, until),
                Stage::Init => self.signal_init(platform),
                Stage::Terminate => self.terminate(platform),
                Stage::Ending(until) => match await_end(platform, until) {
                    Some(next) => next,
                    None => {
                        platform.signal_all(Signal::Kill);
                        let until = platform.now_ms().saturating_add(SHUTDOWN_KILL_MS);
                        Next::Stage(Stage::Killed(until))
                    }
                },
                Stage::Killed(until) => {
                    await_end(platform, until).unwrap_or(Next::Stage(Stage::Kernel))
                }
                Stage::Kernel => {
                    unmount_all(platform, line);
                    platform.sync();
                    let failed = platform.reboot(self.mode).err().unwrap_or(Errno::NOSYS);
                    self.note(b"reboot(2)", Because::Errno(failed));
                    Next::Refused
                }
            };
            match next {
                Next::Stage(stage) => self.stage = stage,
                Next::Wait(until) => return Progress::Wait(until),
                Next::Works => return Progress::Done(Ok(())),
                Next::Refused => return self.failed(),
            }
        }
    }

    fn start<P: Power + Clock>(&mut self, platform: &mut P, number: usize) -> Next {
        if platform.init_system() == InitSystem::Agent {
            return Next::Stage(Stage::Terminate);
        }
        let Some(command) = program(self.mode, number) else {
            return Next::Stage(Stage::Init);
        };
        match platform.start_program(command) {
            Ok(()) => {
                let until = platform.now_ms().saturating_add(SHUTDOWN_HELPER_MS_MAX);
                Next::Stage(Stage::Running(number, until))
            }
            Err(errno) => {
                self.note(name(command), Because::Errno(errno));
                Next::Stage(Stage::Program(number + 1))
            }
        }
    }

    fn follow<P: Power + Clock>(&mut self, platform: &mut P, number: usize, until: u64) -> Next {
        match platform.program_exit() {
            Some(Exit::Status(0)) => Next::Works,
            Some(exit) => {
                let mut output = [0; 128];
                let len = platform.program_output(&mut output);
                let output = output.get(..len).unwrap_or(&[]);
                let who = program(self.mode, number).map_or(&b""[..], name);
                self.note(who, Because::Exit(exit, output));
                Next::Stage(Stage::Program(number + 1))
            }
            None if platform.now_ms() >= until => Next::Works,
            None => Next::Wait(until),
        }
    }

    fn signal_init<P: Power>(&mut self, platform: &mut P) -> Next {
        let init = platform.init_system();
        match platform.signal_init(init, self.mode) {
            Ok(()) => return Next::Works,
            Err(Errno::OPNOTSUPP) => self.note(b"init", Because::Text("its signals are not known")),
            Err(errno) => self.note(b"init", Because::Errno(errno)),
        }
        Next::Stage(Stage::Terminate)
    }

    /// From here on nothing is spared, so the right to end the guest is asked for first.
    fn terminate<P: Power + Clock>(&mut self, platform: &mut P) -> Next {
        if let Err(errno) = platform.may_reboot() {
            self.note(b"reboot(2)", Because::Errno(errno));
            return Next::Refused;
        }
        platform.signal_all(Signal::Terminate);
        Next::Stage(Stage::Ending(platform.now_ms().saturating_add(SHUTDOWN_TERM_MS)))
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

enum Next {
    Stage(Stage),
    Wait(u64),
    Works,
    Refused,
}

enum Because<'a> {
    Errno(Errno),
    Text(&'a str),
    Exit(Exit, &'a [u8]),
}

/// The programs that shut a guest down, as the reference calls them.
fn program(mode: Mode, number: usize) -> Option<&'static [&'static CStr]> {
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

/// What a program is called in the account.
fn name(command: &'static [&'static CStr]) -> &'static [u8] {
    command.first().map_or(b"", |path| path.to_bytes())
}

/// What follows while processes end; nothing when they have not by the time `until`.
fn await_end<P: Power + Clock>(platform: &mut P, until: u64) -> Option<Next> {
    let now = platform.now_ms();
    if !platform.processes_remain() {
        return Some(Next::Stage(Stage::Kernel));
    }
    (now < until).then(|| Next::Wait(until.min(now.saturating_add(SHUTDOWN_TERM_POLL_MS))))
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
