//! Text in, bytes out, into the free part of a fixed buffer; JSON's strings as QEMU writes them,
//! ASCII only.
//!
//! A [`Writer`] that runs out of room says so once, at the end ([`Writer::is_full`]); what it holds
//! then is never sent.

use crate::json::text::{shown, utf8};
use crate::limits::SUBJECT_BYTES_MAX;
use crate::text::{Phrase, Text};

/// Writes into a buffer from its start on.
pub struct Writer<'w> {
    bytes: &'w mut [u8],
    len: usize,
    full: bool,
}

impl<'w> Writer<'w> {
    /// A writer into `bytes`.
    #[inline(never)]
    pub fn new(bytes: &'w mut [u8]) -> Self {
        Writer { bytes, len: 0, full: false }
    }

    /// A writer into `bytes` after the first `len`, which are written already.
    #[inline(never)]
    pub fn after(bytes: &'w mut [u8], len: usize) -> Self {
        let len = len.min(bytes.len());
        Writer { bytes, len, full: false }
    }

    /// Whether something did not fit.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// How many bytes are written.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is written.
    #[inline(never)]
    pub fn written(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Takes back what was written after the first `len` bytes; there is room again.
    pub fn rewind(&mut self, len: usize) {
        self.take_back(len);
        self.full = false;
    }

    /// Takes back what was written after the first `len` bytes; what did not fit did not all the
    /// same.
    pub fn take_back(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// What did not fit is not missed.
    pub fn cut(&mut self) {
        self.full = false;
    }

    /// The free part; [`Writer::advance`] by what was put there.
    #[inline(never)]
    pub fn free(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.len..).unwrap_or(&mut [])
    }

    /// Takes over the first `len` bytes of the free part.
    pub fn advance(&mut self, len: usize) {
        self.len = (self.len + len).min(self.bytes.len());
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        match self.free().get_mut(..bytes.len()) {
            Some(free) => {
                free.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.full = true,
        }
    }

    /// Text that needs no escapes, as it is.
    pub fn ascii(&mut self, text: &str) {
        self.raw(text.as_bytes());
    }

    /// Phrase of the agent's own. None of their characters needs an escape.
    #[inline(never)]
    pub fn phrase(&mut self, phrase: Phrase) {
        for character in phrase.characters() {
            self.raw(core::slice::from_ref(&character));
        }
    }

    /// One of the core's texts.
    #[inline(never)]
    pub fn say(&mut self, text: Text) {
        self.phrase(text.phrase());
    }

    /// The inside of a JSON string: everything but printable ASCII escaped, invalid UTF-8 as
    /// U+FFFD.
    pub fn text(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (code, len) = utf8(bytes);
            self.character(shown(code));
            bytes = bytes.get(len..).unwrap_or(&[]);
        }
    }

    /// Foreign text inside an error: as [`Writer::text`], cut where it is longer than an error can
    /// show.
    pub fn subject(&mut self, bytes: &[u8]) {
        match bytes.get(..SUBJECT_BYTES_MAX) {
            Some(shown) if bytes.len() > SUBJECT_BYTES_MAX => {
                self.text(shown);
                self.ascii("...");
            }
            _ => self.text(bytes),
        }
    }

    /// One character of a JSON string, as QEMU escapes it.
    pub fn character(&mut self, code: u32) {
        let short = match code {
            0x08 => b'b',
            0x0C => b'f',
            0x0A => b'n',
            0x0D => b'r',
            0x09 => b't',
            0x22 | 0x5C => code as u8,
            0x20..=0x7E => return self.raw(&[code as u8]),
            0x1_0000.. => {
                let above = code - 0x1_0000;
                self.unit(0xD800 + (above >> 10 & 0x3FF) as u16);
                return self.unit(0xDC00 + (above & 0x3FF) as u16);
            }
            _ => return self.unit(code as u16),
        };
        self.raw(&[b'\\', short]);
    }

    fn unit(&mut self, unit: u16) {
        let hex = |shift: u32| {
            let digit = (unit >> shift & 0xF) as u8;
            digit + if digit < 10 { b'0' } else { b'A' - 10 }
        };
        self.raw(&[b'\\', b'u', hex(12), hex(8), hex(4), hex(0)]);
    }

    /// A number in decimal.
    pub fn integer(&mut self, number: i64) {
        if number < 0 {
            self.ascii("-");
        }
        self.unsigned(number.unsigned_abs());
    }

    /// A non-negative number in decimal.
    pub fn unsigned(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut used = 0;
        for slot in digits.iter_mut().rev() {
            *slot = b'0' + (number % 10) as u8;
            number /= 10;
            used += 1;
            if number == 0 {
                break;
            }
        }
        self.raw(digits.get(digits.len() - used..).unwrap_or(&[]));
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.ascii(if value { "true" } else { "false" });
    }

    /// A JSON string, quotes included.
    pub fn string(&mut self, text: &[u8]) {
        self.ascii("\"");
        self.text(text);
        self.ascii("\"");
    }
}
