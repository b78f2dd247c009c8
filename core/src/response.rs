//! Responses on their way out: what a command answers becomes text in the window, a window at a time.
//!
//! Three shapes: a *value* is written whole; *rows* are written element by element; *bytes* are base64 of
//! a file, chunk by chunk. A 48 MiB guest-file-read takes the memory of a ping. After each body the
//! request's `id` is repeated, straight out of the frame, which stays in place until then.
//!
//! Commit rule: a response commits when its first byte leaves the window. Until then an error takes its place;
//! afterwards bytes end early with the true `count`, which is a legal short read.

use crate::base64;
use crate::command::State;
use crate::errno::Errno;
use crate::error::Error;
use crate::json::text::{escape, utf8};
use crate::json::write::Writer;
use crate::platform::Platform;
use core::ops::Range;

/// How every reply but an error begins; it is in the window before a command runs.
pub const RETURN: &str = "{\"return\": ";

/// The bytes that wait for the channel.
///
/// ```text
///  | sent |  pending  |    free    |
///  0     sent        len           N
/// ```
#[repr(C)]
pub struct Window<const N: usize> {
    sent: usize,
    len: usize,
    bytes: [u8; N],
}

impl<const N: usize> Window<N> {
    /// An empty window.
    pub const fn new() -> Self {
        Window { sent: 0, len: 0, bytes: [0; N] }
    }

    /// What the channel must take.
    pub fn pending(&self) -> &[u8] {
        self.bytes.get(self.sent..self.len).unwrap_or(&[])
    }

    /// The channel took the first `len` bytes of it.
    #[inline(never)]
    pub fn sent(&mut self, len: usize) {
        self.sent = (self.sent + len).min(self.len);
        if self.sent == self.len {
            self.clear();
        }
    }

    /// Drops what is pending.
    pub fn clear(&mut self) {
        self.sent = 0;
        self.len = 0;
    }

    /// Makes zero what the channel took.
    pub fn wipe(&mut self) {
        crate::bulk::wipe(&mut self.bytes);
    }

    /// A writer after what is pending. [`Window::keep`] what it wrote.
    pub fn writer(&mut self) -> Writer<'_> {
        Writer::after(&mut self.bytes, self.len)
    }

    /// Takes over what a writer wrote, up to its length.
    pub fn keep(&mut self, len: usize) {
        self.len = len.min(N);
    }
}

impl<const N: usize> Default for Window<N> {
    fn default() -> Self {
        Window::new()
    }
}

/// What is still to be written of a response. Zero is nothing.
pub enum Body<P: Platform> {
    /// Nothing; the value is in the window.
    Done,
    /// Elements of a list.
    Rows(Rows<P>),
    /// Bytes of a file.
    Bytes(Bytes<P>),
}

/// Writes one element after the cursor and moves that; `false` at the end.
pub type NextRow<P> = fn(&mut P, &State<P>, &mut usize, &mut Writer<'_>) -> bool;

/// What a list is made of.
pub struct List<P: Platform> {
    /// What stands before it.
    pub head: &'static str,
    /// What stands after it.
    pub tail: &'static str,
    /// Writes an element.
    pub next: NextRow<P>,
}

/// A list being written.
pub struct Rows<P: Platform> {
    list: &'static List<P>,
    /// Where it goes on; 0 is its beginning.
    cursor: usize,
    begun: bool,
}

/// The least room that is worth a call into the platform.
const CHUNK_BYTES_MIN: usize = 1024;
/// Room for what stands after the bytes.
const TAIL_BYTES: usize = 64;

/// Reads the next bytes of what a handle stands for.
pub type ReadBytes<P> = fn(&mut P, &mut State<P>, i64, &mut [u8]) -> Result<usize, Errno>;

/// Bytes being read, encoded and written.
pub struct Bytes<P: Platform> {
    read: ReadBytes<P>,
    handle: i64,
    /// How many bytes the client still wants.
    left: u64,
    /// How many were read.
    count: u64,
    /// Whether the reading came to the end.
    eof: bool,
    begun: bool,
    ended: bool,
    /// Bytes read that do not fill a base64 quantum yet.
    carry: [u8; 2],
    carried: usize,
}

impl<P: Platform> Bytes<P> {
    /// Up to `count` bytes of `handle`, by `read`.
    pub fn new(read: ReadBytes<P>, handle: i64, count: u64) -> Self {
        let (begun, ended, eof) = (false, count == 0, false);
        Bytes { read, handle, left: count, count: 0, eof, begun, ended, carry: [0; 2], carried: 0 }
    }

    /// Writes as much as fits. `true` when all is written. Errors: nothing could be read at all.
    pub fn fill(
        &mut self,
        platform: &mut P,
        state: &mut State<P>,
        out: &mut Writer<'_>,
    ) -> Result<bool, Errno> {
        if !core::mem::replace(&mut self.begun, true) {
            out.ascii("{\"buf-b64\": \"");
        }
        while !self.ended {
            if out.free().len() < CHUNK_BYTES_MIN {
                return Ok(false);
            }
            self.chunk(platform, state, out)?;
        }
        if out.free().len() < TAIL_BYTES {
            return Ok(false);
        }
        out.ascii("\", \"count\": ");
        out.unsigned(self.count);
        out.ascii(if self.eof { ", \"eof\": true}" } else { ", \"eof\": false}" });
        Ok(true)
    }

    /// One read, into the tail of the free part, encoded into its beginning.
    #[inline(never)]
    fn chunk(
        &mut self,
        platform: &mut P,
        state: &mut State<P>,
        out: &mut Writer<'_>,
    ) -> Result<(), Errno> {
        let free = out.free();
        let start = free.len() - base64::raw_room(free.len()).min(free.len());
        let carried = start + self.carried;
        for (slot, &byte) in free.iter_mut().skip(start).zip(self.carry.iter().take(self.carried)) {
            *slot = byte;
        }
        let into = free.get_mut(carried..).unwrap_or(&mut []);
        let want = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let len = match (self.read)(
            platform,
            state,
            self.handle,
            into.get_mut(..want).unwrap_or(&mut []),
        ) {
            Ok(len) => {
                self.eof = len == 0;
                len.min(want)
            }
            Err(errno) if self.count == 0 => return Err(errno),
            // Committed or not, what was read is the client's; the next call meets the error again.
            Err(_) => 0,
        };
        self.left = self.left.saturating_sub(len as u64);
        self.count += len as u64;
        self.ended = len == 0 || self.left == 0;
        let end = carried + len;
        let rest = if self.ended { 0 } else { (end - start) % 3 };
        self.carried = rest;
        for (slot, &byte) in self.carry.iter_mut().zip(free.iter().skip(end - rest)) {
            *slot = byte;
        }
        let text = base64::encode_in_place(free, start..end - rest);
        out.advance(text);
        Ok(())
    }
}

impl<P: Platform> Rows<P> {
    /// The list from its beginning.
    pub fn new(list: &'static List<P>) -> Self {
        Rows { list, cursor: 0, begun: false }
    }

    /// Writes as many elements as fit. `true` when all are written.
    pub fn fill(&mut self, platform: &mut P, state: &State<P>, out: &mut Writer<'_>) -> bool {
        if !core::mem::replace(&mut self.begun, true) {
            out.ascii(self.list.head);
            out.ascii("[");
        }
        loop {
            let (kept, mut cursor) = (out.len(), self.cursor);
            if cursor > 0 {
                out.ascii(", ");
            }
            let more = (self.list.next)(platform, state, &mut cursor, out);
            if !more {
                out.rewind(kept);
                out.ascii("]");
                out.ascii(self.list.tail);
            }
            if out.is_full() {
                out.rewind(kept);
                // An element that fits no window at all is left out rather than tried for ever.
                if kept == 0 {
                    self.cursor = cursor;
                }
                return false;
            }
            if !more {
                return true;
            }
            self.cursor = cursor;
        }
    }
}

/// The request's `id` on its way from the frame into the response: decoded and escaped anew, so that any
/// JSON value comes back as QEMU would print it, but numbers exactly as they were written.
pub struct Echo {
    /// What is left, as a place in the frame.
    rest: Range<usize>,
    begun: bool,
    /// The quote of the string that it is inside of, or 0.
    quote: u8,
}

impl Echo {
    /// The echo of the value at `id`, or of nothing when that is empty.
    pub fn new(id: Range<usize>) -> Self {
        Echo { begun: id.is_empty(), rest: id, quote: 0 }
    }

    /// Writes as much as fits, then the end of the response. `true` when all is written.
    pub fn fill(&mut self, frame: &[u8], out: &mut Writer<'_>) -> bool {
        // The longest step is an escaped pair of surrogates.
        const STEP_BYTES_MAX: usize = 16;
        if !self.begun {
            if out.free().len() < STEP_BYTES_MAX {
                return false;
            }
            out.ascii(", \"id\": ");
            self.begun = true;
        }
        while let Some(text) = frame.get(self.rest.clone()).filter(|text| !text.is_empty()) {
            if out.free().len() < STEP_BYTES_MAX {
                return false;
            }
            self.rest.start += self.step(text, out);
        }
        if out.free().len() < STEP_BYTES_MAX {
            return false;
        }
        out.ascii("}\n");
        true
    }

    fn step(&mut self, text: &[u8], out: &mut Writer<'_>) -> usize {
        let first = text.first().copied().unwrap_or(0);
        if self.quote != 0 {
            if first == self.quote {
                self.quote = 0;
                out.ascii("\"");
                return 1;
            }
            let (code, len) = match first {
                b'\\' => escape(text).map_or((None, 1), |(code, len)| (Some(code), len)),
                _ => utf8(text),
            };
            out.character(code.unwrap_or(0xFFFD));
            return len;
        }
        match first {
            b'"' | b'\'' => {
                self.quote = first;
                out.ascii("\"");
            }
            b',' => out.ascii(", "),
            b':' => out.ascii(": "),
            b' ' | b'\t' | b'\r' | b'\n' => {}
            other => out.raw(&[other]),
        }
        1
    }
}

/// The error reply up to where the `id` goes.
pub fn describe(error: &Error<'_>, out: &mut Writer<'_>) {
    out.ascii("{\"error\": {\"class\": \"");
    out.ascii(error.class());
    out.ascii("\", \"desc\": \"");
    error.describe(out);
    out.ascii("\"}");
}
