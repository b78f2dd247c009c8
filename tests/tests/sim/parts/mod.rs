//! Each part of the core on its own, against a second opinion: the standard library's, or a plain
//! and slow one. What no conversation can bring about (a write of nothing, a line that fills its
//! buffer) is here.

mod absent;
mod agent;
mod arguments;
mod base64;
mod check;
mod errors;
mod frame;
mod inherited;
mod mark;
mod mountinfo;
mod pieces;
mod places;
mod served;
mod shutdown;
mod stream;
mod text;
mod window;
mod words;
mod writer;
