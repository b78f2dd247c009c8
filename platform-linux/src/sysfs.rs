//! Folders of sysfs: a folder in, the names in it and short texts below them out.

use crate::fd::Fd;
use crate::print::one_of;
use crate::sys;
use core::ffi::CStr;
use qga_core::Errno;
use rustix::fs::OFlags;

/// Opens what is called `name` in a folder.
#[inline(never)]
pub fn enter(folder: &Fd, name: &CStr) -> Result<Fd, Errno> {
    sys::open_at(folder, name, OFlags::RDONLY, 0)
}

/// The first line of the file `name` in the folder `below` of `folder`; empty where there is none.
#[inline(never)]
pub fn text<'t>(folder: &Fd, below: &CStr, name: &CStr, text: &'t mut [u8; 256]) -> &'t [u8] {
    let file = enter(folder, below).and_then(|below| enter(&below, name));
    let _ = file.and_then(|file| file.get(text));
    one_of(text, 0)
}

/// Room for names: for the longest one, with what stands before it (280 bytes), and for a dozen of
/// ordinary ones.
const ENTRIES_BYTES: usize = 512;

/// The names in a folder, by turns, `.` and `..` among them.
pub struct Names {
    /// Where what is not given out yet begins and ends.
    start: usize,
    end: usize,
    entries: [u8; ENTRIES_BYTES],
    /// Why there is no next one, if that is not the end of the folder.
    failed: Option<Errno>,
}

impl Names {
    /// Before the first one.
    pub fn new() -> Self {
        Names { start: 0, end: 0, entries: [0; ENTRIES_BYTES], failed: None }
    }

    /// The next one in `folder`, always the same (getdents64(2)). After the last one
    /// [`Names::ended`] says whether it was that.
    #[inline(never)]
    pub fn next_name(&mut self, folder: &Fd) -> Option<&CStr> {
        if self.start == self.end {
            self.start = 0;
            let read = sys::read_directory(folder, &mut self.entries);
            self.end = read.map_err(|errno| self.failed = Some(errno)).unwrap_or(0) as usize;
        }
        // Each entry says its length at byte 16, in two bytes; its name begins at byte 19 and ends
        // with a NUL.
        let entry = self.entries.get(self.start..self.end)?.get(16..)?;
        self.start += usize::from(u16::from_ne_bytes(*entry.first_chunk()?));
        // SAFETY: the kernel ends each name with a NUL inside its entry, and a CStr of `'_` keeps
        // that borrowed.
        Some(unsafe { CStr::from_ptr(entry.get(3..)?.as_ptr().cast()) })
    }

    /// Whether there is no next name because the folder has ended. Errors: those of reading it.
    pub fn ended(&self) -> Result<(), Errno> {
        self.failed.map_or(Ok(()), Err)
    }
}

impl Default for Names {
    fn default() -> Self {
        Names::new()
    }
}

/// An open folder with its names.
pub struct Folder {
    folder: Fd,
    names: Names,
}

impl Folder {
    /// Opens it.
    pub fn open(path: &CStr) -> Result<Self, Errno> {
        let folder = sys::open(path, OFlags::DIRECTORY, 0)?;
        Ok(Folder { folder, names: Names::new() })
    }
}

impl qga_core::platform::Folder for Folder {
    fn next_name(&mut self) -> Option<&[u8]> {
        self.names.next_name(&self.folder).map(CStr::to_bytes)
    }

    fn ended(&self) -> Result<(), Errno> {
        self.names.ended()
    }
}
