//! What Linux says of itself: files below /proc, /sys and /etc, uname(2), the environment.

use super::Linux;
use super::tasks::COPIES;
use crate::fd::Fd;
use crate::process::variable;
use crate::sys;
use crate::sysfs::Folder;
use core::ffi::CStr;
use qga_core::Errno;
use qga_core::limits::LIST_BYTES;
use qga_core::platform::{Name, Texts};
use rustix::fs::OFlags;

/// Room for lists. Copies of the agent have more, for lines of files that users write; in the agent
/// itself that is never touched.
const ROOM_BYTES: usize = if COPIES { 5 * LIST_BYTES } else { LIST_BYTES };

impl Texts for Linux {
    const INFO: bool = cfg!(feature = "info");
    const USERS: bool = cfg!(feature = "users");
    const CPUS: bool = cfg!(feature = "cpus");
    const LOAD: bool = cfg!(feature = "cpus");
    const ZONES: bool = true;
    const MEMORY: bool = cfg!(feature = "memory");
    type Text = Fd;
    type Folder = Folder;
    type Room = [u8; ROOM_BYTES];

    fn text(&mut self, path: &[u8]) -> Result<Fd, Errno> {
        sys::open(self.path.path(path)?, OFlags::NOCTTY | OFlags::NONBLOCK, 0)
    }

    fn folder(&mut self, path: &[u8]) -> Result<Folder, Errno> {
        Folder::open(self.path.path(path)?)
    }

    fn name(&mut self, name: Name, into: &mut [u8]) -> Result<usize, Errno> {
        let names = rustix::system::uname();
        let name = match name {
            Name::Host => names.nodename(),
            Name::Release => names.release(),
            Name::Version => names.version(),
            Name::Machine => names.machine(),
        };
        let name = name.to_bytes();
        into.iter_mut().zip(name).for_each(|(place, &byte)| *place = byte);
        Ok(name.len().min(into.len()))
    }

    fn variable(&mut self, name: &str) -> Option<&'static [u8]> {
        self.look_up(name)
    }
}

impl Linux {
    /// A variable of the environment.
    pub fn look_up(&self, name: &str) -> Option<&'static [u8]> {
        // SAFETY: it is the one that the kernel handed over.
        unsafe { variable(self.environment, name) }.map(CStr::to_bytes)
    }
}
