//! What an agent is doing between two steps: listening, writing a response, following work that
//! takes longer, stopping; for whom, and what of it is a secret.

use crate::command::{Command, Poll};
use crate::error::Error;
use crate::frame::Scan;
use crate::platform::Platform;
use crate::response::{Echo, Piece, Window, describe};
use core::ops::Range;

/// Whom a response is for.
#[derive(Clone)]
pub struct Asker {
    /// The `id` of the request, as a place in it.
    pub id: Range<usize>,
    /// Where the request stands in the frame buffer, with that `id` in it.
    pub frame: Range<usize>,
}

/// Whether frame and window hold what nobody may find there. The numbered first variant makes a new
/// agent all zero.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Secret {
    /// No.
    Nothing = 0,
    /// What was not understood may have been meant for any command. It is wiped after the next
    /// request that is: until then a guest-sync may have begun in it.
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
}

/// What takes longer than a step. It goes on when nobody waits for it any more; what it says then
/// is for nobody. All zero when new.
pub struct Job<P: Platform> {
    /// How it is followed, while there is one.
    pub poll: Option<Poll<P>>,
    /// What writes its result, if success has a reply.
    pub finish: Option<Piece<P>>,
    /// How it is followed when nobody waits for it any more, nor for the rest of its reply.
    pub alone: Option<Poll<P>>,
    /// Who waits for its result.
    pub asker: Option<Asker>,
    /// What it is of.
    pub command: Option<&'static Command>,
    /// What was found after the request of who waits, if anything was.
    pub held: Scan,
}

impl<P: Platform> Job<P> {
    /// None.
    pub const NONE: Self =
        Job { poll: None, finish: None, alone: None, asker: None, command: None, held: Scan::More };

    /// Whoever has asked for it has gone.
    #[inline(never)]
    pub fn nobody_asks(&mut self) {
        self.poll = self.alone;
        self.asker = None;
        self.held = Scan::More;
    }
}

/// How far the agent is with stopping. All zero until it is told to.
#[repr(C)]
pub struct Stop {
    /// It was told to stop, and thaws before.
    pub told: bool,
    /// Nothing stands in the way any more.
    pub ends: bool,
    /// An error stands in the window that somebody who asked for a freeze is to have, also from an
    /// agent that stops.
    pub owed: bool,
}

impl Stop {
    /// Nobody has told it to.
    pub const NONE: Self = Stop { told: false, ends: false, owed: false };
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
