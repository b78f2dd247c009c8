//! Elements of a list that a copy of the agent makes: what a command writes goes in, whole
//! elements, each followed by its length, go where the agent will read them.

use crate::errno::Errno;
use crate::error::{Error, Raised};
use crate::limits::{MADE_BYTES_MAX, PIECE_BYTES_MAX};
use crate::platform::Tasks;
use crate::response::Cursor;
use crate::task::NOT_A_RISK;
use crate::writer::Writer;

/// Where the copy writes elements.
pub struct Elements<'b> {
    /// The end of the present one, which is not written down yet: room for a piece after
    /// [`Elements::make_room`].
    pub out: Writer<'b>,
    /// How many bytes of it are.
    element_bytes: u32,
    made_bytes: u64,
    failed: Option<Errno>,
}

impl<'b> Elements<'b> {
    /// None, through a buffer of [`crate::limits::ELEMENTS_BYTES`].
    pub fn new(buffer: &'b mut [u8]) -> Self {
        Elements { out: Writer::new(buffer), element_bytes: 0, made_bytes: 0, failed: None }
    }

    /// Writes down what there is of the element unless there is room for a piece.
    #[inline(never)]
    pub fn make_room<P: Tasks>(&mut self, platform: &mut P) {
        if self.out.free().len() < PIECE_BYTES_MAX {
            self.write_down(platform);
        }
    }

    /// Writes down what there is of the element: there is room for two pieces then.
    pub fn write_down<P: Tasks>(&mut self, platform: &mut P) {
        if self.out.is_full() {
            self.failed = Some(Errno::OVERFLOW);
        }
        let bytes = self.out.written();
        self.element_bytes = self.element_bytes.saturating_add(bytes.len() as u32);
        // What never ends, because somebody made a file that never does, takes no more memory.
        let failed = if u64::from(self.element_bytes) > MADE_BYTES_MAX {
            Some(Errno::FBIG)
        } else {
            platform.put_made(bytes).err().map(no_room)
        };
        self.failed = self.failed.or(failed);
        self.out.rewind(0);
    }

    /// What is written is all that there will be; no length follows it. Errors: it could not be
    /// written down.
    pub fn written<P: Tasks>(&mut self, platform: &mut P) -> Result<(), Errno> {
        self.write_down(platform);
        self.failed.map_or(Ok(()), Err)
    }

    /// Why something could not be written down.
    pub fn failed(&self) -> Option<Errno> {
        self.failed
    }

    /// Something is wrong: that, as an error words it, is the last element. What does not fit is
    /// cut off.
    #[inline(never)]
    pub fn refuse<P: Tasks>(&mut self, platform: &mut P, error: &Error<'_>) -> Raised {
        self.out.rewind(0);
        (self.element_bytes, self.failed) = (0, None);
        error.describe(&mut self.out);
        self.out.cut();
        self.failed = self.end(platform).err();
        Raised
    }

    /// A string of any length.
    pub fn string<P: Tasks>(&mut self, platform: &mut P, text: &[u8]) {
        let mut cursor = Cursor::new();
        self.make_room(platform);
        while !cursor.string(text, &mut self.out) {
            self.make_room(platform);
        }
    }

    /// The element is whole. Errors: it could not be written down; EFBIG when there may not be any
    /// more of them.
    #[inline(never)]
    pub fn end<P: Tasks>(&mut self, platform: &mut P) -> Result<(), Errno> {
        self.write_down(platform);
        let length = core::mem::take(&mut self.element_bytes);
        self.made_bytes += u64::from(length);
        // What comes next is another matter than what hung last, if anything did.
        platform.put_about(NOT_A_RISK | self.made_bytes);
        platform.put_made(&length.to_ne_bytes()).map_err(no_room)?;
        let full = (self.made_bytes > MADE_BYTES_MAX).then_some(Errno::FBIG);
        self.failed.or(full).map_or(Ok(()), Err)
    }
}

/// Memory may be limited as files are (EFBIG of RLIMIT_FSIZE), in the middle of an element; here
/// EFBIG says that the elements are whole.
fn no_room(errno: Errno) -> Errno {
    if errno == Errno::FBIG { Errno::NOSPC } else { errno }
}
