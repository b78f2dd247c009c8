//! Ending the guest: through its own programs, its init, or the kernel.

use crate::errno::Errno;
use core::ffi::CStr;

/// Most words of a program's command line, its path included.
pub const PROGRAM_WORDS_MAX: usize = 7;

/// How the guest ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Power off.
    Powerdown,
    /// Stop the processor, power stays on.
    Halt,
    /// Start again.
    Reboot,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It returned this status.
    Status(u8),
    /// This signal ended it.
    Signal(u8),
}

/// The init of the guest, as far as its shutdown signals are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitSystem {
    /// The agent is process 1.
    Agent,
    /// systemd: SIGRTMIN+3, +4, +5.
    Systemd,
    /// busybox init (and finit): SIGUSR1, SIGUSR2, SIGTERM.
    Busybox,
    /// One whose signals are not known.
    Other,
}

/// Signals sent to every process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// Please end (SIGTERM).
    Terminate,
    /// End (SIGKILL).
    Kill,
}

/// Power, and the programs that know how to shut this guest down.
pub trait Power {
    /// Whether this guest can end itself.
    const OFFERED: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a guest
    /// that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        Self::OFFERED
    }

    /// Starts a program, whose path and arguments these are, with nothing on its standard input and what it
    /// prints kept for [`Power::program_output`]. Errors: ENOENT, EACCES and the like when it cannot be
    /// executed, E2BIG above [`PROGRAM_WORDS_MAX`].
    fn start_program(&mut self, command: &[&CStr]) -> Result<(), Errno> {
        let _ = command;
        Err(Errno::NOENT)
    }

    /// How the program started last ended, once it has.
    fn program_exit(&mut self) -> Option<Exit> {
        None
    }

    /// The beginning of what that program printed.
    fn program_output(&mut self, into: &mut [u8]) -> usize {
        let _ = into;
        0
    }

    /// Which init runs this guest.
    fn init_system(&mut self) -> InitSystem {
        InitSystem::Other
    }

    /// Asks that init, by its signal, to shut down. Errors: EPERM.
    fn signal_init(&mut self, init: InitSystem, mode: Mode) -> Result<(), Errno> {
        let _ = (init, mode);
        Err(Errno::OPNOTSUPP)
    }

    /// Whether [`Power::reboot`] would be allowed, without doing anything. Errors: EPERM.
    fn may_reboot(&mut self) -> Result<(), Errno> {
        Ok(())
    }

    /// Signals every process but the agent and process 1 (kill(2) of -1).
    fn signal_all(&mut self, signal: Signal) {
        let _ = signal;
    }

    /// Whether processes may be left that the signal has not ended yet.
    fn processes_remain(&mut self) -> bool {
        false
    }

    /// Unmounts what is mounted at `path` (umount(2)). Errors: EBUSY, EPERM.
    fn unmount(&mut self, path: &[u8]) -> Result<(), Errno> {
        let _ = path;
        Err(Errno::OPNOTSUPP)
    }

    /// Makes the mount at `path` read-only (mount(2), MS_REMOUNT). Errors: EBUSY, EPERM.
    fn remount_read_only(&mut self, path: &[u8]) -> Result<(), Errno> {
        let _ = path;
        Err(Errno::OPNOTSUPP)
    }

    /// Writes everything back (sync(2)).
    fn sync(&mut self) {}

    /// Ends the guest (reboot(2)). Returns only with an error: EPERM.
    fn reboot(&mut self, mode: Mode) -> Result<(), Errno> {
        let _ = mode;
        Err(Errno::OPNOTSUPP)
    }
}
