//! A QEMU guest agent without an operating system below it: the QGA protocol, its commands and its
//! state, in constant memory, performing no I/O.
//!
//! * [`Agent`] is driven by its verbs: `space`/`received` for bytes that come, `step` for one unit
//!   of work, `pending`/`sent` for bytes that go, `deadline` for time. [`serve()`] is a ready-made
//!   loop.
//! * [`platform`] is what a guest implements: small traits, one method one fault point.
//! * [`freezer`] is what a guest names that can freeze filesystems; [`limits`] has every capacity.
//! * [`text`] and [`writer`] are how the log's words come and how they are put into a buffer.
//!
//! No `std`, no allocator, no `unsafe`, no recursion, no reachable panic (proved when the static
//! binary of `platform-linux` is linked).

#![no_std]
#![forbid(unsafe_code)]

/// The level of QEMU's schema that this agent follows, as a literal. Clients read features from it
/// and parse three numbers of one byte each; the product's own version is in `qga -V`.
#[macro_export]
macro_rules! schema_version {
    () => {
        "10.2.2"
    };
}

#[macro_use]
pub mod text;

mod agent;
mod base64;
mod bulk;
pub mod bytes;
mod command;
mod disk;
mod elements;
mod errno;
pub mod error;
mod exec;
pub mod formats;
mod frame;
pub mod freezer;
mod handle;
mod init;
#[doc(hidden)]
pub mod internals;
mod json;
pub mod limits;
mod lines;
mod list;
mod mark;
mod mountinfo;
pub mod platform;
mod request;
mod response;
mod rewrite;
mod rules;
mod serve;
mod shown;
mod shutdown;
mod state;
mod task;
pub mod writer;

pub use agent::{Agent, Step};
pub use errno::Errno;
pub use rules::Rule;
pub use serve::serve;
