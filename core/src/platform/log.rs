//! The agent's log.

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
    pub const fn name(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
        }
    }
}

/// Where the agent's own messages go. The core never logs while filesystems are frozen.
pub trait Log {
    /// Writes one line, the pieces one after the other. Failure is nobody's business.
    fn log(&mut self, level: Level, pieces: &[&str]) {
        let _ = (level, pieces);
    }

    /// The same about a path: after the pieces its beginning, escaped so that it cannot begin a line of its own.
    fn log_of(&mut self, level: Level, pieces: &[&str], path: &[u8]) {
        let _ = path;
        self.log(level, pieces);
    }
}
