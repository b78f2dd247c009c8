//! The log: `SECONDS.MICROSECONDS: level: text`, a line each, as the reference writes it.

use super::Linux;
use crate::print::{STDERR, complain, line};
use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::general::CLOCK_REALTIME;
use qga_core::Errno;
use qga_core::phrase;
use qga_core::platform::{Level, Log};
use qga_core::text::Phrase;
use rustix::fs::OFlags;

impl Linux {
    /// Opens the log file, if there is to be one and it is not open yet, or was moved away since: then the old one
    /// is closed when the new one is open. Not while anything is frozen: either could wait for ever, closing too,
    /// when it is the last that a file without a name is waiting for.
    pub fn open_log(&mut self) -> Result<(), Errno> {
        if let (true, Some(path)) = (self.log.is_none() || self.log_is_old, self.log_file) {
            // A FIFO that nobody reads is an error, where open(2) would wait for somebody.
            let how = OFlags::NOCTTY | OFlags::NONBLOCK;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | how;
            self.log = Some(sys::open(path, flags, 0o600)?);
            self.log_is_old = false;
        }
        Ok(())
    }

    /// The log file was moved away: begins a new one, now or, if something is frozen, with the first line after the
    /// thaw. As long as it cannot be opened lines go where they went.
    pub fn renew_log(&mut self, frozen: bool) {
        self.log_is_old = true;
        if !frozen && let Err(errno) = self.open_log() {
            complain(
                phrase!("cannot open the log file"),
                self.log_file.map_or(b"", CStr::to_bytes),
                errno,
                Phrase::NONE,
            );
        }
    }
}

impl Log for Linux {
    fn log(&mut self, level: Level, pieces: &[Phrase]) {
        self.log_of(level, pieces, b"");
    }

    fn log_of(&mut self, level: Level, pieces: &[Phrase], path: &[u8]) {
        if level > Level::Warning && !self.verbose {
            return;
        }
        // Not opened before because something was frozen; nothing is logged while it is.
        let _ = self.open_log();
        // What was dropped is said before anything else: then the log has no hole that cannot be seen.
        let dropped = self.log_dropped;
        if dropped > 0 && self.put(Level::Warning, &[DROPPED], b"", Some(dropped)) {
            self.log_dropped = 0;
        }
        if self.log_dropped > 0 || !self.put(level, pieces, path, None) {
            self.log_dropped += 1;
        }
    }
}

/// What is said, with how many.
const DROPPED: Phrase = phrase!("nobody read the log, lines dropped: ");

impl Linux {
    /// Writes a line; whether it was taken.
    fn put(&self, level: Level, pieces: &[Phrase], path: &[u8], number: Option<u64>) -> bool {
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
            out.phrase(level.name());
            out.ascii(": ");
            for piece in pieces {
                out.phrase(*piece);
            }
            out.text(path);
            if let Some(number) = number {
                out.unsigned(number);
            }
        })
    }
}
