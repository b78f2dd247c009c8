//! What the agent and a worker say to each other. A worker is a process of its own that does in the
//! agent's place what may hang: it begins as a copy of the agent, does one [`Task`], and tells in
//! [`Report`]s what it is about to do and what came of it.

use super::device::Device;
use crate::errno::Errno;
use crate::shown::Shown;

/// What a worker does. The numbered first variant makes a new freezer all zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Task {
    /// None.
    Nothing = 0,
    /// Freezes everything.
    Freeze,
    /// Thaws what is on record, or with nothing on record everything.
    Thaw,
    /// Takes over what an earlier agent left frozen.
    Restore,
}

/// What failed. The numbered first variant makes a new freezer all zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
#[repr(u8)]
pub enum What {
    /// Nothing.
    Nothing = 0,
    /// The mount table cannot be read.
    Table,
    /// The mark cannot be written.
    Mark,
    /// There are more filesystems than can be held.
    TooMany,
    /// No worker can be started.
    Worker,
    /// A freeze was given up: the agent was told to stop, or it took too long.
    Freezing,
    /// No path leads to a filesystem.
    Hidden,
    /// No filesystem was mounted first where somebody has named one.
    Unknown,
    /// The worker of an earlier freeze has not ended.
    Lingers,
    /// The hook has failed.
    Hook,
    /// One cannot be opened.
    Open,
    /// One cannot be frozen.
    Freeze,
    /// One cannot be thawed.
    Thaw,
}

/// What failed, and why; from [`What::Hidden`] on it concerns the mount point of which the name is
/// kept beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure(pub What, pub Option<Errno>);

impl Failure {
    /// None.
    pub const NONE: Self = Failure(What::Nothing, None);
}

/// How it stands with all that is frozen. All zero for nothing.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Something is, or is about to be.
    pub frozen: bool,
    /// A thaw has failed on something.
    pub failed: bool,
    /// What is frozen stands in the mark of an earlier agent, and is not all held.
    pub inherited: bool,
    /// That mark was read, and has no list.
    pub listless: bool,
    /// The mark stays, although nothing of ours is frozen, until the worker that lingers has ended:
    /// it may freeze what it is about to, and be killed before it can undo that. Until then nothing
    /// is written.
    pub mark_stays: bool,
    /// The hook was told of the freeze, and not of the thaw yet.
    pub hooked: bool,
}

impl Standing {
    /// Nothing is frozen.
    pub const NONE: Self = Standing {
        frozen: false,
        failed: false,
        inherited: false,
        listless: false,
        mark_stays: false,
        hooked: false,
    };
}

/// What is known of a filesystem that is held.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// What the mount table calls it.
    pub superblock: Device,
    /// Where in the mark its record begins.
    pub record: u64,
    /// It is.
    pub frozen: bool,
    /// Somebody else had frozen it, or suspended its device, when its turn came.
    pub busy: bool,
    /// An earlier agent was about to freeze it; whether it did is not known.
    pub unsure: bool,
}

/// One report: plain values, because its bytes go from one process to another, which is a copy of
/// it.
#[derive(Clone, Copy, Debug)]
pub enum Report {
    /// None.
    Nothing,
    /// The worker is about to do something that may hang: what, to which filesystem (where its
    /// record in the mark begins, or the number of its mount), and its mount point, if that is not
    /// in the mark.
    About(What, u64, Shown),
    /// It has opened a filesystem, which comes with the report.
    Held(Place),
    /// It has frozen or thawed one, or that has failed; how many it has frozen or thawed by now.
    Done(Place, i64),
    /// It has done its task and ends: how many it were, and what has failed, with what.
    End(Standing, i64, Failure, Shown),
}
