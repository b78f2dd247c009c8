//! The open files, by number, and the numbers, which are never given out twice: not after a close,
//! not after the agent was restarted.
//!
//! The next number is saved before it is used ([`Handles::open`]), in the reference's own format,
//! so that either agent goes on where the other stopped: `[global]`, `fd_counter=N`.

use crate::bytes::decimal;
use crate::errno::Errno;
use crate::error::Error;
use crate::limits::{HANDLE_FIRST, HANDLES_MAX};
use crate::platform::{Files, Level, Log, WallClock};
use heapless::Vec;

/// The saved state is this, a number and a newline.
const STATE_HEAD: &str = "[global]\nfd_counter=";
/// Enough for the head and any number, and for a comment that somebody wrote into it.
const STATE_BYTES_MAX: usize = 256;

/// The files that clients have opened.
pub struct Handles<F> {
    next: u64,
    /// Whether the number comes from a saved state, or stands in one.
    saved: bool,
    open: Vec<(i64, F), HANDLES_MAX>,
}

impl<F> Handles<F> {
    /// A table that has no number to give yet: [`Handles::restore`] comes first.
    pub const fn new() -> Self {
        Handles { next: 0, saved: false, open: Vec::new() }
    }

    /// Reads where the numbers go on. A damaged state is replaced by one above everything that can
    /// have been given out: the milliseconds since 1970, of which no agent has opened as many
    /// files. While `frozen` nothing is written. Errors: the state cannot be read or saved.
    #[inline(never)]
    pub fn restore<P: Files<File = F> + WallClock + Log>(
        &mut self,
        platform: &mut P,
        frozen: bool,
    ) -> Result<(), Errno> {
        let mut state = [0; STATE_BYTES_MAX];
        match platform.load_state(&mut state) {
            Ok(len) => {
                // A state that fills the buffer may be cut, and its number with it.
                let whole = state.get(..len).filter(|_| len < STATE_BYTES_MAX);
                if let Some(next) = whole.and_then(parse) {
                    // Nothing to save: replacing a file can cost more than all the rest of a start.
                    (self.next, self.saved) = (next, true);
                    return Ok(());
                }
                let wall_ms = platform.now_ns().unwrap_or(0).unsigned_abs() / 1_000_000;
                self.next = wall_ms.max(1 << 40);
                if !frozen {
                    let text = phrase!("saved handle number is damaged, going on far above it");
                    platform.log(Level::Error, &[text]);
                }
            }
            Err(Errno::NOENT) => {
                // The first file that is opened makes the state.
                self.next = self.next.max(HANDLE_FIRST);
                return Ok(());
            }
            Err(errno) => return Err(errno),
        }
        if frozen { Ok(()) } else { self.save(platform, self.next) }
    }

    /// Opens a file by `open` under a new number.
    pub fn open<'a, P: Files<File = F> + WallClock + Log>(
        &mut self,
        platform: &mut P,
        open: impl FnOnce(&mut P) -> Result<F, Error<'a>>,
    ) -> Result<i64, Error<'a>> {
        if self.open.is_full() {
            return Err(Error::HandlesExhausted(HANDLES_MAX));
        }
        let file = open(platform)?;
        // A state may have come since, with the directory that it lies in.
        let ready = if self.saved { Ok(()) } else { self.restore(platform, false) };
        let handle = self.next as i64;
        if let Err(errno) = ready.and_then(|()| self.save(platform, self.next.saturating_add(1))) {
            let _ = platform.close(file);
            return Err(Error::Failed(text!("failed to commit persistent state to disk"), errno));
        }
        // There is room: see above.
        let _ = self.open.push((handle, file));
        Ok(handle)
    }

    /// The file of a handle.
    pub fn file(&mut self, handle: i64) -> Option<&mut F> {
        let found = self.open.iter_mut().find(|(number, _)| *number == handle);
        found.map(|(_, file)| file)
    }

    /// Takes the file of a handle out of the table.
    pub fn take(&mut self, handle: i64) -> Option<F> {
        let place = self.open.iter().position(|(number, _)| *number == handle)?;
        // Swap with the last entry and pop that: heapless' own `swap_remove` can panic.
        let (_, after) = self.open.split_at_mut_checked(place).unwrap_or_default();
        if let [found, .., last] = after {
            core::mem::swap(found, last);
        }
        self.open.pop().map(|(_, file)| file)
    }

    /// How many files are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether no file is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

impl<F> Handles<F> {
    /// Saves that the numbers go on with `next`.
    #[inline(never)]
    fn save<P: Files>(&mut self, platform: &mut P, next: u64) -> Result<(), Errno> {
        let mut text = [0; STATE_BYTES_MAX];
        let mut out = crate::writer::Writer::new(&mut text);
        out.ascii(STATE_HEAD);
        out.unsigned(next);
        out.ascii("\n");
        platform.save_state(out.written())?;
        (self.next, self.saved) = (next, true);
        Ok(())
    }
}

impl<F> Default for Handles<F> {
    fn default() -> Self {
        Handles::new()
    }
}

/// The number after `fd_counter=`, if it is one that so many may follow that they never run out.
fn parse(state: &[u8]) -> Option<u64> {
    let mut lines = state.split(|&byte| byte == b'\n');
    let number = lines.find_map(|line| line.strip_prefix(b"fd_counter="))?;
    decimal(number).filter(|&next| next <= i64::MAX as u64 / 2)
}
