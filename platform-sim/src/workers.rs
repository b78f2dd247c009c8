//! Workers as data: a worker runs when it is begun, up to its end or to where it stops, and what it
//! has told waits until the agent hears it. How it stops comes in; invariant: one that has stopped
//! has no effect any more, but for undoing what it was about when the agent listens no more.

use qga_core::Errno;
use qga_core::platform::{Inode, Report};
use std::collections::VecDeque;

/// How a worker stops before its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is killed.
    Killed,
    /// It takes its time; when the agent listens no more it undoes what it has just done, and ends.
    Slow,
    /// The kernel does not let it go before [`Workers::release`].
    Hangs,
}

/// A report, and which superblock is handed over with it, by which inode.
pub(crate) type Told = (Report, Option<(usize, Inode)>);

/// What there is of workers.
#[derive(Debug, Default)]
pub struct Workers {
    /// Whether this guest has any: without them the agent does everything itself.
    pub offered: bool,
    /// At which of its platform calls, counted from 0, each worker from now on stops, and how.
    pub stops_at: Option<(u64, Fate)>,
    /// How many workers more that happens to, unless it is for ever: 0 for that.
    pub strikes: usize,
    /// How many platform calls the last worker has made.
    pub calls: u64,
    /// How many workers there were.
    pub begun: usize,
    /// Whether what calls now is a worker.
    inside: bool,
    /// Where the present one stops, and how.
    struck: Option<(u64, Fate)>,
    /// Whether one before it hangs still.
    lingers: bool,
    /// How the last one has stopped.
    stopped: Option<Fate>,
    told: VecDeque<Told>,
    /// Which superblock it thaws when the agent listens no more.
    undo: Option<usize>,
    /// Whether the agent listens no more.
    dismissed: bool,
}

impl Workers {
    /// A worker begins.
    pub(crate) fn begin(&mut self) {
        self.told.clear();
        self.lingers |= self.stopped == Some(Fate::Hangs);
        self.begun += 1;
        (self.calls, self.inside, self.stopped) = (0, true, None);
        (self.undo, self.dismissed) = (None, false);
        self.struck = match self.strikes {
            0 => self.stops_at,
            strikes => {
                self.strikes = strikes - 1;
                if self.strikes == 0 { self.stops_at.take() } else { self.stops_at }
            }
        };
    }

    /// It has ended, or stopped.
    pub(crate) fn end(&mut self) {
        self.inside = false;
    }

    /// Whether what calls now is a worker.
    pub(crate) fn is_inside(&self) -> bool {
        self.inside
    }

    /// A platform call comes by: whether it may go on.
    pub(crate) fn pass(&mut self) -> Result<(), Errno> {
        if !self.inside {
            return Ok(());
        }
        if self.stopped.is_none()
            && let Some((at, fate)) = self.struck
            && at == self.calls
        {
            self.stopped = Some(fate);
        }
        self.calls += 1;
        if self.stopped.is_some() { Err(Errno::IO) } else { Ok(()) }
    }

    /// It hangs in the present call.
    pub(crate) fn hang(&mut self) -> Errno {
        assert!(self.inside, "the agent itself hangs");
        self.stopped = Some(Fate::Hangs);
        Errno::IO
    }

    /// It tells something; `undo` is what it thaws when it cannot.
    pub(crate) fn tell(&mut self, told: Told, undo: Option<usize>) {
        let before = self.stopped;
        if self.inside && self.pass().is_ok() {
            self.told.push_back(told);
        } else if before.is_none() && self.stopped == Some(Fate::Slow) {
            self.undo = undo;
        }
    }

    /// What it has told next.
    pub(crate) fn hear(&mut self) -> Result<Told, Errno> {
        let waits = matches!(self.stopped, Some(Fate::Slow | Fate::Hangs)) && !self.dismissed;
        self.told.pop_front().ok_or(if waits { Errno::AGAIN } else { Errno::CHILD })
    }

    /// Nobody listens any more; what it thaws because of that.
    pub(crate) fn dismiss(&mut self) -> Option<usize> {
        self.dismissed = true;
        self.undo.take()
    }

    /// Whether one that hangs has not ended, of this agent or of one before it.
    pub(crate) fn lingers(&self) -> bool {
        self.lingers || self.stopped == Some(Fate::Hangs)
    }

    /// One that hangs is killed, where nothing keeps it.
    pub fn kill(&mut self) {
        if self.stopped.is_some() {
            self.stopped = Some(Fate::Killed);
        }
    }

    /// The kernel lets go what hangs: what that froze, the worker thaws at once.
    pub fn release(&mut self) {
        self.stopped = None;
        self.lingers = false;
    }
}
