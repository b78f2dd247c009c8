//! The request's `id`, repeated after each body straight out of the frame, which stays in place
//! until then.

use crate::json::text::written;
use crate::writer::Writer;
use core::ops::Range;

/// The request's `id` on its way from the frame into the response: decoded and escaped anew, so
/// that any JSON value comes back as QEMU would print it, but numbers exactly as they were written.
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
            let (code, len) = written(text);
            out.character(code);
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
