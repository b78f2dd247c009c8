//! The fault plan: every platform call comes by here before it does anything; whether it goes on or
//! why it fails goes out. Invariant: each is counted and recorded.
//!
//! Four sources of trouble, which can be combined: single faults ([`Faults::fail`]), transfers that
//! move less than asked or are interrupted ([`Faults::shorten`], [`Faults::interrupt`]), chance
//! from the seed ([`Faults::chance`]), and the cut ([`Faults::cut_after`]), after which no call
//! has any effect: to the guest that is the moment in which the agent was killed.

use crate::kind::Kind;
use crate::random::Random;
use qga_core::Errno;

/// A call that fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Of which kind; without one all calls count.
    pub kind: Option<Kind>,
    /// Which of these calls, counted from 0 and since the plan was made.
    pub number: u64,
    /// Why it fails.
    pub errno: Errno,
    /// Whether all later ones fail as well.
    pub lasting: bool,
}

/// A recorded call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// What it was.
    pub kind: Kind,
    /// Why the plan made it fail.
    pub failed: Option<Errno>,
}

/// More calls than any conversation makes: who gets here never ends.
const CALLS_MAX: usize = 4_000_000;

/// The plan, and the record of what was called.
#[derive(Debug)]
pub struct Faults {
    random: Random,
    plan: Vec<Fault>,
    /// One call in so many fails by chance.
    one_in: Option<u64>,
    transfer_bytes_max: usize,
    interrupting: bool,
    /// The last transfer was interrupted: the next one is not, or nothing would ever be
    /// transferred.
    interrupted: bool,
    cut_after: Option<u64>,
    descriptors_max: usize,
    trace: Vec<Call>,
    counts: [u32; Kind::ALL.len()],
}

impl Faults {
    /// No faults; chance comes from `random`.
    pub fn new(random: Random) -> Self {
        Faults {
            random,
            plan: Vec::new(),
            one_in: None,
            transfer_bytes_max: usize::MAX,
            interrupting: false,
            interrupted: false,
            cut_after: None,
            descriptors_max: usize::MAX,
            trace: Vec::new(),
            counts: [0; Kind::ALL.len()],
        }
    }

    /// Adds a fault.
    pub fn fail(&mut self, fault: Fault) {
        self.plan.push(fault);
    }

    /// From now on one call in `one_in` fails for one of the reasons of its kind
    /// ([`Kind::errnos`]), and transfers are short as often.
    pub fn chance(&mut self, one_in: u64) {
        self.one_in = Some(one_in.max(1));
    }

    /// Reads and writes move at most so many bytes (at least one).
    pub fn shorten(&mut self, bytes_max: usize) {
        self.transfer_bytes_max = bytes_max.max(1);
    }

    /// Every read and write is interrupted by a signal once before it works.
    pub fn interrupt(&mut self) {
        self.interrupting = true;
    }

    /// Mark, mount table and mount points together take at most so many descriptors: the next one
    /// fails with EMFILE.
    pub fn limit_descriptors(&mut self, most: usize) {
        self.descriptors_max = most;
    }

    /// After call number `calls` (all kinds, counted from 0) no call has any effect.
    pub fn cut_after(&mut self, calls: u64) {
        self.cut_after = Some(calls);
    }

    /// Takes the cut back: calls work again, as far as the rest of the plan lets them.
    pub fn uncut(&mut self) {
        self.cut_after = None;
    }

    /// Whether calls have no effect any more.
    pub fn is_cut(&self) -> bool {
        self.cut_after.is_some_and(|after| self.calls() >= after)
    }

    /// No faults any more; what was called stays on record.
    pub fn mend(&mut self) {
        self.plan.clear();
        self.one_in = None;
        self.transfer_bytes_max = usize::MAX;
        self.interrupting = false;
        self.cut_after = None;
        self.descriptors_max = usize::MAX;
    }

    /// No faults any more; counting and the record begin anew.
    pub fn clear(&mut self) {
        *self = Faults::new(Random::new(self.random.number()));
    }

    /// Whether a call failed since there were `calls`, but for transfers that were interrupted,
    /// which everybody repeats.
    pub fn failed_since(&self, calls: u64) -> bool {
        let since = self.trace.get(calls as usize..).unwrap_or(&[]);
        since.iter().any(|call| match call.failed {
            None => false,
            Some(Errno::INTR) => !call.kind.is_transfer(),
            Some(_) => true,
        })
    }

    /// How many calls there were.
    pub fn calls(&self) -> u64 {
        self.trace.len() as u64
    }

    /// The calls so far.
    pub fn trace(&self) -> &[Call] {
        &self.trace
    }

    /// How many calls of one kind there were.
    pub fn count(&self, kind: Kind) -> u64 {
        u64::from(self.counts[kind as usize])
    }

    /// A call comes by, with so many descriptors open: it may go on, or it fails.
    pub(crate) fn pass(&mut self, kind: Kind, open: usize) -> Result<(), Errno> {
        if self.is_cut() {
            return Err(Errno::IO);
        }
        let mut failed = self.decide(kind).filter(|_| kind.can_fail());
        if kind.takes_descriptor() && open >= self.descriptors_max {
            failed = failed.or(Some(Errno::MFILE));
        }
        assert!(self.trace.len() < CALLS_MAX, "the agent calls the guest on and on: {kind:?}");
        self.trace.push(Call { kind, failed });
        self.counts[kind as usize] += 1;
        self.interrupted = failed == Some(Errno::INTR) && kind.is_transfer();
        failed.map_or(Ok(()), Err)
    }

    fn decide(&mut self, kind: Kind) -> Option<Errno> {
        if self.plan.is_empty() && self.one_in.is_none() && !self.interrupting {
            return None;
        }
        let (all, own) = (self.calls(), self.count(kind));
        let planned = self.plan.iter().find(|fault| {
            let number = match fault.kind {
                None => all,
                Some(wanted) if wanted == kind => own,
                Some(_) => return false,
            };
            number == fault.number || fault.lasting && number > fault.number
        });
        let mut failed = planned.map(|fault| fault.errno);
        if let Some(one_in) = self.one_in
            && self.random.below(one_in) == 0
        {
            let reasons = kind.errnos();
            let reason = reasons.get(self.random.below(reasons.len() as u64) as usize);
            failed = failed.or(reason.copied());
        }
        if self.interrupting && kind.is_transfer() {
            failed = failed.or(Some(Errno::INTR));
        }
        let again = self.interrupted && kind.is_transfer();
        failed.filter(|&errno| !(again && errno == Errno::INTR))
    }

    /// How many of `len` bytes a transfer moves.
    pub(crate) fn transfer(&mut self, len: usize) -> usize {
        let len = len.min(self.transfer_bytes_max);
        match self.one_in {
            Some(one_in) if len > 1 && self.random.below(one_in) == 0 => {
                1 + self.random.below(len as u64 - 1) as usize
            }
            _ => len,
        }
    }
}
