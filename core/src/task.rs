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
    /// When all of it has, of an errand too.
    pub until_ms: u64,
}

/// In what a copy is about to do when that is nothing that may hang: no key has this bit alone of
/// the upper ones.
pub const NOT_A_RISK: u64 = 1 << 62;

/// Whether what a copy is about to do may hang.
pub fn is_risk(about: u64) -> bool {
    about != 0 && about >> 62 != 1
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
    /// Nothing.
    pub const NONE: Self = Risks { hung: 0, on: 0 };

    /// All that may hang.
    pub const ALL: Self = Risks { hung: 2, on: 0 };

    /// These and one more: of two nobody keeps in mind which they are.
    pub fn and(self, on: u64) -> Self {
        if self.hung == 0 { Risks { hung: 1, on } } else { Risks::ALL }
    }

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
    pub const NONE: Self =
        Task { make: None, about: 0, risks: Risks::NONE, step_until_ms: 0, until_ms: 0 };
}
