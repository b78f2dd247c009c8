//! JSON as QEMU speaks it: [`lexer`] cuts it into tokens, [`check`] judges a whole text, [`read`] turns
//! one into typed arguments, [`write`] turns typed returns into one.

pub mod check;
pub mod lexer;
pub mod read;
pub mod text;
pub mod write;
