//! Bytes from the channel in, whole requests (frames) out: one JSON text each, cut where its brackets
//! balance, not at newlines, because several clients send none.
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
//!   control character itself was the offence (a line that was cut short), a next line that begins with
//!   `{` is a new request, any other is skipped as well;
//! * a request over a limit is swallowed to its end in constant memory;
//! * what is wrong inside a balanced text is found by [`crate::json::check`]; closing brackets that
//!   follow it are part of it ([`Framer::refused`]).
//!
//! 0xFF drops whatever is partial and resets the reader, without a reply (QGA schema, guest-sync).

use crate::error::Error;
use crate::json::lexer::{Found, Lexer, Token};
use crate::json::text::put;
use crate::limits::{DEPTH_MAX, FRAME_KEEP_BYTES};
use core::ops::Range;

/// What the framer found in the bytes received so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scan {
    /// Nothing whole; more bytes are needed.
    More,
    /// A whole JSON text, at this place in the buffer.
    Frame(Range<usize>),
    /// A malformed request.
    Bad(Fault),
}

/// Why a request was refused before it was whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// These bytes of the buffer are no token.
    Stray(Range<usize>),
    /// More nesting than [`DEPTH_MAX`].
    TooDeep,
    /// More bytes than the buffer holds.
    TooLong,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mode {
    /// Collecting a frame, or waiting for one.
    Collect = 0,
    /// Following a refused request to its end, dropping it.
    Swallow,
    /// Skipping to the end of a line.
    SkipLine,
    /// At the beginning of a line behind one that was cut short.
    LineStart,
    /// Behind a refused frame: closing brackets that nothing opened are still part of it.
    Refused,
}

/// The reader of the channel. All zero when new, so that a static one takes no place in a file. The buffer
/// stands last so that the other fields are near: that makes shorter instructions.
#[repr(C)]
pub struct Framer<const N: usize> {
    lexer: Lexer,
    mode: Mode,
    /// Whether the frame's first token has been seen.
    in_frame: bool,
    braces: i32,
    brackets: i32,
    start: usize,
    scanned: usize,
    filled: usize,
    /// How much of the buffer has been written to since it was last given back.
    touched: usize,
    buffer: [u8; N],
}

impl<const N: usize> Framer<N> {
    /// A framer that has received nothing.
    pub const fn new() -> Self {
        Framer {
            lexer: Lexer::new(),
            mode: Mode::Collect,
            in_frame: false,
            braces: 0,
            brackets: 0,
            start: 0,
            scanned: 0,
            filled: 0,
            touched: 0,
            buffer: [0; N],
        }
    }

    /// Where the next bytes go; never empty once [`Framer::scan`] has said [`Scan::More`].
    #[inline(never)]
    pub fn space(&mut self) -> &mut [u8] {
        if self.start > 0 {
            shift_down(&mut self.buffer, self.start, self.filled);
            self.scanned = self.scanned.saturating_sub(self.start);
            self.filled = self.filled.saturating_sub(self.start);
            self.lexer.start = self.lexer.start.saturating_sub(self.start);
            self.start = 0;
        }
        self.buffer.get_mut(self.filled..).unwrap_or(&mut [])
    }

    /// Takes over the first `len` bytes of [`Framer::space`].
    pub fn received(&mut self, len: usize) {
        self.filled = (self.filled + len).min(N);
        self.touched = self.touched.max(self.filled);
    }

    /// Forgets everything received: the channel has a new client.
    pub fn reset(&mut self) {
        self.start = self.filled;
        self.scanned = self.filled;
        self.mode = Mode::Collect;
        self.lexer.reset();
        self.unbalance();
    }

    /// The frame found last was no good: brackets too many at its end get no answer of their own.
    pub fn refused(&mut self) {
        self.mode = Mode::Refused;
    }

    /// Makes everything zero that was answered or dropped; what waits to be answered stays.
    pub fn wipe(&mut self) {
        let touched = self.touched;
        // What waits moves to the beginning, so what is left of it is the rest.
        self.space();
        let rest = self.buffer.get_mut(self.filled..touched).unwrap_or(&mut []);
        rest.fill(0);
        // Nobody reads it any more, so the compiler might leave the writing out.
        core::hint::black_box(rest);
    }

    /// Whether no byte waits to be scanned or completed.
    pub fn is_empty(&self) -> bool {
        self.start == self.filled
    }

    /// A part of the buffer, for instance the frame just found. It stays in place until
    /// [`Framer::space`] is asked for.
    #[inline(never)]
    pub fn part(&mut self, range: Range<usize>) -> &mut [u8] {
        self.buffer.get_mut(range).unwrap_or(&mut [])
    }

    /// The buffer beyond the first [`FRAME_KEEP_BYTES`], when it was written to and holds nothing any more. The
    /// caller may give its memory back to the system; its content does not matter. All of it: a part cut at what
    /// was written to ends inside a page, which whoever gives back whole pages would keep.
    pub fn reclaim(&mut self) -> Option<&mut [u8]> {
        if !self.is_empty() || self.touched <= FRAME_KEEP_BYTES {
            return None;
        }
        self.touched = FRAME_KEEP_BYTES;
        self.start = 0;
        self.scanned = 0;
        self.filled = 0;
        self.buffer.get_mut(FRAME_KEEP_BYTES..)
    }

    /// Looks for the next whole frame in what was received.
    #[inline(never)]
    pub fn scan(&mut self) -> Scan {
        loop {
            if let Mode::SkipLine | Mode::LineStart = self.mode {
                self.skip();
            }
            let filled = self.filled.min(N);
            let bytes = self.buffer.get(..filled).unwrap_or(&[]);
            match self.lexer.next(bytes, &mut self.scanned) {
                Found::End => return self.ran_out(),
                Found::Sentinel => self.drop_partial(),
                Found::Stray => {
                    if let Some(bad) = self.stray() {
                        return bad;
                    }
                }
                Found::Token(token) => {
                    if let Some(found) = self.token(token) {
                        return found;
                    }
                }
            }
        }
    }

    fn token(&mut self, token: Token) -> Option<Scan> {
        let close = matches!(token, Token::ObjectClose | Token::ArrayClose);
        if self.mode == Mode::Refused && !self.in_frame && close {
            self.start = self.scanned;
            return None;
        }
        if !core::mem::replace(&mut self.in_frame, true) {
            self.start = self.lexer.start;
        }
        match token {
            Token::ObjectOpen => self.braces += 1,
            Token::ObjectClose => self.braces -= 1,
            Token::ArrayOpen => self.brackets += 1,
            Token::ArrayClose => self.brackets -= 1,
            _ => {}
        }
        let open = self.braces >= 0 && self.brackets >= 0 && self.braces + self.brackets > 0;
        if open {
            let too_deep = self.braces + self.brackets > DEPTH_MAX as i32;
            if too_deep && self.mode != Mode::Swallow {
                self.mode = Mode::Swallow;
                return Some(Scan::Bad(Fault::TooDeep));
            }
            return None;
        }
        let frame = self.start..self.scanned;
        let swallowed = self.mode == Mode::Swallow;
        self.drop_partial();
        if swallowed {
            self.refused();
            return None;
        }
        Some(Scan::Frame(frame))
    }

    fn stray(&mut self) -> Option<Scan> {
        let bad = self.lexer.start..self.scanned;
        let offence = self.scanned.checked_sub(1).and_then(|last| self.buffer.get(last).copied());
        let swallowed = self.mode == Mode::Swallow;
        self.drop_partial();
        self.mode = if offence.is_some_and(ends_line) { Mode::LineStart } else { Mode::SkipLine };
        if swallowed { None } else { Some(Scan::Bad(Fault::Stray(bad))) }
    }

    /// The bytes are used up before the frame is whole.
    fn ran_out(&mut self) -> Scan {
        if self.mode == Mode::Swallow || !(self.in_frame || self.lexer.inside()) {
            self.start = self.filled;
            self.lexer.start = self.filled;
        } else if !self.in_frame {
            self.start = self.lexer.start;
        }
        if self.start == 0 && self.filled >= N {
            self.mode = Mode::Swallow;
            self.start = self.filled;
            self.lexer.start = self.filled;
            return Scan::Bad(Fault::TooLong);
        }
        Scan::More
    }

    /// Skips to where a new request can begin, or to the end of what was received.
    fn skip(&mut self) {
        while let Some(&byte) = self.buffer.get(self.scanned..self.filled).and_then(<[u8]>::first) {
            match (self.mode, byte) {
                (_, 0xFF) | (Mode::LineStart, b'{') => {
                    self.mode = Mode::Collect;
                    return;
                }
                (Mode::LineStart, b' ' | b'\t') => {}
                (Mode::LineStart, byte) if ends_line(byte) => {}
                (_, byte) if ends_line(byte) => {
                    self.scanned += 1;
                    self.mode = Mode::Collect;
                    return;
                }
                _ => self.mode = Mode::SkipLine,
            }
            self.scanned += 1;
        }
    }

    fn drop_partial(&mut self) {
        self.start = self.scanned;
        self.mode = Mode::Collect;
        self.unbalance();
    }

    fn unbalance(&mut self) {
        self.in_frame = false;
        self.braces = 0;
        self.brackets = 0;
    }

    /// The error that a fault is answered with.
    pub fn error(&self, fault: Fault) -> Error<'_> {
        match fault {
            Fault::Stray(bytes) => Error::JsonStray(self.buffer.get(bytes).unwrap_or(&[])),
            Fault::TooDeep => Error::TOO_DEEP,
            Fault::TooLong => Error::Limit("request size", N, "bytes"),
        }
    }
}

impl<const N: usize> Default for Framer<N> {
    fn default() -> Self {
        Framer::new()
    }
}

/// Moves the bytes of `buffer` from `start` to `end` to its beginning, block by block.
pub(crate) fn shift_down(buffer: &mut [u8], start: usize, end: usize) {
    const BLOCK: usize = 64;
    let (mut read, mut write) = (start, 0);
    while read < end {
        let rest = buffer.get(read..).unwrap_or(&[]);
        let Some(&block) = rest.first_chunk::<BLOCK>() else {
            let byte = rest.first().copied().unwrap_or(0);
            put(buffer, &mut write, u32::from(byte));
            read += 1;
            continue;
        };
        if let Some(place) = buffer.get_mut(write..).and_then(|rest| rest.first_chunk_mut()) {
            *place = block;
        }
        read += BLOCK;
        write += BLOCK;
    }
}

/// Control characters end a line; a tab does not.
fn ends_line(byte: u8) -> bool {
    byte < 0x20 && byte != b'\t'
}
