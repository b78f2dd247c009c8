//! The log: `SECONDS.MICROSECONDS: level: text`, a line each, as the reference writes it.

use super::Linux;
use crate::print::{STDERR, line};
use crate::sys;
use linux_raw_sys::general::CLOCK_REALTIME;
use qga_core::Errno;
use qga_core::platform::{Level, Log};
use rustix::fs::OFlags;

impl Linux {
    /// Opens the log file, if there is to be one and it is not open yet. Not while anything is frozen: that
    /// could wait for ever.
    pub fn open_log(&mut self) -> Result<(), Errno> {
        if let (None, Some(path)) = (&self.log, self.log_file) {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOCTTY;
            self.log = Some(sys::open(path, flags, 0o600)?);
        }
        Ok(())
    }
}

impl Log for Linux {
    fn log(&mut self, level: Level, pieces: &[&str]) {
        self.log_of(level, pieces, b"");
    }

    #[inline(never)]
    fn log_of(&mut self, level: Level, pieces: &[&str], path: &[u8]) {
        if level > Level::Warning && !self.verbose {
            return;
        }
        // Not opened at the start because something was frozen; nothing is logged while it is.
        let _ = self.open_log();
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
            out.text(path);
        });
    }
}
