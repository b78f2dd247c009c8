//! Torture: a session without any trouble of its own, and calls of it that fail: each call that can
//! fail, for each reason, once and from then on for ever; and in the scripts, around freeze, thaw
//! and file writes, each pair of calls.
//!
//! The sessions are those of the seeds without the acts that make calls fail; they have all others,
//! kills and stalls among them. The oracle is the same.

use crate::play::Play;
use crate::source::{Script, Seeded, Source};
use crate::{give, take};
use qga_core::Errno;
use qga_sim::{Call, Canary, Fault, Kind};

/// One fault: of which kind the call is, which of these, why it fails, whether all later ones fail
/// too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Point {
    /// Of which kind the call is.
    pub kind: Kind,
    /// Which of this kind in the session, counted from 0.
    pub number: u64,
    /// Why it fails.
    pub errno: Errno,
    /// Whether all later calls of its kind fail as well.
    pub lasting: bool,
}

impl Point {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Point> {
        let mut words = text.split(':');
        let name = words.next()?;
        let kind = *Kind::ALL.iter().find(|kind| format!("{kind:?}") == name)?;
        let number = words.next()?.parse().ok()?;
        let errno = Errno::new(words.next()?.parse().ok()?);
        let lasting = match words.next() {
            None => false,
            Some("lasting") => true,
            Some(_) => return None,
        };
        Some(Point { kind, number, errno, lasting })
    }

    fn fault(self) -> Fault {
        let Point { kind, number, errno, lasting } = self;
        Fault { kind: Some(kind), number, errno, lasting }
    }
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lasting = if self.lasting { ":lasting" } else { "" };
        write!(f, "{:?}:{}:{}{lasting}", self.kind, self.number, self.errno.number())
    }
}

/// What is tortured: the untroubled session of a seed, or a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Session {
    /// Of this seed.
    Seed(u64),
    /// The script of this number in [`Script::ALL`].
    Script(usize),
}

impl Session {
    /// The session with these faults in it; the calls that it made. Panics at what must not happen.
    pub fn run(self, points: &[Point], canary: Option<Canary>, show: bool) -> Vec<Call> {
        match self {
            Session::Seed(seed) => hold(Seeded::new(seed, false), seed, points, canary, show),
            Session::Script(number) => hold(Script::new(number), 1, points, canary, show),
        }
    }

    /// Every fault that the session can have, when these faults are in it already: those after the
    /// last call that fails. Panics at what must not happen.
    pub fn points(self, given: &[Point]) -> Vec<Point> {
        let calls = self.run(given, None, false);
        let first = calls.iter().rposition(|call| call.failed.is_some()).map_or(0, |last| last + 1);
        let first = if given.iter().any(|point| point.lasting) {
            calls.iter().position(|call| call.failed.is_some()).map_or(0, |first| first + 1)
        } else {
            first
        };
        let mut points = Vec::new();
        let mut counts = [0; Kind::ALL.len()];
        for (at, Call { kind, failed }) in calls.into_iter().enumerate() {
            let number = counts[kind as usize];
            counts[kind as usize] += 1;
            if at < first || failed.is_some() {
                continue;
            }
            for &errno in kind.errnos() {
                points.extend([false, true].map(|lasting| Point { kind, number, errno, lasting }));
            }
        }
        points
    }
}

fn hold<S: Source>(
    source: S,
    seed: u64,
    points: &[Point],
    canary: Option<Canary>,
    show: bool,
) -> Vec<Call> {
    let faults: Vec<Fault> = points.iter().map(|point| point.fault()).collect();
    let mut play = Play::new(source, seed, take(), &faults, show);
    play.client.session.sim.with(|world| world.canary = canary);
    play.run_acts();
    // What comes after them is without faults.
    let acts = play.client.calls() as usize;
    let sim = play.client.session.sim.clone();
    give(play.end());
    sim.with(|world| world.faults.trace()[..acts].to_vec())
}
