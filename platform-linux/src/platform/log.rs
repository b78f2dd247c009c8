//! The log: `SECONDS.MICROSECONDS: level: text`, a line each, as the reference writes it.

use super::Linux;
use super::log_file::LINE_MS_MAX;
use crate::print::{complain, end_line};
use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::general::CLOCK_REALTIME;
use qga_core::Errno;
use qga_core::phrase;
use qga_core::platform::{Level, Log};
use qga_core::text::Phrase;
use qga_core::writer::Writer;

impl Linux {
    /// The log file was moved away: begins a new one, now or, if something is frozen, with the
    /// first line after the thaw: opening it could wait for ever, closing the old one too, when it
    /// is the last that a file without a name is waiting for. As long as it cannot be opened lines
    /// go where they went.
    pub fn renew_log(&mut self, frozen: bool) {
        if frozen {
            self.log.is_old = self.log.path.is_some();
            return;
        }
        if let Err(errno) = self.log.open(LINE_MS_MAX) {
            complain(
                phrase!("cannot open the log file"),
                self.log.path.map_or(b"", CStr::to_bytes),
                errno,
                Phrase::NONE,
            );
        }
    }

    /// Waits a little for what was logged last, and says how many lines were lost, if any were. At
    /// the agent's end also when something is frozen still: what that hangs holds nothing of
    /// anybody.
    #[inline(never)]
    pub fn say_lost(&mut self) {
        match self.log.hear(LINE_MS_MAX) {
            Ok(()) => {}
            Err(Errno::AGAIN) => return,
            Err(_) => self.log.lost += 1,
        }
        let lost = self.log.lost;
        if lost > 0 && self.put(Level::Warning, &[LOST], b"", Some(lost)).is_ok() {
            self.log.lost = 0;
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
        // What was dropped is said before anything else: then the log has no hole that cannot be
        // seen.
        self.say_lost();
        if self.log.lost > 0 || self.put(level, pieces, path, None).is_err() {
            self.log.lost += 1;
        }
    }
}

/// What is said, with how many.
const LOST: Phrase = phrase!("the log took no more, lines dropped: ");

impl Linux {
    /// Writes a line. Errors: why it is lost.
    fn put(
        &mut self,
        level: Level,
        pieces: &[Phrase],
        path: &[u8],
        number: Option<u64>,
    ) -> Result<(), Errno> {
        let (seconds, nanoseconds) = sys::clocks::clock(CLOCK_REALTIME);
        let mut out = Writer::new(self.line);
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
        end_line(&mut out);
        self.log.put(out.written(), LINE_MS_MAX)
    }
}
