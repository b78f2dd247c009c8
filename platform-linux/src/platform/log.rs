//! The log: `SECONDS.MICROSECONDS: level: text`, a line each, as the reference writes it.

use super::Linux;
use crate::fd::Fd;
use crate::print::{Line, STDERR};
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
        let mut line = Line::new();
        line.number(seconds, 1).text(".").number(nanoseconds / 1000, 6).text(": ");
        line.text(level.name()).text(": ");
        for piece in pieces {
            line.text(piece);
        }
        match &self.log {
            Some(file) => line.write(file),
            None => line.write(STDERR),
        }
    }
}
