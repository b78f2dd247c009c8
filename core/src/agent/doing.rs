//! What an agent is doing between two steps: listening, writing a response, following work that takes longer; for whom,
//! and what of it is a secret.

use crate::command::Poll;
use crate::error::Error;
use crate::platform::Platform;
use crate::response::{Echo, Piece, Window, describe};
use core::ops::Range;

/// Whom a response is for.
pub struct Asker {
    /// The `id` of the request, as a place in it.
    pub id: Range<usize>,
    /// Where the request stands in the frame buffer, with that `id` in it.
    pub frame: Range<usize>,
}

/// Whether frame and window hold what nobody may find there. The numbered first variant makes a new agent all zero.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Secret {
    /// No.
    Nothing = 0,
    /// What was not understood may have been meant for any command. It is wiped after the next request that is: until
    /// then a guest-sync may have begun in it.
    Open,
    /// It is to be wiped when it is answered.
    Ended,
}

/// What the agent is doing. The numbered first variant makes a new agent all zero.
#[repr(u8)]
pub enum Doing<P: Platform> {
    /// Waiting for a request.
    Listening = 0,
    /// Writing a response: what is left of its body, then the `id`.
    Responding(Option<Piece<P>>, Echo, Range<usize>),
    /// Following work that takes longer. Nobody waits for its result when the client has gone.
    Following(Poll<P>, Option<Asker>),
}

/// Replaces whatever is in the window by the beginning of an error reply.
pub fn refuse<P: Platform, const N: usize>(
    doing: &mut Doing<P>,
    window: &mut Window<N>,
    error: &Error<'_>,
    id: Range<usize>,
    frame: Range<usize>,
) {
    window.clear();
    let mut out = window.writer();
    describe(error, &mut out);
    let len = out.len();
    window.keep(len);
    *doing = Doing::Responding(None, Echo::new(id), frame);
}
