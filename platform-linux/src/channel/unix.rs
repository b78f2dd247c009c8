//! A unix socket that clients connect to, one at a time; others wait until it is their turn.

use crate::errno::errno;
use crate::fd::Fd;
use crate::sys;
use core::ffi::CStr;
use qga_core::Errno;
use rustix::fs::FileType;

/// Clients that may wait to be served.
const BACKLOG: u32 = 8;

/// Makes the socket, in place of one that an earlier agent left.
pub fn listen(path: &CStr) -> Result<Fd, Errno> {
    let socket = sys::unix_socket()?;
    let stale = rustix::fs::lstat(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket);
    if stale {
        rustix::fs::unlink(path).map_err(errno)?;
    }
    sys::listen_at(&socket, path, BACKLOG)?;
    Ok(socket)
}

/// The next client, if it is still there.
pub fn accept(listener: &Fd) -> Option<Fd> {
    sys::accept(listener).ok()
}
