//! Shutting the guest down, also where there is no /sbin/shutdown and where the agent is process 1.
//!
//! In this order, until one works: the guest's own programs (as the reference calls them), its init
//! by signal, and last the agent itself: end the processes, unmount or make read-only, reboot(2).
//! As process 1 only the last makes sense. One has worked only when the machine is seen going down:
//! process 1 shows it ([`Init::is_going_down`]), systemd says that it stops, or the agent itself is
//! told to stop. What says yes and is without effect for some seconds is followed by the next. Each
//! step that fails leaves a line in the account that the error reply shows.
//!
//! A script that was run and refused is somebody's decision, and final; a program that failed only
//! could not. In a container (a process namespace of its own) nothing is ended, signalled or
//! unmounted: only programs that may reach the machine are run, and none where they would reach no
//! more than the container's own init.
//!
//! Nothing here waits: [`Shutdown::poll`] says when to ask again.

mod account;

use crate::errno::Errno;
use crate::error::Error;
use crate::init::{Init, read};
use crate::limits::{
    SHUTDOWN_KILL_MS, SHUTDOWN_PROGRAMS_MS_MAX, SHUTDOWN_SIGN_MS, SHUTDOWN_STATE_MS,
    SHUTDOWN_TERM_MS, SHUTDOWN_TERM_POLL_MS,
};
use crate::mountinfo::each_local;
use crate::platform::{About, Clock, Exit, FIRST_PROCESSES, Freeze, Mode, Power, Signal};
use crate::text::Text;
use account::Account;
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
    /// Look where the agent is, and what process 1 is.
    Look,
    /// Start the next of the programs.
    Program,
    /// It runs, until the time for all of them is over.
    Running,
    Init,
    /// What was asked has said yes: wait for the machine to be seen going down.
    Watch,
    Terminate,
    /// Processes have time to end by themselves.
    Ending,
    /// They were killed, and have time to be gone.
    Killed,
    Kernel,
}

/// A shutdown under way.
#[repr(C)]
pub struct Shutdown {
    stage: Stage,
    mode: Mode,
    /// Which of the programs it is at.
    number: u8,
    /// Whether the agent is in the machine's first process namespace.
    outside: bool,
    /// Whether it is in another one. Without /proc neither is known.
    contained: bool,
    /// Whether init was signalled, and not only programs started.
    signalled: bool,
    /// Whether the program started last is the one that tells systemd's state.
    asks_state: bool,
    /// When the time of the programs is over.
    programs_until_ms: u64,
    /// When the time of the stage is over.
    until_ms: u64,
    account: Account,
    // Here it takes no room of its own.
    init: Init,
}

impl Shutdown {
    /// None under way.
    pub const fn new() -> Self {
        Shutdown {
            stage: Stage::Look,
            mode: Mode::Powerdown,
            number: 0,
            outside: false,
            contained: false,
            signalled: false,
            asks_state: false,
            init: Init::new(),
            programs_until_ms: 0,
            until_ms: 0,
            account: Account::new(),
        }
    }

    /// Begins one.
    pub fn begin(&mut self, mode: Mode) {
        self.stage = Stage::Look;
        self.mode = mode;
        self.number = 0;
        self.signalled = false;
        self.account.clear();
    }

    /// Whether the agent is ending the machine by itself. Others may then tell it to stop, because
    /// they were told so by the agent; without it nobody would go on.
    pub fn ends_all(&self) -> bool {
        matches!(self.stage, Stage::Ending | Stage::Killed)
    }

    /// Goes on with it; `line` is room for a line of the mount table.
    pub fn poll<P: Power + Freeze + Clock>(
        &mut self,
        platform: &mut P,
        line: &mut [u8],
    ) -> Progress<'_> {
        loop {
            let now_ms = platform.now_ms();
            let next = match self.stage {
                Stage::Look => self.look(platform, line, now_ms),
                Stage::Program => self.start(platform, now_ms),
                Stage::Running => self.follow(platform, line, now_ms),
                Stage::Init => self.signal_init(platform, now_ms),
                Stage::Watch => self.watch(platform, line, now_ms),
                Stage::Terminate => self.terminate(platform, now_ms),
                Stage::Ending | Stage::Killed => self.await_end(platform, now_ms),
                Stage::Kernel => {
                    // In a mount namespace of its own the agent would unmount no more than its
                    // view, or what it shares by chance.
                    let (mut own, mut of_init) = ([0; 24], [0; 24]);
                    let _ = platform.about(About::OwnMounts, &mut own);
                    let _ = platform.about(About::InitMounts, &mut of_init);
                    if platform.is_init() || own == of_init && own[0] != 0 {
                        unmount_all(platform, line);
                    }
                    platform.sync();
                    let failed = platform.reboot(self.mode).err().or(Some(Errno::NOSYS));
                    platform.hold_init(false);
                    self.account.note(REBOOT, Text::NONE, failed);
                    Next::Refused
                }
            };
            match next {
                Next::Stage => {}
                Next::Wait => return Progress::Wait(self.until_ms),
                Next::WaitLess => {
                    let soon = now_ms.saturating_add(SHUTDOWN_TERM_POLL_MS);
                    return Progress::Wait(self.until_ms.min(soon));
                }
                Next::Works => {
                    self.stage = Stage::Look;
                    return Progress::Done(Ok(()));
                }
                Next::Refused => return self.failed(),
            }
        }
    }

    /// Goes over to a stage that has so much time.
    fn enter(&mut self, stage: Stage, now_ms: u64, time_ms: u64) {
        self.stage = stage;
        self.until_ms = now_ms.saturating_add(time_ms);
    }

    fn look<P: Power>(&mut self, platform: &mut P, line: &mut [u8], now_ms: u64) -> Next {
        self.init.look(platform, self.mode, line);
        let processes = read(platform, About::OwnProcesses, line);
        self.outside = processes == FIRST_PROCESSES;
        self.contained = !self.outside && !processes.is_empty();
        self.programs_until_ms = now_ms.saturating_add(SHUTDOWN_PROGRAMS_MS_MAX);
        // Programs would ask the container's own init; or there is nobody whom they could ask.
        let none_to_ask = if self.contained { self.init.is_known } else { platform.is_init() };
        self.stage = if none_to_ask { Stage::Terminate } else { Stage::Program };
        Next::Stage
    }

    fn start<P: Power>(&mut self, platform: &mut P, now_ms: u64) -> Next {
        self.stage = Stage::Init;
        if self.number >= PROGRAMS || now_ms >= self.programs_until_ms {
            return Next::Stage;
        }
        let option = match self.mode {
            Mode::Powerdown => c"-P",
            Mode::Halt => c"-H",
            Mode::Reboot => c"-r",
        };
        let words = [self.path(), c"-h", option, c"+0", c"hypervisor initiated shutdown"];
        // The first program needs no options.
        let count = if self.number == 0 { 1 } else { words.len() };
        match platform.start_program(words.get(..count).unwrap_or(&[])) {
            Ok(()) => {
                self.enter(Stage::Running, self.programs_until_ms, 0);
                Next::Stage
            }
            Err(errno) => self.next_program(Text::NONE, Some(errno)),
        }
    }

    fn follow<P: Power>(&mut self, platform: &mut P, line: &mut [u8], now_ms: u64) -> Next {
        let path = self.path();
        match platform.program_exit() {
            Some(Exit::Status(0)) => self.enter_watch(now_ms),
            Some(exit) => {
                let output = line.get_mut(..SAID_BYTES_MAX).unwrap_or(&mut []);
                let len = platform.program_output(output);
                self.next_program(Text::NONE, None);
                self.account.note_exit(exit, output.get(..len).unwrap_or(&[]));
                // Above 125 a shell says that something could not be run.
                let refused = matches!(exit, Exit::Status(..=125)) && platform.is_script(path);
                if refused { Next::Refused } else { Next::Stage }
            }
            None if now_ms < self.until_ms => Next::Wait,
            None if self.init.is_going_down(platform, line) => Next::Works,
            // The next one is not started then: the time of all of them is over.
            None => self.next_program(text!("does not end"), None),
        }
    }

    /// The program that it is at: they are those that the reference calls.
    #[inline(never)]
    fn path(&self) -> &'static CStr {
        match (self.number, self.mode) {
            (0, Mode::Powerdown) => c"/sbin/poweroff",
            (0, Mode::Halt) => c"/sbin/halt",
            (0, Mode::Reboot) => c"/sbin/reboot",
            _ => c"/sbin/shutdown",
        }
    }

    /// The present program did not work.
    fn next_program(&mut self, because: Text, errno: Option<Errno>) -> Next {
        self.account.note(self.path().to_bytes(), because, errno);
        self.number += 1;
        self.stage = Stage::Program;
        Next::Stage
    }

    fn signal_init<P: Power>(&mut self, platform: &mut P, now_ms: u64) -> Next {
        self.stage = Stage::Terminate;
        let (because, errno) = match self.init.signal {
            _ if !self.outside => (text!("not known to be the machine's"), None),
            0 => (text!("has no known signal for this"), None),
            signal => match platform.signal_init(signal) {
                Ok(()) => {
                    self.signalled = true;
                    return self.enter_watch(now_ms);
                }
                Err(errno) => (Text::NONE, Some(errno)),
            },
        };
        self.account.note(b"init", because, errno);
        Next::Stage
    }

    fn enter_watch(&mut self, now_ms: u64) -> Next {
        self.asks_state = false;
        self.enter(Stage::Watch, now_ms, SHUTDOWN_SIGN_MS);
        Next::Stage
    }

    /// Waits for the machine to be seen going down.
    fn watch<P: Power>(&mut self, platform: &mut P, line: &mut [u8], now_ms: u64) -> Next {
        if self.init.is_going_down(platform, line) || self.is_stopping(platform, now_ms) {
            return Next::Works;
        }
        if now_ms < self.until_ms {
            return Next::WaitLess;
        }
        let because = text!("said yes, and nothing happens");
        if !self.signalled {
            return self.next_program(because, None);
        }
        self.account.note(b"init", because, None);
        self.stage = Stage::Terminate;
        Next::Stage
    }

    /// Whether systemd says that it stops: its services may take minutes for that, and nothing else
    /// shows it.
    fn is_stopping<P: Power>(&mut self, platform: &mut P, now_ms: u64) -> bool {
        let early = now_ms.saturating_add(SHUTDOWN_STATE_MS) < self.until_ms;
        if !self.init.is_systemd || early {
            return false;
        }
        let mut said = [0; 8];
        if self.asks_state {
            if platform.program_exit().is_none() {
                return false;
            }
            platform.program_output(&mut said);
        }
        let command = &[c"/bin/systemctl", c"is-system-running"];
        self.asks_state = said != *b"stopping" && platform.start_program(command).is_ok();
        said == *b"stopping"
    }

    /// From here on nothing is spared, so the right to end the guest is asked for first.
    fn terminate<P: Power>(&mut self, platform: &mut P, now_ms: u64) -> Next {
        let (because, errno) = match platform.may_reboot() {
            _ if self.contained => (CONTAINED, None),
            // Only in a namespace is the call not known.
            Err(Errno::INVAL) => (CONTAINED, None),
            Err(errno) => (Text::NONE, Some(errno)),
            Ok(()) => {
                platform.hold_init(true);
                platform.signal_all(Signal::Terminate);
                self.enter(Stage::Ending, now_ms, SHUTDOWN_TERM_MS);
                return Next::Stage;
            }
        };
        self.account.note(REBOOT, because, errno);
        Next::Refused
    }

    /// Waits for processes to end; kills those that have not in time.
    fn await_end<P: Power>(&mut self, platform: &mut P, now_ms: u64) -> Next {
        if platform.processes_remain() {
            if now_ms < self.until_ms {
                return Next::WaitLess;
            }
            if self.stage == Stage::Ending {
                platform.signal_all(Signal::Kill);
                self.enter(Stage::Killed, now_ms, SHUTDOWN_KILL_MS);
                return Next::Stage;
            }
        }
        self.stage = Stage::Kernel;
        Next::Stage
    }

    /// The reply when nothing worked.
    fn failed(&mut self) -> Progress<'_> {
        self.stage = Stage::Look;
        Progress::Done(Err(Error::Tried(text!("failed to shutdown"), self.account.text())))
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

/// How many programs there are to try.
const PROGRAMS: u8 = 2;

/// Most of what a program printed that the account shows.
const SAID_BYTES_MAX: usize = 128;

const REBOOT: &[u8] = b"reboot(2)";

const CONTAINED: Text = text!("the agent is in a container, run it outside to end the machine");

/// Unmounts every local filesystem, inner ones first, and makes read-only what stays busy.
fn unmount_all<P: Power + Freeze>(platform: &mut P, line: &mut [u8]) {
    platform.sync();
    // The table lists outer mounts first and has no end to begin at, so each pass takes what is
    // free by then. After a pass that frees nothing the last makes read-only.
    let (mut freed, mut last) = (true, false);
    while !last {
        last = !core::mem::take(&mut freed);
        let _ = each_local(platform, line, &mut |platform, mount| {
            if last {
                let _ = platform.remount_read_only(mount.path);
            } else {
                freed |= platform.unmount(mount.path).is_ok();
            }
            true
        });
    }
}
