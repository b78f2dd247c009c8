//! Files of the guest, as guest-file-* uses them, and the small state that outlives the agent.

use crate::errno::Errno;
use embedded_io::{Read, Seek, Write};

/// Which directions a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Both.
    Both,
}

/// How a file is opened: the meaning of an fopen(3) mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenOptions {
    /// Directions.
    pub access: Access,
    /// Make the file if it is missing, with mode 0644 whatever the umask.
    pub create: bool,
    /// Empty it.
    pub truncate: bool,
    /// Each write goes to the end.
    pub append: bool,
}

/// The guest's files.
pub trait Files {
    /// Whether this guest has files.
    const OFFERED: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        Self::OFFERED
    }

    /// An open file. `read` gives 0 at the end only; no call waits for data that may never come
    /// (EAGAIN).
    type File: Read<Error = Errno> + Write<Error = Errno> + Seek<Error = Errno>;

    /// Opens a file (open(2)). A terminal does not become the agent's, a FIFO without a peer is
    /// ENXIO. Errors: those of open(2); failure leaves nothing.
    fn open(&mut self, path: &[u8], options: OpenOptions) -> Result<Self::File, Errno> {
        let _ = (path, options);
        Err(Errno::OPNOTSUPP)
    }

    /// Closes a file (close(2)). Errors: EIO, ENOSPC, EDQUOT of filesystems that write late; the
    /// file is closed all the same.
    fn close(&mut self, file: Self::File) -> Result<(), Errno> {
        let _ = file;
        Ok(())
    }

    /// Reads the saved state into `into` and returns its length; ENOENT when there is none yet.
    fn load_state(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let _ = into;
        Err(Errno::NOENT)
    }

    /// Replaces the saved state at once: after a crash either the old or the new one is there. A
    /// guest that cannot outlive its agent has nothing to save.
    fn save_state(&mut self, state: &[u8]) -> Result<(), Errno> {
        let _ = state;
        Ok(())
    }
}
