//! A serial line, set to pass bytes as they are.

use super::Unopened;
use crate::errno::errno;
use crate::fd::Fd;
use crate::sys;
use core::ffi::CStr;
use qga_core::Errno;
use rustix::fs::OFlags;
use rustix::termios::{OptionalActions, QueueSelector};

const DEFAULT: &CStr = c"/dev/ttyS0";

/// Opens the line, raw, and forgets what came before.
pub fn open(path: Option<&'static CStr>) -> Result<Fd, Unopened> {
    let path = path.unwrap_or(DEFAULT);
    raw(path).map_err(|errno| Unopened {
        what: "cannot open the serial line",
        path,
        errno,
        hint: match errno {
            Errno::NOENT => "is it defined, is /dev mounted? -r waits for it",
            Errno::ACCES | Errno::PERM => "run as root",
            Errno::NOTTY => "this is no serial line",
            _ => "",
        },
    })
}

fn raw(path: &CStr) -> Result<Fd, Errno> {
    let line = sys::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY, 0)?;
    let mut settings = rustix::termios::tcgetattr(&line).map_err(errno)?;
    settings.make_raw();
    rustix::termios::tcsetattr(&line, OptionalActions::Now, &settings).map_err(errno)?;
    rustix::termios::tcflush(&line, QueueSelector::IFlush).map_err(errno)?;
    Ok(line)
}
