//! Files that are replaced whole: openat2(2), renameat(2), the locks of those who change passwords,
//! and becoming another user.

use super::Linux;
use crate::errno::errno;
use crate::fd::Fd;
use crate::sys;
use crate::sys::replace as call;
use core::ffi::CStr;
use embedded_io::{ErrorType, Write};
use linux_raw_sys::general::{S_IFMT, S_IFREG};
use qga_core::Errno;
use qga_core::limits::LOCK_PAUSE_MS;
use qga_core::platform::Replace;
use qga_core::writer::Writer;
use rustix::event::Timespec;
use rustix::fs::{Gid, Mode, OFlags, Uid};

/// A new file, and where it is until it takes its place.
pub struct Draft {
    file: Fd,
    /// The folder, which is open as long as the draft is.
    parent: i32,
    name: &'static [u8],
    is_published: bool,
}

impl ErrorType for Draft {
    type Error = Errno;
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.file.put(bytes).map(|len| len as usize)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = Name::new(self.name).and_then(|name| call::unlink(self.parent, name.text()));
        }
    }
}

/// A name in a folder, with a NUL after it.
struct Name([u8; 40]);

impl Name {
    fn new(name: &[u8]) -> Result<Self, Errno> {
        let mut bytes = [0; 40];
        let mut out = Writer::new(&mut bytes);
        out.raw(name);
        out.raw(b"\0");
        if out.is_full() { Err(Errno::NAMETOOLONG) } else { Ok(Name(bytes)) }
    }

    fn text(&self) -> &CStr {
        // SAFETY: the last byte written is a NUL, and what lies behind it is all zero.
        unsafe { CStr::from_ptr(self.0.as_ptr().cast()) }
    }
}

impl Replace for Linux {
    const PASSWORDS: bool = cfg!(feature = "passwords");
    const KEYS: bool = cfg!(feature = "ssh");
    type Parent = Fd;
    type Old = Fd;
    type Draft = Draft;

    fn become_user(&mut self, user: u32, group: u32, groups: &[u32]) -> Result<(), Errno> {
        call::become_user(user, group, groups)?;
        // The kernel forgets both with the rights: the user may not look into this process.
        sys::process::end_with_parent();
        sys::process::set_dumpable(false);
        Ok(())
    }

    fn parent(&mut self, path: &[u8]) -> Result<Fd, Errno> {
        let path = self.path.path(path)?;
        match sys::open(path, OFlags::RDONLY | OFlags::DIRECTORY, 0) {
            // A home that its user may enter and not list.
            Err(Errno::ACCES) => sys::open(path, OFlags::PATH | OFlags::DIRECTORY, 0),
            opened => opened,
        }
    }

    fn folder_in(&mut self, parent: &Fd, name: &[u8]) -> Result<Fd, Errno> {
        call::open_in(parent, Name::new(name)?.text(), OFlags::RDONLY | OFlags::DIRECTORY)
    }

    fn make_folder(&mut self, parent: &Fd, name: &[u8]) -> Result<(), Errno> {
        rustix::fs::mkdirat(parent, Name::new(name)?.text(), Mode::RWXU).map_err(errno)
    }

    fn old(&mut self, parent: &Fd, name: &[u8]) -> Result<Fd, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = call::open_in(parent, Name::new(name)?.text(), flags)?;
        if sys::look(&file)?.mode & S_IFMT == S_IFREG { Ok(file) } else { Err(Errno::INVAL) }
    }

    fn draft(
        &mut self,
        parent: &Fd,
        name: &'static [u8],
        like: Option<&Fd>,
    ) -> Result<Draft, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = sys::open_at(parent, Name::new(name)?.text(), flags, 0o600)?;
        let draft = Draft { file, parent: parent.raw(), name, is_published: false };
        if let Some(like) = like {
            self.resemble(&draft.file, like)?;
        }
        Ok(draft)
    }

    fn publish(&mut self, parent: &Fd, mut draft: Draft, name: &[u8]) -> Result<(), Errno> {
        rustix::fs::fsync(&draft.file).map_err(errno)?;
        let (from, to) = (Name::new(draft.name)?, Name::new(name)?);
        rustix::fs::renameat(parent, from.text(), parent, to.text()).map_err(errno)?;
        draft.is_published = true;
        rustix::fs::fsync(parent).map_err(errno)
    }

    fn remove(&mut self, parent: &Fd, name: &[u8]) -> Result<(), Errno> {
        call::unlink(parent.raw(), Name::new(name)?.text())
    }

    fn lock_users(&mut self) -> Result<(), Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW;
        let file = sys::open(c"/etc/.pwd.lock", flags, 0o600)?;
        match sys::locks::lock_byte(&file, 0, false)? {
            None => {
                file.keep_open();
                Ok(())
            }
            Some(_) => Err(Errno::AGAIN),
        }
    }

    fn lock_file(&mut self, parent: &Fd, name: &'static [u8]) -> Result<(), Errno> {
        let mut own = [0; 24];
        let mut own = Writer::new(&mut own);
        own.unsigned(rustix::process::getpid().as_raw_nonzero().get() as u64);
        // As shadow-utils calls it: `shadow.` and the number.
        let mut temporary = [0; 40];
        let mut temporary = Writer::new(&mut temporary);
        temporary.raw(name.strip_suffix(b"lock").unwrap_or(name));
        temporary.raw(own.written());
        let (temporary, name) = (Name::new(temporary.written())?, Name::new(name)?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let file = sys::open_at(parent, temporary.text(), flags, 0o600)?;
        let linked =
            file.put(own.written()).and_then(|_| call::link(parent, temporary.text(), name.text()));
        let _ = call::unlink(parent.raw(), temporary.text());
        linked
    }

    fn is_alive(&mut self, process: u64) -> bool {
        let process = i32::try_from(process).unwrap_or(0);
        process > 0 && sys::process::kill(process, 0) != Err(Errno::SRCH)
    }

    fn pause(&mut self) {
        let time = Timespec { tv_sec: 0, tv_nsec: (LOCK_PAUSE_MS * 1_000_000) as i64 };
        let _ = rustix::event::poll(&mut [], Some(&time));
    }
}

impl Linux {
    /// Gives a file the owner, the mode and the extended attributes of another one, as far as this
    /// process may: of a user's own file nobody else needs to have had any.
    fn resemble(&mut self, file: &Fd, other: &Fd) -> Result<(), Errno> {
        let node = sys::look(other)?;
        let (user, group) = (Uid::from_raw(node.user), Gid::from_raw(node.group));
        may(rustix::fs::fchown(file, Some(user), Some(group)).map_err(errno))?;
        may(rustix::fs::fchmod(file, Mode::from_raw_mode(node.mode & 0o7777)).map_err(errno))?;
        let mut names = [0; 1024];
        let len = match call::attributes(other, &mut names) {
            Err(Errno::OPNOTSUPP) => 0,
            len => len? as usize,
        };
        for name in names.get(..len).unwrap_or(&[]).split_inclusive(|&byte| byte == 0) {
            let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
            let value = self.path.bytes();
            let len = call::attribute(other, name, value)? as usize;
            let value = value.get(..len).unwrap_or(&[]);
            // Not every policy lets a label be set, even to what it is.
            let mut own = [0; 256];
            let len = call::attribute(file, name, &mut own).unwrap_or(0) as usize;
            if own.get(..len) != Some(value) {
                may(call::set_attribute(file, name, value))?;
            }
        }
        Ok(())
    }
}

/// What came of a call, where a user who has no right to it has not failed.
fn may(result: Result<(), Errno>) -> Result<(), Errno> {
    let is_user = !rustix::process::geteuid().is_root();
    match result {
        Err(Errno::PERM | Errno::ACCES | Errno::OPNOTSUPP) if is_user => Ok(()),
        result => result,
    }
}
