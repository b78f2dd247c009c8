//! A unix socket that clients connect to, one at a time; others wait until it is their turn.

use crate::errno::errno;
use crate::fd::Fd;
use crate::sys::{self, Address};
use core::ffi::CStr;
use qga_core::Errno;
use rustix::fs::{FileType, Mode};

/// Clients that may wait to be served.
const BACKLOG: u32 = 8;

/// ECONNREFUSED.
const NOBODY_LISTENS: Errno = Errno(111);

/// Makes the socket, in place of one that an earlier agent left, for this user alone. Errors: EADDRINUSE when an
/// agent is living there.
pub fn listen(path: &CStr) -> Result<Fd, Errno> {
    let address = Address::new(path)?;
    let is_socket = rustix::fs::lstat(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
    if is_socket {
        match sys::connect(&sys::unix_socket()?, &address) {
            Err(NOBODY_LISTENS) => rustix::fs::unlink(path).map_err(errno)?,
            // Gone in the meantime.
            Err(Errno::NOENT) => {}
            _ => return Err(Errno::ADDRINUSE),
        }
    }
    let socket = sys::unix_socket()?;
    let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listening = sys::listen_at(&socket, &address, BACKLOG);
    rustix::process::umask(mask);
    listening.map(|()| socket)
}

/// The next client, if it is still there. Errors: EACCES for one that is neither this user's nor root's.
pub fn accept(listener: &Fd) -> Result<Option<Fd>, Errno> {
    let Ok(client) = sys::accept(listener) else { return Ok(None) };
    let user = sys::peer(&client);
    if user == 0 || user == rustix::process::geteuid().as_raw() {
        Ok(Some(client))
    } else {
        Err(Errno::ACCES)
    }
}
