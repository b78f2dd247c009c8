//! Canaries: bugs that the guest has on purpose, so that a search for bugs can show that it finds
//! any.
//!
//! None is there unless a test puts it into [`crate::World::canary`]. Each stands for a mistake
//! that the agent or its platform could make, shows only when several things come together, and
//! breaks one promise.

/// A bug to be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Canary {
    /// A thaw right after one that failed says that it worked and does nothing.
    SwallowedThaw,
    /// A saved state whose last digit is 3 is said to be saved and is not.
    ForgottenState,
    /// A file whose close failed stays open.
    LeakedFile,
    /// A write that is cut short says one byte more than it wrote.
    LostByte,
    /// A second mark that is begun in the same boot is not removed when it should be.
    LastingMark,
}

impl Canary {
    /// All of them.
    pub const ALL: [Canary; 5] = [
        Canary::SwallowedThaw,
        Canary::ForgottenState,
        Canary::LeakedFile,
        Canary::LostByte,
        Canary::LastingMark,
    ];

    /// Its name on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Canary::SwallowedThaw => "swallowed-thaw",
            Canary::ForgottenState => "forgotten-state",
            Canary::LeakedFile => "leaked-file",
            Canary::LostByte => "lost-byte",
            Canary::LastingMark => "lasting-mark",
        }
    }
}
