//! A unix socket that clients connect to, one at a time; others wait until it is their turn.

use crate::errno::errno;
use crate::fd::Fd;
use crate::sys;
use crate::sys::socket::Address;
use core::ffi::CStr;
use linux_raw_sys::general::{S_IFMT, S_IFSOCK};
use qga_core::Errno;
use rustix::fs::Mode;

/// Clients that may wait to be served.
const BACKLOG: u32 = 8;

/// Makes the socket, in place of one that an earlier agent left, for this user alone. Errors:
/// EADDRINUSE when an agent is living there.
pub fn listen(path: &CStr) -> Result<Fd, Errno> {
    let mut address = Address::unset();
    address.set(path)?;
    let socket = sys::socket::unix_socket()?;
    if rustix::fs::lstat(path).is_ok_and(|stat| stat.st_mode & S_IFMT == S_IFSOCK) {
        // A socket that could not be connected is as good as new.
        match sys::socket::connect(&socket, &address) {
            Err(Errno::CONNREFUSED) => rustix::fs::unlink(path).map_err(errno)?,
            // Gone in the meantime.
            Err(Errno::NOENT) => {}
            _ => return Err(Errno::ADDRINUSE),
        }
    }
    let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listening = sys::socket::listen_at(&socket, &address, BACKLOG);
    rustix::process::umask(mask);
    listening.map(|()| socket)
}

/// The next client, if it is still there. Errors: EACCES for one that is neither this user's nor
/// root's.
pub fn accept(listener: &Fd) -> Result<Option<Fd>, Errno> {
    let client = match sys::socket::accept(listener) {
        Ok(client) => client,
        Err(errno) if errno.is_short() => return Err(errno),
        Err(_) => return Ok(None),
    };
    if sys::is_own(sys::socket::peer(&client)) { Ok(Some(client)) } else { Err(Errno::ACCES) }
}
