//! Replies of any length: a function that writes one piece at each call, and a cursor that says
//! where it stands. Nothing is rewound, tried again or left out, whatever the size of a list, of
//! its elements and of the window.

use super::Stream;
use crate::errno::Errno;
use crate::json::text::{shown, utf8};
use crate::limits::{LIST_BEGUN_MAX, PIECE_BYTES_MAX};
use crate::platform::Platform;
use crate::state::State;
use crate::text::Text;
use crate::writer::Writer;

/// Writes the next piece of a reply where the cursor stands and moves that; `false` when there is
/// no more. [`PIECE_BYTES_MAX`] are free. Errors: as [`Failed`].
pub type Piece<P> = fn(&mut P, &mut State<P>, &mut Cursor, &mut Writer<'_>) -> Result<bool, Failed>;

/// What failed, and why, before anything of the reply has left the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failed(pub Text, pub Errno);

/// Where a reply goes on. All zero at its beginning.
pub struct Cursor {
    /// Which part of the reply, or of the present element, is due; the command numbers them.
    pub part: u8,
    /// Which element of the outer list is due.
    pub outer: usize,
    /// Which element of a list inside that element is due.
    pub inner: usize,
    /// What is read.
    pub handle: i64,
    /// The bytes of it, read, encoded and written.
    pub stream: Stream,
    /// Whether the next element stands after another one.
    comma: bool,
    /// How often a list was begun anew, because it had changed.
    begun: u8,
    /// How much of a text is written.
    text: usize,
}

/// Room for what one character becomes: a pair of surrogates, escaped.
const CHARACTER_BYTES_MAX: usize = 12;
const _: () = assert!(PIECE_BYTES_MAX > CHARACTER_BYTES_MAX + 2);

impl Cursor {
    /// At the beginning.
    pub const fn new() -> Self {
        let stream = Stream::new();
        Cursor { part: 0, outer: 0, inner: 0, handle: 0, stream, comma: false, begun: 0, text: 0 }
    }

    /// Whether a list that changed while it was read may be begun anew: not for ever.
    pub fn begins_again(&mut self) -> bool {
        self.begun = self.begun.saturating_add(1);
        self.begun <= LIST_BEGUN_MAX
    }

    /// Begins a list, or an object.
    pub fn open(&mut self, bracket: &str, out: &mut Writer<'_>) {
        out.ascii(bracket);
        self.comma = false;
    }

    /// Comes before each element of it, or member.
    pub fn element(&mut self, out: &mut Writer<'_>) {
        if core::mem::replace(&mut self.comma, true) {
            out.ascii(", ");
        }
    }

    /// Ends it: it is an element of what it stands in.
    pub fn close(&mut self, bracket: &str, out: &mut Writer<'_>) {
        out.ascii(bracket);
        self.comma = true;
    }

    /// Writes as much of a string as fits. `true` when all of it is written, quotes included; else
    /// the next piece calls it again with the same text.
    pub fn string(&mut self, text: &[u8], out: &mut Writer<'_>) -> bool {
        if self.text == 0 {
            if out.free().len() <= CHARACTER_BYTES_MAX + 1 {
                return false;
            }
            out.ascii("\"");
        }
        while let Some(rest) = text.get(self.text..).filter(|rest| !rest.is_empty()) {
            if out.free().len() <= CHARACTER_BYTES_MAX {
                return false;
            }
            let (code, len) = utf8(rest);
            out.character(shown(code));
            self.text += len;
        }
        out.ascii("\"");
        self.text = 0;
        true
    }
}

impl Default for Cursor {
    fn default() -> Self {
        Cursor::new()
    }
}

/// Writes pieces while there is room for one. `true` when all are written. Errors: as [`Failed`],
/// and EOVERFLOW when a piece was larger than it may be.
pub fn fill<P: Platform>(
    piece: Piece<P>,
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    while out.free().len() >= PIECE_BYTES_MAX {
        let more = piece(platform, state, cursor, out)?;
        if out.is_full() {
            return Err(Failed(text!("failed to write the reply"), Errno::OVERFLOW));
        }
        if !more {
            return Ok(true);
        }
    }
    Ok(false)
}
