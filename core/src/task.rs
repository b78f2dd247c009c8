//! A list that a copy of the agent makes, because a disk may not answer: what is known of it from
//! one step to the next, and what is left out of it.
//!
//! The copy says what it is about to do wherever that may hang ([`Risks::risk`]). If it hangs it is
//! given up, and another one makes the list anew and leaves out what that one hung on; a third one
//! leaves out all that may hang.

use crate::errno::Errno;
use crate::list::List;
use crate::platform::{Platform, Tasks};

/// What makes a list, in the room that lists have. Errors: there is none.
pub type Make<P> = fn(&mut P, &mut List<P>, Risks) -> Result<(), Errno>;

/// How it stands with the list. All zero for none.
pub struct Task<P: Platform> {
    /// What makes it.
    pub make: Option<Make<P>>,
    /// What the copy was about to do when it was last looked at.
    pub about: u64,
    /// What is left out.
    pub risks: Risks,
    /// When what the copy is about to do has taken too long.
    pub step_until_ms: u64,
    /// When all of it has.
    pub until_ms: u64,
}

/// What a copy leaves out, because it hangs.
#[derive(Clone, Copy)]
pub struct Risks {
    /// How many copies have hung.
    pub hung: u8,
    /// On what the last one did.
    pub on: u64,
}

impl Risks {
    /// Does in the copy what may hang; `key` says what it is about, and never is 0. Errors: those
    /// of the call; ETIMEDOUT when it is left out.
    #[inline(always)]
    pub fn risk<P: Tasks, R>(
        self,
        platform: &mut P,
        key: u64,
        call: impl FnOnce(&mut P) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        platform.put_about(key);
        if self.hung > 1 || self.hung == 1 && self.on == key {
            return Err(Errno::TIMEDOUT);
        }
        call(platform)
    }
}

impl<P: Platform> Task<P> {
    /// None.
    pub const NONE: Self = Task {
        make: None,
        about: 0,
        risks: Risks { hung: 0, on: 0 },
        step_until_ms: 0,
        until_ms: 0,
    };
}
