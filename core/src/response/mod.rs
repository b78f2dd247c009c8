//! Responses on their way out: what a command answers becomes text in the window, a window at a
//! time.
//!
//! A *value* is written whole; everything longer in *pieces*, each by one call that has room enough
//! for it, so that a 48 MiB guest-file-read takes the memory of a ping. After each body the
//! request's `id` is repeated.
//!
//! Commit rule: a response commits when its first byte leaves the window. Until then an error takes
//! its place; afterwards bytes end early with the true `count`, which is a legal short read.

mod echo;
mod pieces;
mod stream;
mod window;

pub use echo::Echo;
pub use pieces::{Cursor, Failed, Piece, fill};
pub use stream::Stream;
pub use window::Window;

use crate::error::Error;
use crate::writer::Writer;

/// How every reply but an error begins; it is in the window before a command runs.
pub const RETURN: &str = "{\"return\": ";

/// The error reply up to where the `id` goes.
pub fn describe(error: &Error<'_>, out: &mut Writer<'_>) {
    out.ascii("{\"error\": {\"class\": \"");
    out.ascii(error.class());
    out.ascii("\", \"desc\": \"");
    error.describe(out);
    out.ascii("\"}");
}
