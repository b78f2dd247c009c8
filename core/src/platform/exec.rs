//! Programs that a client has the agent start: their pipes, the memory that keeps what they print,
//! and the child that becomes one.

use super::Exit;
use crate::errno::Errno;

/// What a new process has open: standard input, output and error, and where it reports why it could
/// not become the program.
pub struct Standard<'f, F> {
    /// What it reads.
    pub input: &'f F,
    /// Where it prints.
    pub output: &'f F,
    /// Where it prints errors.
    pub error: &'f F,
    /// The writing end of the pipe for [`Exec::report`].
    pub report: &'f F,
}

/// What a child does before it is a program, with room for the program's words: errors end it.
pub type Become<'b, P> = &'b mut dyn FnMut(&mut P, &mut [u8]) -> Result<(), Errno>;

/// Where the words of a program lie in the room that they were packed into, as places in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packed {
    /// The path, ended by a NUL.
    pub path: usize,
    /// The addresses of its words, each ended by a NUL, and a null pointer after them.
    pub words: usize,
    /// The same of its environment; without one it has that of the agent.
    pub variables: Option<usize>,
}

/// What can hold nothing, all zero.
pub trait Free {
    /// Nothing.
    const FREE: Self;
}

/// A value, or none.
pub trait Kept<T> {
    /// One that holds nothing.
    const FREE: Self;

    /// The value.
    fn kept(&self) -> Option<&T>;

    /// The same, to be changed.
    fn kept_mut(&mut self) -> Option<&mut T>;
}

impl<T: Free, const N: usize> Kept<T> for [T; N] {
    const FREE: Self = [T::FREE; N];

    fn kept(&self) -> Option<&T> {
        self.first()
    }

    fn kept_mut(&mut self) -> Option<&mut T> {
        self.first_mut()
    }
}

/// Whether a guest keeps something in memory.
pub trait Memory {
    /// That, or nothing.
    type Of<T: Free>: Kept<T>;
}

/// So many of it: one, or none, which takes no memory.
pub enum Keeps<const N: usize> {}

impl<const N: usize> Memory for Keeps<N> {
    type Of<T: Free> = [T; N];
}

/// Programs that clients start.
pub trait Exec: Sized {
    /// Whether this guest starts programs.
    const OFFERED: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        Self::OFFERED
    }

    /// An end of a pipe, or memory, or the file that holds nothing; closed when dropped. No program
    /// inherits it.
    type Pipe;

    /// [`Keeps`] one table of programs, or none where there are no programs.
    type Memory: Memory;

    /// What reads as empty and takes everything (open(2) of /dev/null). Errors: those of open(2),
    /// ENOENT above all.
    fn nothing(&mut self) -> Result<Self::Pipe, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// A file in memory (memfd_create(2)). Errors: EMFILE, ENFILE, ENOMEM.
    fn memory(&mut self) -> Result<Self::Pipe, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// A pipe: its reading end, its writing end (pipe2(2)). Errors: EMFILE, ENFILE.
    fn pipe(&mut self) -> Result<[Self::Pipe; 2], Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// Makes an empty pipe hold so many bytes (fcntl(2), F_SETPIPE_SZ). Errors: EPERM above what
    /// this user may, ENOMEM; it stays as it was.
    fn enlarge(&mut self, pipe: &Self::Pipe, bytes: usize) -> Result<(), Errno> {
        let _ = (pipe, bytes);
        Err(Errno::OPNOTSUPP)
    }

    /// Puts bytes into a pipe that holds as many (write(2)). Errors: EINTR.
    fn put_into_pipe(&mut self, pipe: &Self::Pipe, bytes: &[u8]) -> Result<usize, Errno> {
        let _ = (pipe, bytes);
        Err(Errno::OPNOTSUPP)
    }

    /// Puts bytes into memory from byte `at` on; a program reads from its beginning (pwrite(2)).
    /// Errors: ENOSPC, ENOMEM.
    fn put_into_memory(
        &mut self,
        memory: &Self::Pipe,
        at: usize,
        bytes: &[u8],
    ) -> Result<usize, Errno> {
        let _ = (memory, at, bytes);
        Err(Errno::OPNOTSUPP)
    }

    /// From now on no call waits for this pipe, and [`Exec::is_readable`] says when it is worth a
    /// call (fcntl(2)). Errors: EPERM.
    fn watch(&mut self, pipe: &Self::Pipe) -> Result<(), Errno> {
        let _ = pipe;
        Err(Errno::OPNOTSUPP)
    }

    /// Makes a process that does `program` with `room` bytes of memory (fork(2), mmap(2)): in a
    /// session of its own, with nothing open but these, and no signal blocked or ignored. What
    /// fails there is for [`Exec::report`]. Its end is that of `slot` from now on. Its number.
    /// Errors: EAGAIN, ENOMEM: there is no process.
    fn spawn(
        &mut self,
        slot: usize,
        standard: Standard<'_, Self::Pipe>,
        room: usize,
        program: Become<'_, Self>,
    ) -> Result<i32, Errno> {
        let _ = (slot, standard, room, program);
        Err(Errno::OPNOTSUPP)
    }

    /// In the child: becomes a program, whose words were packed into `room` (execve(2)). Does not
    /// come back but with an error: ENOENT, EACCES, ENOEXEC, E2BIG.
    fn execute(&mut self, room: &[u8], packed: Packed) -> Result<(), Errno> {
        let _ = (room, packed);
        Err(Errno::OPNOTSUPP)
    }

    /// Where the agent itself was told to look for programs: its variable PATH, if it has one.
    fn search_path(&self) -> Option<&'static [u8]> {
        None
    }

    /// Why the child could not become the program; nothing when it has become it, or ended before
    /// (read(2)). Errors: EAGAIN while it has done neither.
    fn report(&mut self, report: &Self::Pipe) -> Result<Option<Errno>, Errno> {
        let _ = report;
        Err(Errno::OPNOTSUPP)
    }

    /// Whether there may be something new in a pipe that is watched; asked once, it is no news any
    /// more.
    fn is_readable(&mut self) -> bool {
        false
    }

    /// Moves what a pipe holds into memory, after what is there, at most so many bytes (splice(2));
    /// how many, 0 when nobody can print into it any more. Errors: EAGAIN when it is empty; ENOSPC,
    /// ENOMEM, and what was moved then may be lost.
    fn keep(
        &mut self,
        pipe: &Self::Pipe,
        memory: &Self::Pipe,
        bytes_max: usize,
    ) -> Result<u32, Errno> {
        let _ = (pipe, memory, bytes_max);
        Err(Errno::OPNOTSUPP)
    }

    /// Takes something out of a pipe, for nobody (read(2)); as [`Exec::keep`].
    fn discard(&mut self, pipe: &Self::Pipe) -> Result<u32, Errno> {
        let _ = pipe;
        Err(Errno::OPNOTSUPP)
    }

    /// Reads what memory has, from byte `at` on (pread(2)); how much that is, 0 if nothing can be
    /// read.
    fn kept(&mut self, memory: &Self::Pipe, at: u64, into: &mut [u8]) -> usize {
        let _ = (memory, at, into);
        0
    }

    /// Gives back the memory of what stands before byte `until`, which nobody reads again; what
    /// comes later stands where it would have (fallocate(2), FALLOC_FL_PUNCH_HOLE). Errors:
    /// EOPNOTSUPP where that cannot be.
    fn forget(&mut self, memory: &Self::Pipe, until: u64) -> Result<(), Errno> {
        let _ = (memory, until);
        Err(Errno::OPNOTSUPP)
    }

    /// Ends the process of a slot and all others of its group, whatever they would rather do
    /// (kill(2), SIGKILL). Errors: EPERM; ESRCH when it has ended, or has no group of its own yet.
    fn kill(&mut self, slot: usize) -> Result<(), Errno> {
        let _ = slot;
        Err(Errno::OPNOTSUPP)
    }

    /// How the process of a slot has ended, once it has.
    fn ended(&mut self, slot: usize) -> Option<Exit> {
        let _ = slot;
        None
    }
}
