//! A QEMU guest agent without an operating system below it: the QGA protocol, its commands and its state, in
//! constant memory, performing no I/O.
//!
//! * [`Agent`] is driven by its verbs: `space`/`received` for bytes that come, `step` for one unit of
//!   work, `pending`/`sent` for bytes that go, `deadline` for time. [`serve()`] is a ready-made loop.
//! * [`platform`] is what a guest implements: small traits, one method one fault point.
//! * [`command`] is the table of commands.
//!
//! No `std`, no allocator, no `unsafe`, no recursion, no reachable panic (proved when the static binary
//! of `platform-linux` is linked).

#![no_std]
#![forbid(unsafe_code)]

#[macro_use]
pub mod text;

mod agent;
pub mod base64;
pub mod bulk;
pub mod bytes;
pub mod command;
mod errno;
pub mod error;
pub mod formats;
pub mod frame;
pub mod freezer;
pub mod handle;
pub mod init;
pub mod json;
pub mod limits;
pub mod lines;
pub mod mark;
pub mod mountinfo;
pub mod platform;
pub mod request;
pub mod response;
mod serve;
mod shown;
pub mod shutdown;
pub mod state;
pub mod writer;

pub use agent::{Agent, Step};
pub use errno::Errno;
pub use serve::serve;
