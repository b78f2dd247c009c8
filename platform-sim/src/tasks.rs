//! Copies of the agent as data: a copy runs when it is begun, up to its end or to where it stops,
//! and what it has made waits until the agent reads it. Invariant: one that has stopped has no
//! effect any more.

use qga_core::Errno;
use qga_core::platform::Exit;

/// What there is of copies.
#[derive(Debug, Default)]
pub struct Tasks {
    /// At which of its platform calls, counted from 0, each copy is killed.
    pub dies_at: Option<u64>,
    /// How many calls the last copy has made.
    pub calls: u64,
    /// How many copies there were.
    pub begun: usize,
    /// How much the one that made most has.
    pub made_bytes_max: usize,
    /// How many were given up that hang for ever.
    pub abandoned: usize,
    /// Whether one goes on that was left to itself.
    pub is_left: bool,
    /// Whether there is one whose result somebody may want.
    pub wanted: bool,
    /// What it has made.
    pub(crate) made: Vec<u8>,
    /// What it was about to do.
    pub(crate) about: u64,
    /// How it has ended.
    pub(crate) exit: Option<Exit>,
    /// Whether what calls now is a copy.
    inside: bool,
    /// Whether it has stopped.
    stopped: bool,
}

impl Tasks {
    /// A copy begins.
    pub(crate) fn begin(&mut self) {
        self.give_up();
        let (begun, inside, wanted) = (self.begun + 1, true, true);
        let Tasks { dies_at, abandoned, is_left, made_bytes_max, .. } = *self;
        *self = Tasks {
            dies_at,
            abandoned,
            is_left,
            made_bytes_max,
            begun,
            inside,
            wanted,
            ..Tasks::default()
        };
    }

    /// Nobody wants any more what it makes.
    pub(crate) fn give_up(&mut self) {
        self.abandoned += usize::from(self.wanted && self.exit.is_none());
        self.wanted = false;
        self.made.clear();
    }

    /// It goes on, and nobody wants to know how it ends.
    pub(crate) fn leave(&mut self) {
        self.is_left |= self.wanted && self.exit.is_none();
        self.wanted = false;
        self.made.clear();
    }

    /// The kernel lets go what hangs, which ends then.
    pub fn release(&mut self) {
        self.abandoned = 0;
        self.is_left = false;
    }

    /// A platform call comes by: whether it may go on.
    pub(crate) fn pass(&mut self) -> Result<(), Errno> {
        if !self.inside {
            return Ok(());
        }
        if self.dies_at == Some(self.calls) && !self.stopped {
            (self.stopped, self.exit) = (true, Some(Exit::Signal(9)));
        }
        self.calls += 1;
        if self.stopped { Err(Errno::IO) } else { Ok(()) }
    }

    /// It hangs in the present call, for ever.
    pub(crate) fn hang(&mut self) -> Errno {
        assert!(self.inside, "the agent itself hangs");
        self.stopped = true;
        Errno::IO
    }

    /// It has come to its end, if it has not stopped before.
    pub(crate) fn end(&mut self, ended: Result<(), Errno>) {
        self.inside = false;
        if !self.stopped {
            self.exit = Some(Exit::Status(ended.map_or_else(|errno| errno.number() as u8, |()| 0)));
        }
    }

    /// Whether what calls now is a copy that has not stopped.
    pub(crate) fn is_at_work(&self) -> bool {
        self.inside && !self.stopped
    }
}
