//! The log: `SECONDS.MICROSECONDS: level: text`, a line each, as the reference writes it.

use super::Linux;
use crate::fd::Fd;
use crate::print::{STDERR, line};
use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::general::CLOCK_REALTIME;
use qga_core::Errno;
use qga_core::platform::{Level, Log};
use rustix::fs::OFlags;

/// Opens a log file to append to.
pub fn open_log(path: &CStr) -> Result<Fd, Errno> {
    sys::open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOCTTY, 0o600)
}

impl Log for Linux {
    fn log(&mut self, level: Level, pieces: &[&str]) {
        if level > Level::Error && !self.verbose {
            return;
        }
        let (seconds, nanoseconds) = sys::clock(CLOCK_REALTIME);
        let to = self.log.as_ref().unwrap_or(&STDERR);
        line(to, |out| {
            out.unsigned(seconds);
            // Six digits: a one in front keeps the zeros, and the point takes its place.
            let point = out.len();
            out.unsigned(1_000_000 + nanoseconds / 1000);
            out.rewind(point);
            out.ascii(".");
            out.advance(6);
            out.ascii(": ");
            out.ascii(level.name());
            out.ascii(": ");
            for piece in pieces {
                out.ascii(piece);
            }
        });
    }
}
