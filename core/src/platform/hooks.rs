//! The administrator's program that is told before a freeze and after its thaw.

use super::Exit;
use crate::errno::Errno;

/// When a hook is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Before anything freezes.
    Freeze,
    /// When everything runs again.
    Thaw,
}

impl Moment {
    /// The word that the hook gets, as the reference's hooks do.
    pub const fn word(self) -> &'static [u8] {
        match self {
            Moment::Freeze => b"freeze",
            Moment::Thaw => b"thaw",
        }
    }
}

/// A hook. One runs at a time, in the worker of a freeze ([`super::Freeze::work`]), which waits for
/// it.
pub trait Hooks {
    /// Whether this guest can run one.
    const HOOKS: bool = false;

    /// Whether there is one to be run.
    fn has_hook(&self) -> bool {
        false
    }

    /// Starts it with [`Moment::word`] as its argument, in a session of its own. Errors: ENOENT
    /// when it is not there, EACCES and the like when it cannot be executed.
    fn start_hook(&mut self, moment: Moment) -> Result<(), Errno> {
        let _ = moment;
        Err(Errno::NOENT)
    }

    /// Waits for its end, `ms_max` milliseconds at most: how it has ended, if it has. Errors: it
    /// cannot be waited for.
    fn wait_for_hook(&mut self, ms_max: u64) -> Result<Option<Exit>, Errno> {
        let _ = ms_max;
        Err(Errno::CHILD)
    }

    /// Puts the beginning of what it has printed into `into`, and returns how much that is.
    fn hook_output(&mut self, into: &mut [u8]) -> usize {
        let _ = into;
        0
    }

    /// Kills it and what it has started in its session.
    fn end_hook(&mut self) {}
}
