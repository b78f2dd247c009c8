//! Programs that a copy of the agent runs and waits for: fork(2), execve(2), wait4(2).

use super::Linux;
use super::power::{Argv, become_program};
use crate::standard::fill_standard;
use crate::sys;
use crate::sys::process::Fork;
use qga_core::Errno;
use qga_core::limits::PROGRAM_FOLDERS;
use qga_core::platform::{Exit, PROGRAM_WORDS_MAX, Programs};
use qga_core::writer::Writer;
use rustix::fs::Access;

/// Room for the words of a command line: those that the core has are its own.
const WORDS_BYTES_MAX: usize = 128;

impl Programs for Linux {
    fn run_program(
        &mut self,
        words: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(Exit, usize), Errno> {
        // They were closed in this copy, and a program has three.
        fill_standard()?;
        let mut room = [0; WORDS_BYTES_MAX];
        let mut texts = Writer::new(&mut room);
        let mut starts: Argv = [core::ptr::null(); PROGRAM_WORDS_MAX + 1];
        for (start, word) in starts.iter_mut().take(PROGRAM_WORDS_MAX).zip(words) {
            *start = texts.free().as_ptr().cast();
            texts.raw(word);
            texts.raw(b"\0");
        }
        if texts.is_full() {
            return Err(Errno::TOOBIG);
        }
        self.find(words.first().unwrap_or(&&b""[..]))?;
        let (from, into) = (sys::memory()?, sys::memory()?);
        if sys::write_at(&from, 0, input)? as usize != input.len() {
            return Err(Errno::NOSPC);
        }
        // SAFETY: the child below ends by execve or exit.
        let pid = match unsafe { sys::process::fork() }? {
            Fork::Child => {
                sys::process::end_with_parent();
                let path = self.path.found();
                // SAFETY: the list ends with a null pointer, its words with NULs; the environment
                // is the one that the kernel handed over.
                unsafe { become_program(path, &starts, self, &from, &into) }
            }
            Fork::Parent(pid) => pid,
        };
        let exit = sys::process::wait_for(pid)?;
        Ok((exit, sys::read_at(&into, 0, output)? as usize))
    }
}

impl Linux {
    /// Puts the path of a program into the room for paths. Errors: ENOENT when there is none.
    fn find(&mut self, name: &[u8]) -> Result<(), Errno> {
        let folders = self.look_up("PATH").unwrap_or(PROGRAM_FOLDERS);
        for folder in folders.split(|&byte| byte == b':') {
            let mut room = [0; 256];
            let mut path = Writer::new(&mut room);
            if name.first() != Some(&b'/') {
                path.raw(folder);
                path.raw(b"/");
            }
            path.raw(name);
            let path = self.path.path(path.written())?;
            if rustix::fs::access(path, Access::EXEC_OK).is_ok() {
                return Ok(());
            }
        }
        Err(Errno::NOENT)
    }
}
