//! The agent's log.

use crate::text::{Phrase, Phrases};

/// How much a line matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// What the operator must know.
    Error,
    /// What is unusual and was handled.
    Warning,
    /// What happened.
    Info,
}

impl Level {
    /// The word that stands in the log.
    pub fn name(self) -> Phrase {
        const NAMES: Phrases = phrases!["error", "warning", "info"];
        NAMES.nth(self as usize)
    }
}

/// Where the agent's own messages go. The core never logs while filesystems are frozen.
pub trait Log {
    /// Writes one line, the pieces one after the other. Failure is nobody's business.
    fn log(&mut self, level: Level, pieces: &[Phrase]) {
        let _ = (level, pieces);
    }

    /// The same about a path: after the pieces its beginning, escaped so that it cannot begin a
    /// line of its own.
    fn log_of(&mut self, level: Level, pieces: &[Phrase], path: &[u8]) {
        let _ = path;
        self.log(level, pieces);
    }
}
