//! JSON as QEMU speaks it: [`lexer`] cuts it into tokens, [`check`] judges a whole text, [`read`]
//! turns one into typed arguments, of which [`lists`] may be long, [`write`] turns typed returns
//! into one.

pub mod check;
pub mod lexer;
pub mod lists;
pub mod read;
pub mod text;
pub mod write;

/// What a type asks of serde that no type of the QGA schema does. In the optimised binary a panic
/// that can be reached is a link error, and so is a command with such a type.
#[cold]
const fn unused() -> ! {
    panic!("no QGA type is made of this")
}
