//! Files: open(2), close(2), and the state file.

use super::Linux;
use crate::fd::Fd;
use crate::sys;
use qga_core::Errno;
use qga_core::platform::{Access, Files, OpenOptions};
use rustix::fs::{Mode, OFlags};

impl Files for Linux {
    const OFFERED: bool = cfg!(feature = "files");
    type File = Fd;

    fn open(&mut self, path: &[u8], options: OpenOptions) -> Result<Fd, Errno> {
        let mut flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        flags |= match options.access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::WRONLY,
            Access::Both => OFlags::RDWR,
        };
        flags.set(OFlags::CREATE, options.create);
        flags.set(OFlags::TRUNC, options.truncate);
        flags.set(OFlags::APPEND, options.append);
        let path = self.path.path(path)?;
        // A new file can be read by everybody and written by its owner, whatever mask the agent was
        // started with.
        let mask = rustix::process::umask(Mode::empty());
        let file = sys::open(path, flags, 0o644);
        rustix::process::umask(mask);
        file
    }

    fn close(&mut self, file: Fd) -> Result<(), Errno> {
        file.close()
    }

    fn load_state(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        // Without a directory there is no state.
        self.state.ensure(self.path, false).map_err(|_| Errno::NOENT)?;
        self.state.load(into).map(|len| len as usize)
    }

    fn save_state(&mut self, state: &[u8]) -> Result<(), Errno> {
        self.state.ensure(self.path, false)?;
        self.state.save(state)
    }
}
