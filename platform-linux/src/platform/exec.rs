//! Programs that clients start: pipes, memory, fork(2), execve(2).

use super::Linux;
use crate::fd::Fd;
use crate::sys;
use crate::sys::process::Fork;
use core::ffi::{CStr, c_char};
use qga_core::Errno;
use qga_core::platform::{Become, Exec, Exit, Keeps, Packed, Standard};
use rustix::fs::OFlags;

/// The number of the descriptor by which a child reports.
const REPORT: i32 = 3;

impl Exec for Linux {
    const OFFERED: bool = cfg!(feature = "exec");
    type Pipe = Fd;
    type Memory = Keeps<{ cfg!(feature = "exec") as usize }>;

    fn nothing(&mut self) -> Result<Fd, Errno> {
        sys::open(c"/dev/null", OFlags::RDWR, 0)
    }

    fn memory(&mut self) -> Result<Fd, Errno> {
        sys::memory()
    }

    fn pipe(&mut self) -> Result<[Fd; 2], Errno> {
        sys::pipe()
    }

    fn enlarge(&mut self, pipe: &Fd, bytes: usize) -> Result<(), Errno> {
        sys::enlarge_pipe(pipe, bytes).map(drop)
    }

    fn put_into_pipe(&mut self, pipe: &Fd, bytes: &[u8]) -> Result<usize, Errno> {
        pipe.put(bytes).map(|len| len as usize)
    }

    fn put_into_memory(&mut self, memory: &Fd, at: usize, bytes: &[u8]) -> Result<usize, Errno> {
        sys::write_at(memory, at as u64, bytes).map(|len| len as usize)
    }

    fn watch(&mut self, pipe: &Fd) -> Result<(), Errno> {
        sys::signal_when_readable(pipe)
    }

    fn spawn(
        &mut self,
        slot: usize,
        standard: Standard<'_, Fd>,
        room: usize,
        program: Become<'_, Self>,
    ) -> Result<i32, Errno> {
        // SAFETY: the child below ends by execve or exit.
        let Fork::Parent(pid) = unsafe { sys::process::fork() }? else {
            self.become_child(&standard, room, program)
        };
        self.children.begin(slot, pid);
        Ok(pid)
    }

    fn execute(&mut self, room: &[u8], packed: Packed) -> Result<(), Errno> {
        let at = |place: usize| room.as_ptr().wrapping_add(place);
        // SAFETY: the core has put a path there that ends with a NUL.
        let path = unsafe { CStr::from_ptr(at(packed.path).cast::<c_char>()) };
        let variables = packed.variables.map_or(self.environment, |place| at(place).cast());
        // SAFETY: it has put lists there that end with a null pointer, of words that end with NULs;
        // the room begins a page. The agent's environment is the one that the kernel handed over.
        Err(unsafe { sys::process::execve(path, at(packed.words).cast(), variables) })
    }

    fn search_path(&self) -> Option<&'static [u8]> {
        self.look_up("PATH")
    }

    fn report(&mut self, report: &Fd) -> Result<Option<Errno>, Errno> {
        let mut number = [0; 4];
        match report.get(&mut number)? {
            0 => Ok(None),
            _ => Ok(Some(Errno::new(u32::from_ne_bytes(number)))),
        }
    }

    fn is_readable(&mut self) -> bool {
        core::mem::take(&mut self.readable)
    }

    fn keep(&mut self, pipe: &Fd, memory: &Fd, bytes_max: usize) -> Result<u32, Errno> {
        // As much as a pipe holds that nobody has enlarged further.
        sys::splice(pipe, memory, bytes_max.min(1 << 20))
    }

    fn discard(&mut self, pipe: &Fd) -> Result<u32, Errno> {
        pipe.get(self.path.bytes())
    }

    fn kept(&mut self, memory: &Fd, at: u64, into: &mut [u8]) -> usize {
        sys::read_at(memory, at, into).unwrap_or(0) as usize
    }

    fn forget(&mut self, memory: &Fd, until: u64) -> Result<(), Errno> {
        sys::forget(memory, until)
    }

    fn kill(&mut self, slot: usize) -> Result<(), Errno> {
        // A group and no control group, which nobody leaves: the agent may not own the tree that
        // such a one would be made in, and systemd, which does, wants no other hands there.
        let pid = self.children.pid(slot).ok_or(Errno::SRCH)?;
        sys::process::kill(-pid, linux_raw_sys::general::SIGKILL as i32)
    }

    fn ended(&mut self, slot: usize) -> Option<Exit> {
        self.children.exit(slot)
    }
}

impl Linux {
    /// In the child: becomes a process like any other, then the program; or reports why not.
    fn become_child(
        &mut self,
        standard: &Standard<'_, Fd>,
        room: usize,
        program: Become<'_, Self>,
    ) -> ! {
        /// What shells return for a program that could not be executed.
        const NOT_EXECUTED: i32 = 127;
        let _ = rustix::process::setsid();
        let ready = (|| {
            sys::process::duplicate(standard.input, 0, false)?;
            sys::process::duplicate(standard.output, 1, false)?;
            sys::process::duplicate(standard.error, 2, false)?;
            if standard.report.raw() != REPORT {
                sys::process::duplicate(standard.report, REPORT, true)?;
            }
            for number in REPORT + 1..sys::close_from(REPORT + 1) {
                sys::close(number);
            }
            self.inherited.hand_on();
            program(self, sys::map(room)?)
        })();
        let number = ready.err().unwrap_or(Errno::NOSYS).number();
        // SAFETY: it is open, by the number that it was given above or has had.
        let report = unsafe { Fd::from_raw(REPORT) };
        let _ = report.put(&number.to_ne_bytes());
        sys::process::exit(NOT_EXECUTED)
    }
}
