//! What a guest says of itself in short texts, under the paths that Linux gives them. What they
//! mean is decided in the core ([`crate::formats`]).

use crate::bytes::copy;
use crate::errno::Errno;
use embedded_io::{ErrorType, Read};

/// A name that the system gives itself (uname(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Name {
    /// Of the guest, in its network.
    Host,
    /// Of the kernel's release: `6.1.0-18-amd64`.
    Release,
    /// Of the kernel's build.
    Version,
    /// Of the machine: `x86_64`.
    Machine,
}

/// Texts. A guest without files can have them all the same: it answers for the few paths that it
/// knows.
///
/// | commands | what they ask for |
/// | --- | --- |
/// | guest-get-host-name | [`Name::Host`] |
/// | guest-get-osinfo | the other names, `/etc/os-release`, `/usr/lib/os-release` (os-release(5)) |
/// | guest-get-load | `/proc/loadavg` (proc(5)) |
/// | guest-get-vcpus | `present` (`0-3`) and `cpu1/online` (`1`) in `/sys/devices/system/cpu` |
pub trait Texts {
    /// Whether this guest has what the commands about the system need: its names, os-release, load.
    const INFO: bool = false;
    /// Whether it knows who is logged in.
    const USERS: bool = false;
    /// Whether it measures its load and what its CPUs have done.
    const LOAD: bool = false;
    /// Whether it has files of time zones, or a rule in `TZ`; else its time is UTC.
    const ZONES: bool = false;
    /// Whether it has CPUs that it can tell about.
    const CPUS: bool = false;
    /// Whether it has memory blocks.
    const MEMORY: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        true
    }

    /// An open text. No call waits for text that may never come.
    type Text: Read<Error = Errno>;
    /// Room for what a list needs between two pieces of its reply: `[u8; LIST_BYTES]` for a guest
    /// whose lists may be long, twice that for one with [`super::Disks`], `[u8; 0]` for one that
    /// has none.
    type Room: Room;

    /// An open folder.
    type Folder: Folder;

    /// Opens a text (open(2)). Errors: ENOENT when there is none.
    fn text(&mut self, path: &[u8]) -> Result<Self::Text, Errno> {
        let _ = path;
        Err(Errno::NOENT)
    }

    /// Opens a folder (open(2), O_DIRECTORY). Errors: ENOENT when there is none.
    fn folder(&mut self, path: &[u8]) -> Result<Self::Folder, Errno> {
        let _ = path;
        Err(Errno::NOENT)
    }

    /// A name; as much of it as fits goes into `into`, and how much comes back. Errors: EOPNOTSUPP
    /// when it has none.
    fn name(&mut self, name: Name, into: &mut [u8]) -> Result<usize, Errno> {
        let _ = (name, into);
        Err(Errno::OPNOTSUPP)
    }

    /// A variable of the environment, with its name and the `=`. Errors: ENOENT when it is not set.
    fn variable(&mut self, name: &str) -> Option<&'static [u8]> {
        let _ = name;
        None
    }
}

/// What is in a folder.
pub trait Folder {
    /// The next name, in any order; `.` and `..` may be among them. After the last one
    /// [`Folder::ended`] says whether it was that.
    fn next_name(&mut self) -> Option<&[u8]>;

    /// Whether there is no next name because the folder has ended. Errors: those of reading it.
    fn ended(&self) -> Result<(), Errno>;
}

/// Bytes that are there from the start, all zero.
pub trait Room {
    /// As it is at the start.
    const NEW: Self;
    /// All of it.
    fn bytes(&mut self) -> &mut [u8];
}

impl<const N: usize> Room for [u8; N] {
    const NEW: Self = [0; N];

    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

/// A text that is there from the start and never changes, for a guest without files.
pub struct Fixed(pub &'static [u8]);

impl ErrorType for Fixed {
    type Error = Errno;
}

impl Read for Fixed {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = copy(into, self.0);
        self.0 = self.0.get(len..).unwrap_or(&[]);
        Ok(len)
    }
}
