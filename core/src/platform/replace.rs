//! Files that a new one takes the place of, whole or not at all: /etc/shadow, a user's
//! authorized_keys. All of it happens in a copy of the agent ([`super::Tasks`]), which may wait.

use crate::errno::Errno;
use embedded_io::{Read, Write};

/// Replacing files.
pub trait Replace {
    /// Whether passwords can be set here.
    const PASSWORDS: bool = false;
    /// Whether users have keys here: `/etc/passwd`, `/etc/group` and the homes that these name.
    const KEYS: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        true
    }

    /// A folder that files are replaced in.
    type Parent;
    /// A file as it was.
    type Old: Read<Error = Errno>;
    /// A new file that has not taken its place yet; removed when it never does.
    type Draft: Write<Error = Errno>;

    /// Becomes a user for good, with no right but the user's own (setgroups(2), setresgid(2),
    /// setresuid(2)). Errors: EPERM.
    fn become_user(&mut self, user: u32, group: u32, groups: &[u32]) -> Result<(), Errno> {
        let _ = (user, group, groups);
        Err(Errno::OPNOTSUPP)
    }

    /// Opens a folder by its absolute path (open(2)). Errors: ENOENT, EACCES, ENOTDIR.
    fn parent(&mut self, path: &[u8]) -> Result<Self::Parent, Errno> {
        let _ = path;
        Err(Errno::OPNOTSUPP)
    }

    /// Opens a folder in a folder, no link and on no other filesystem (openat2(2)). Errors: as
    /// above, ELOOP, EXDEV.
    fn folder_in(&mut self, parent: &Self::Parent, name: &[u8]) -> Result<Self::Parent, Errno> {
        let _ = (parent, name);
        Err(Errno::OPNOTSUPP)
    }

    /// Makes a folder in a folder that is for nobody else (mkdirat(2)). Errors: EACCES, ENOSPC,
    /// EROFS.
    fn make_folder(&mut self, parent: &Self::Parent, name: &[u8]) -> Result<(), Errno> {
        let _ = (parent, name);
        Err(Errno::OPNOTSUPP)
    }

    /// Opens a file that is to be replaced: a regular one, no link (openat2(2), fstat(2)). Errors:
    /// ENOENT, EACCES, ELOOP for a link, EINVAL for what is no such file.
    fn old(&mut self, parent: &Self::Parent, name: &[u8]) -> Result<Self::Old, Errno> {
        let _ = (parent, name);
        Err(Errno::OPNOTSUPP)
    }

    /// Begins a new file called `name`, for nobody but its owner (openat(2), O_EXCL); with `like`
    /// its owner, mode and extended attributes are that one's. Errors: EEXIST, EACCES, ENOSPC,
    /// EROFS; nothing is left then.
    fn draft(
        &mut self,
        parent: &Self::Parent,
        name: &'static [u8],
        like: Option<&Self::Old>,
    ) -> Result<Self::Draft, Errno> {
        let _ = (parent, name, like);
        Err(Errno::OPNOTSUPP)
    }

    /// Puts a draft in the place of `name`, and returns when a loss of power leaves it there
    /// (fsync(2), renameat(2)). Errors: those of writing late; the old file is there then.
    fn publish(
        &mut self,
        parent: &Self::Parent,
        draft: Self::Draft,
        name: &[u8],
    ) -> Result<(), Errno> {
        let _ = (parent, draft, name);
        Err(Errno::OPNOTSUPP)
    }

    /// Removes a file (unlinkat(2)). Errors: ENOENT.
    fn remove(&mut self, parent: &Self::Parent, name: &[u8]) -> Result<(), Errno> {
        let _ = (parent, name);
        Err(Errno::OPNOTSUPP)
    }

    /// Keeps others out of the files of users as lckpwdf(3) does, until this copy ends (fcntl(2) of
    /// /etc/.pwd.lock). Errors: EAGAIN when somebody else does, EROFS.
    fn lock_users(&mut self) -> Result<(), Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// Makes a file called `name` with the number of this process in it, which no other process
    /// ever sees without (link(2)), as shadow-utils does. Errors: EEXIST, EROFS, ENOSPC.
    fn lock_file(&mut self, parent: &Self::Parent, name: &'static [u8]) -> Result<(), Errno> {
        let _ = (parent, name);
        Err(Errno::OPNOTSUPP)
    }

    /// Whether there is a process of that number (kill(2), signal 0).
    fn is_alive(&mut self, process: u64) -> bool {
        let _ = process;
        false
    }

    /// Lets some time pass: who waits for a lock asks again after it.
    fn pause(&mut self) {}
}
