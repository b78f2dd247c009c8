//! Bytes from the channel in, whole requests (frames) out: one JSON text each, cut where its
//! brackets balance, not at newlines, because several clients send none.
//!
//! ```text
//!  buffer   |  given out  |  next frame, partly here  |      free       |
//!           0           start                      filled               N
//!                                   ^ scanned
//! ```
//!
//! Invariant: start <= scanned <= filled <= N. A byte is scanned once, however the channel cuts the
//! stream. One malformed request makes one [`Scan::Bad`], whatever it consists of:
//!
//! * bytes that are no token: the rest up to the next control character or 0xFF is skipped. When a
//!   control character itself was the offence (a line that was cut short), a next line that begins
//!   with `{` is a new request, any other is skipped as well;
//! * a request over a limit is swallowed to its end in constant memory;
//! * what is wrong inside a balanced text is found by [`crate::json::check`]; closing brackets that
//!   follow it are part of it ([`Framer::refused`]).
//!
//! 0xFF drops whatever is partial and resets the reader, without a reply (QGA schema, guest-sync).
//!
//! A client that hangs up in the middle of a request leaves its half here when nobody says that it
//! has gone. The next one's guest-sync stands inside that half then, or on a line that is being
//! skipped. So an object inside a faulty request that may be a guest-sync is shown
//! ([`Scan::Sync`]), and where it is one the reader begins anew with it ([`Framer::resume`]). Only
//! bytes decide that, never where the channel cut them.

mod bytes;
mod found;
mod scanning;

pub use found::{Fault, Scan};

use crate::bytes::shift_down;
use crate::error::Error;
use crate::json::lexer::Lexer;
use crate::limits::{FRAME_KEEP_BYTES, SYNC_BYTES_MAX};
use core::ops::Range;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
enum FramerState {
    /// Collecting a frame, or waiting for one.
    Collect = 0,
    /// After a refused frame: closing brackets that nothing opened are still part of it.
    Refused,
    /// Before a guest-sync inside a request whose fault has not been said.
    Unsaid,
    /// Following a refused request to its end, dropping it. So do the others from here on.
    Swallow,
    /// Skipping to the end of a line.
    SkipLine,
    /// At the beginning of a line after one that was cut short.
    LineStart,
}

/// The reader of the channel. All zero when new, so that a static one takes no place in a file. The
/// buffer stands last so that the other fields are near: that makes shorter instructions.
#[repr(C)]
pub struct Framer<const N: usize> {
    lexer: Lexer,
    state: FramerState,
    /// Whether the frame's first token has been seen.
    in_frame: bool,
    /// Whether what is read stands in the frame's `id`, where any object may stand.
    in_id: bool,
    /// Whether a frame may have no more than [`FRAME_KEEP_BYTES`].
    tight: bool,
    braces: i32,
    brackets: i32,
    start: usize,
    scanned: usize,
    filled: usize,
    /// Where begins what was found last; it ends at `scanned`.
    found: usize,
    /// How much of the buffer has been written to since it was last given back.
    touched: usize,
    /// How much of it is zero at its beginning, and from where on it is zero.
    wiped: usize,
    used: usize,
    buffer: [u8; N],
}

impl<const N: usize> Framer<N> {
    /// Longest guest-sync that is looked for inside a malformed request.
    const SYNC_BYTES: usize = if SYNC_BYTES_MAX < N / 4 { SYNC_BYTES_MAX } else { N / 4 };

    /// A framer that has received nothing.
    pub const fn new() -> Self {
        Framer {
            lexer: Lexer::new(),
            state: FramerState::Collect,
            in_frame: false,
            in_id: false,
            tight: false,
            braces: 0,
            brackets: 0,
            start: 0,
            scanned: 0,
            filled: 0,
            found: 0,
            touched: 0,
            wiped: 0,
            used: 0,
            buffer: [0; N],
        }
    }

    /// Where the next bytes go; never empty once [`Framer::scan`] has said [`Scan::More`].
    pub fn space(&mut self) -> &mut [u8] {
        let most = self.most();
        // What was there before is kept for `sync`, unless a long frame wants the room: that
        // reaches no farther back then.
        let long = self.filled.saturating_sub(self.start) > most / 2;
        let by = self.start.saturating_sub(if long { 0 } else { Self::SYNC_BYTES });
        // It moves when it has become as much again, not with each small request.
        if by > Self::SYNC_BYTES || by > 0 && (long || self.filled >= most) {
            shift_down(&mut self.buffer, by, self.filled);
            self.start = self.start.saturating_sub(by);
            self.scanned = self.scanned.saturating_sub(by);
            self.filled = self.filled.saturating_sub(by);
            self.wiped = self.wiped.saturating_sub(by);
            self.lexer.start = self.lexer.start.saturating_sub(by);
        }
        self.room()
    }

    /// As [`Framer::space`], but nothing is moved, so that there may be none.
    pub fn room(&mut self) -> &mut [u8] {
        let most = self.most();
        self.buffer.get_mut(self.filled..most).unwrap_or(&mut [])
    }

    /// Whether from now on a frame may have [`FRAME_KEEP_BYTES`] at most. Of the buffer no more is
    /// used then.
    pub fn limit(&mut self, tight: bool) {
        self.tight = tight;
    }

    /// Longest frame now.
    fn most(&self) -> usize {
        if self.tight { N.min(FRAME_KEEP_BYTES) } else { N }
    }

    /// Takes over the first `len` bytes of [`Framer::space`].
    pub fn received(&mut self, len: usize) {
        self.filled = (self.filled + len).min(N);
        self.touched = self.touched.max(self.filled);
        self.used = self.used.max(self.filled);
    }

    /// Forgets everything received: the channel has a new client.
    pub fn reset(&mut self) {
        self.start = self.filled;
        self.scanned = self.filled;
        self.state = FramerState::Collect;
        self.lexer.reset();
        self.unbalance();
    }

    /// The frame found last was no good: brackets too many at its end get no answer of their own.
    pub fn refused(&mut self) {
        self.state = FramerState::Refused;
    }

    /// Makes everything zero that was answered or dropped; what waits to be answered stays, and is
    /// not moved: of many small requests each would move all that wait.
    pub fn wipe(&mut self) {
        let (start, filled) = (self.start, self.filled);
        let before = core::mem::replace(&mut self.wiped, start)..start;
        // Beyond what waits lies what was there before it moved down.
        let beyond = filled..core::mem::replace(&mut self.used, filled);
        crate::bulk::wipe(self.part(before));
        crate::bulk::wipe(self.part(beyond));
    }

    /// What [`Scan::Sync`] has just shown is a guest-sync: it comes as a frame next, after the
    /// fault of the request that it stands in, if that has not been said yet.
    pub fn resume(&mut self) {
        let said = self.is_dropping();
        self.scanned = self.found;
        self.drop_partial();
        if !said {
            self.state = FramerState::Unsaid;
        }
    }

    /// Whether what comes belongs to a request that is refused already.
    fn is_dropping(&self) -> bool {
        self.state >= FramerState::Swallow
    }

    /// Whether no byte waits to be scanned or completed.
    pub fn is_empty(&self) -> bool {
        self.start == self.filled
    }

    /// Where in the buffer stands what [`Framer::scan`] has just found. It stays there until
    /// [`Framer::space`] or [`Framer::wipe`] is asked for.
    pub fn place(&self) -> Range<usize> {
        self.found..self.scanned
    }

    /// A part of the buffer.
    #[inline(never)]
    pub fn part(&mut self, range: Range<usize>) -> &mut [u8] {
        self.buffer.get_mut(range).unwrap_or(&mut [])
    }

    /// The buffer beyond the first [`FRAME_KEEP_BYTES`], when it was written to and no request is
    /// in it. The caller may give its memory back to the system; its content does not matter. All
    /// of it: a part cut at what was written to ends inside a page, which whoever gives back whole
    /// pages would keep.
    pub fn reclaim(&mut self) -> Option<&mut [u8]> {
        if !self.is_empty() || self.touched <= FRAME_KEEP_BYTES {
            return None;
        }
        self.space();
        self.touched = FRAME_KEEP_BYTES;
        self.buffer.get_mut(FRAME_KEEP_BYTES..)
    }

    #[inline(never)]
    fn drop_partial(&mut self) {
        self.start = self.scanned;
        self.state = FramerState::Collect;
        self.unbalance();
    }

    fn unbalance(&mut self) {
        self.in_frame = false;
        self.in_id = false;
        self.braces = 0;
        self.brackets = 0;
    }

    /// The error that a fault is answered with.
    pub fn error(&self, fault: Fault) -> Error<'_> {
        match fault {
            Fault::Stray => Error::JsonStray(self.buffer.get(self.place()).unwrap_or(&[])),
            Fault::TooDeep => Error::too_deep(),
            Fault::Unfinished => Error::Json(text!("unfinished before a guest-sync")),
            Fault::TooLong => {
                let unit = if self.tight { text!("bytes while frozen") } else { text!("bytes") };
                Error::Limit(text!("request size"), self.most(), unit)
            }
        }
    }
}

impl<const N: usize> Default for Framer<N> {
    fn default() -> Self {
        Framer::new()
    }
}
