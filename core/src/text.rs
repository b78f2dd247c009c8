//! The agent's own words, packed: literals go in when they are compiled, characters come out when
//! somebody is to read them.
//!
//! * [`phrase!`](crate::phrase!) packs a literal where it stands, for any crate: a [`Phrase`].
//!   Several that are told apart by a number are [`Phrases`].
//! * [`text!`](crate::text!) is the core's, whose texts are many and travel in errors: a [`Text`]
//!   is no more than the number of one in the list of all `text!`, which build.rs puts together.
//!
//! `cargo xtask pairs` chooses the pairs of letters by which they are packed.

#[macro_use]
mod pack;
mod pairs;
mod phrase;

#[doc(hidden)]
pub use pack::{Packed, join, joined_len};
pub use phrase::{Characters, Phrase, Phrases};

include!(concat!(env!("OUT_DIR"), "/texts.rs"));

/// One of the core's texts, by its number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Text(u8);

/// A [`Text`] that reads as a literal of the core says: `text!("failed to read file")`.
#[doc(hidden)]
#[macro_export]
macro_rules! text {
    ($plain:literal) => {
        const { $crate::text::Text::find($plain) }
    };
}

impl Text {
    /// No words at all.
    pub const NONE: Text = Text::find("");

    /// The number of a literal that the core has in a `text!`; for that, while it is compiled.
    pub const fn find(plain: &str) -> Self {
        let mut number = 0;
        while number < PLAIN.len() {
            if pack::same(PLAIN[number], plain) {
                return Text(number as u8);
            }
            number += 1;
        }
        panic!("core/build.rs has not found this literal")
    }

    /// Its words.
    pub fn phrase(self) -> Phrase {
        PACKED.nth(self.0.into())
    }
}

const _: () = assert!(PLAIN.len() <= 1 << u8::BITS, "a number of a text has more bits now");

impl core::fmt::Display for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&self.phrase(), f)
    }
}

impl core::fmt::Debug for Text {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&self.phrase(), f)
    }
}
