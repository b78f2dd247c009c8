//! Where an error waits: put down where it is found, taken up when the response is begun.

use super::Error;
use crate::text::Text;
use core::cell::Cell;
use core::fmt::Display;

/// Where an error is put down until the response is begun. Errors are large; carrying one up
/// through every layer as the result of each call takes more code than all commands together
/// (docs/decisions.md, "Errors"), so the layers above a command only say [`Raised`].
pub struct Slot<'a>(Cell<Error<'a>>);

/// An error was found and put down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raised;

impl<'a> Slot<'a> {
    /// A slot with nothing found yet.
    pub fn new() -> Self {
        Slot(Cell::new(Error::Text(Text::NONE)))
    }

    /// Puts an error down.
    #[cold]
    #[inline(never)]
    pub fn raise(&self, error: &Error<'a>) -> Raised {
        self.0.set(*error);
        Raised
    }

    /// Whether nothing was put down.
    pub fn is_empty(&self) -> bool {
        matches!(self.0.get(), Error::Text(_))
    }

    /// The error put down last.
    pub fn get(&self) -> Error<'a> {
        self.0.get()
    }
}

impl Default for Slot<'_> {
    fn default() -> Self {
        Slot::new()
    }
}

impl serde::de::Error for Raised {
    fn custom<T: Display>(_: T) -> Self {
        Raised
    }
}

impl serde::ser::Error for Raised {
    fn custom<T: Display>(_: T) -> Self {
        Raised
    }
}

impl Display for Raised {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("an error was raised")
    }
}

impl core::error::Error for Raised {}
