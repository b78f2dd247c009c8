//! Ending the guest: through its own programs, its init, or the kernel.

use crate::errno::Errno;
use core::ffi::CStr;

/// Most words of a program's command line, its path included.
pub const PROGRAM_WORDS_MAX: usize = 7;

/// How the guest ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
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

/// What the kernel says of process 1 and of where the agent is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum About {
    /// The path of process 1's program, the link /proc/1/exe.
    Program,
    /// The name of its mount namespace, the link /proc/1/ns/mnt.
    InitMounts,
    /// The name of the agent's mount namespace, the link /proc/self/ns/mnt.
    OwnMounts,
    /// The name of the agent's process namespace, the link /proc/self/ns/pid: [`FIRST_PROCESSES`],
    /// or it is a container's.
    OwnProcesses,
    /// Process 1's sets of signals, among others: the file /proc/1/status.
    Status,
    /// The words of its command line: the file /proc/1/cmdline.
    CommandLine,
}

/// The name of the machine's first process namespace: the number is `PROC_PID_INIT_INO` of the
/// kernel.
pub const FIRST_PROCESSES: &[u8] = b"pid:[4026531836]";

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

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        Self::OFFERED
    }

    /// Starts a program, whose path and arguments these are, with nothing on its standard input and
    /// what it prints kept for [`Power::program_output`]. Errors: ENOENT, EACCES and the like when
    /// it cannot be executed, E2BIG above [`PROGRAM_WORDS_MAX`].
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

    /// Whether the file at `path` is a script: it begins with `#!`. Where it cannot be read it is
    /// none.
    fn is_script(&mut self, path: &CStr) -> bool {
        let _ = path;
        false
    }

    /// Whether the agent is process 1, or the guest has no processes: nobody else can be asked
    /// then.
    fn is_init(&mut self) -> bool {
        false
    }

    /// Puts the beginning of a text about process 1 into `into`; how many bytes (readlink(2),
    /// read(2)). Errors: ENOENT without /proc, EACCES and the like where it is hidden.
    fn about(&mut self, about: About, into: &mut [u8]) -> Result<usize, Errno> {
        let _ = (about, into);
        Err(Errno::OPNOTSUPP)
    }

    /// Sends process 1 a signal, by its number (kill(2)). Errors: EPERM.
    fn signal_init(&mut self, signal: u8) -> Result<(), Errno> {
        let _ = signal;
        Err(Errno::OPNOTSUPP)
    }

    /// Whether [`Power::reboot`] would be allowed, without doing anything. Errors: EPERM, and
    /// EINVAL in a process namespace that is not the machine's first, where it would end that and
    /// no more.
    fn may_reboot(&mut self) -> Result<(), Errno> {
        Ok(())
    }

    /// Stops process 1, or lets it go on (ptrace(2)): one that ends when its children have ended
    /// would take the kernel with it, and others start anew what was ended. Where that is not
    /// allowed nothing happens.
    fn hold_init(&mut self, hold: bool) {
        let _ = hold;
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
