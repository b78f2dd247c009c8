//! Power: programs (fork, execve, wait4), init's signals, mounts, reboot(2).

use super::Linux;
use super::helper::Helper;
use super::tasks::COPIES;
use crate::errno::errno;
use crate::fd::Fd;
use crate::sys;
use crate::sys::process::Fork;
use core::ffi::{CStr, c_char};
use linux_raw_sys::general::{SIGKILL, SIGTERM};
use qga_core::Errno;
use qga_core::platform::{About, Exit, Mode, PROGRAM_WORDS_MAX, Power, Signal};
use rustix::fs::{OFlags, SeekFrom};
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::system::RebootCommand;

impl Linux {
    /// Collects children that have ended: the helper's result, and, as process 1, orphans. Whether
    /// no child is left.
    pub fn reap(&mut self) -> bool {
        loop {
            match sys::process::wait() {
                Ok(Some((pid, exit))) => {
                    if COPIES {
                        self.exchange_abandoned(pid, 0);
                        self.left = if self.left == pid { 0 } else { self.left };
                    }
                    if cfg!(feature = "exec") {
                        self.children.end(pid, exit);
                    }
                    if let Some(helper) = &mut self.helper
                        && helper.pid == pid
                    {
                        helper.exit = Some(exit);
                    }
                }
                Ok(None) => return false,
                Err(Errno::INTR) => {}
                Err(_) => return true,
            }
        }
    }
}

/// A program's path and arguments as execve(2) wants them: one pointer each, and a null pointer.
pub type Argv = [*const c_char; PROGRAM_WORDS_MAX + 1];

impl Power for Linux {
    const OFFERED: bool = cfg!(feature = "power");

    fn start_program(&mut self, command: &[&CStr]) -> Result<(), Errno> {
        let (Some(path), true) = (command.first(), command.len() <= PROGRAM_WORDS_MAX) else {
            return Err(Errno::TOOBIG);
        };
        rustix::fs::access(*path, rustix::fs::Access::EXEC_OK).map_err(errno)?;
        let mut words: Argv = [core::ptr::null(); PROGRAM_WORDS_MAX + 1];
        for (place, word) in words.iter_mut().zip(command) {
            *place = word.as_ptr();
        }
        // Memory instead of pipes and /dev/null: nothing to drain, nothing that might not be there.
        let (input, output) = (sys::memory()?, sys::memory()?);
        // SAFETY: the child below ends by execve or exit.
        match unsafe { sys::process::fork() }? {
            // SAFETY: the list ends with a null pointer, its words with NULs; the environment is
            // the one that the kernel handed over.
            Fork::Child => unsafe { become_program(path, &words, self, &input, &output) },
            Fork::Parent(pid) => {
                self.helper = Some(Helper { pid, exit: None, output });
                Ok(())
            }
        }
    }

    fn program_exit(&mut self) -> Option<Exit> {
        self.reap();
        self.helper.as_ref().and_then(|helper| helper.exit)
    }

    fn program_output(&mut self, into: &mut [u8]) -> usize {
        let Some(helper) = &self.helper else { return 0 };
        if rustix::fs::seek(&helper.output, SeekFrom::Start(0)).is_err() {
            return 0;
        }
        helper.output.get(into).unwrap_or(0) as usize
    }

    fn is_script(&mut self, path: &CStr) -> bool {
        let mut start = [0; 2];
        read_file(path, &mut start).is_ok() && start == *b"#!"
    }

    fn is_init(&mut self) -> bool {
        self.is_init
    }

    fn about(&mut self, about: About, into: &mut [u8]) -> Result<usize, Errno> {
        let link = match about {
            About::Program => c"/proc/1/exe",
            About::InitMounts => c"/proc/1/ns/mnt",
            About::OwnMounts => c"/proc/self/ns/mnt",
            About::OwnProcesses => c"/proc/self/ns/pid",
            About::Status => return read_file(c"/proc/1/status", into).map(|len| len as usize),
            About::CommandLine => {
                return read_file(c"/proc/1/cmdline", into).map(|len| len as usize);
            }
        };
        sys::read_link(link, into).map(|len| len as usize)
    }

    fn signal_init(&mut self, signal: u8) -> Result<(), Errno> {
        sys::process::kill(1, i32::from(signal))
    }

    fn may_reboot(&mut self) -> Result<(), Errno> {
        // Ctrl-Alt-Del is of no use from here on, and switching it off takes the same right. Inside
        // a process namespace the call is not known (EINVAL), because there it is only that
        // namespace that could end.
        rustix::system::reboot(RebootCommand::CadOff).map_err(errno)
    }

    fn hold_init(&mut self, hold: bool) {
        sys::process::hold(1, hold);
    }

    fn signal_all(&mut self, signal: Signal) {
        let number = match signal {
            Signal::Terminate => SIGTERM,
            Signal::Kill => SIGKILL,
        };
        let _ = sys::process::kill(-1, number as i32);
    }

    fn processes_remain(&mut self) -> bool {
        // All processes descend from process 1, so if that is the agent and it has no child, there
        // is none.
        !(self.reap() && self.is_init)
    }

    fn unmount(&mut self, path: &[u8]) -> Result<(), Errno> {
        rustix::mount::unmount(self.path.path(path)?, UnmountFlags::empty()).map_err(errno)
    }

    fn remount_read_only(&mut self, path: &[u8]) -> Result<(), Errno> {
        let path = self.path.path(path)?;
        rustix::mount::mount_remount(path, MountFlags::RDONLY, c"").map_err(errno)
    }

    fn sync(&mut self) {
        rustix::fs::sync();
    }

    fn reboot(&mut self, mode: Mode) -> Result<(), Errno> {
        let command = match mode {
            Mode::Powerdown => RebootCommand::PowerOff,
            Mode::Halt => RebootCommand::Halt,
            Mode::Reboot => RebootCommand::Restart,
        };
        rustix::system::reboot(command).map_err(errno)
    }
}

/// Reads the beginning of a file.
fn read_file(path: &CStr, into: &mut [u8]) -> Result<u32, Errno> {
    sys::open(path, OFlags::RDONLY, 0)?.get(into)
}

/// In the child: a session of its own, settings of the agent's parent, memory for input and output,
/// then the program.
///
/// # Safety
/// As [`sys::process::execve`].
pub unsafe fn become_program(
    path: &CStr,
    words: &Argv,
    linux: &Linux,
    input: &Fd,
    output: &Fd,
) -> ! {
    /// What shells return for a program that could not be executed.
    const NOT_EXECUTED: i32 = 127;
    let _ = rustix::process::setsid();
    linux.inherited.hand_on();
    let _ = rustix::stdio::dup2_stdin(input);
    let _ = rustix::stdio::dup2_stdout(output);
    let _ = rustix::stdio::dup2_stderr(output);
    // SAFETY: passed on.
    let failed = unsafe { sys::process::execve(path, words.as_ptr().cast(), linux.environment) };
    crate::print::complain(
        qga_core::phrase!("cannot execute"),
        path.to_bytes(),
        failed,
        qga_core::text::Phrase::NONE,
    );
    sys::process::exit(NOT_EXECUTED)
}
