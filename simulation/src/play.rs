//! A session under way: what is kept of it, one act after the other, and requests with their replies.

use crate::channel::Rest;
use crate::guest::guest;
use crate::model::Model;
use crate::reply::{self, Answer};
use crate::source::{Act, Source};
use crate::time::Late;
use qga_sim::{Fault, Session};
use std::fmt::Arguments;

/// Room for a request and for a reply: small, so that long ones cross their ends.
pub type Agent = Session<2048, 4096>;

/// A session under way.
pub struct Play<S> {
    pub(crate) session: Agent,
    pub(crate) source: S,
    pub(crate) model: Model,
    /// The request.
    pub(crate) request: Vec<u8>,
    /// What came back for it.
    pub(crate) output: Vec<u8>,
    id: u64,
    /// Most bytes that the channel takes to and from the agent at a time.
    pub(crate) piece_bytes: usize,
    pub(crate) take_bytes: usize,
    /// The client hangs up after so many bytes sent and received.
    pub(crate) break_off: Option<(usize, usize)>,
    /// Steps for which the client will not read.
    pub(crate) stalled: u32,
    /// A part of a request may have been sent: a 0xFF is due before the next one.
    pub(crate) dirty: bool,
    /// What is on record as frozen is what the agent froze, and can all be found.
    pub(crate) sure: bool,
    /// The superblocks that it froze, as bits.
    pub(crate) recorded: u64,
    /// The mark in force may be one without a list: what is covered then cannot be known.
    pub(crate) listless: bool,
    /// How often others' freezes were thawed, rightly.
    pub(crate) thawed_of_others: usize,
    /// When the present freeze must be over.
    pub(crate) due_ms: Option<u64>,
    /// What the next thaw may find.
    pub(crate) late: Late,
    /// A freeze was over before its reply could leave.
    pub(crate) over_early: bool,
    /// How many filesystems the present freeze found frozen by others, if that is known.
    pub(crate) theirs: Option<usize>,
    /// The saved state was damaged already: twice could give a handle twice.
    pub(crate) damaged: bool,
    /// Whether every act and every byte is shown.
    pub(crate) show: bool,
}

impl<S: Source> Play<S> {
    /// A new guest and a new agent in it; `old` is a session whose memory may be used again, `faults` is what
    /// fails there from the beginning.
    pub fn new(mut source: S, seed: u64, old: Option<Agent>, faults: &[Fault], show: bool) -> Self {
        let sim = guest(source.byte(), seed);
        faults.iter().for_each(|&fault| sim.with(|world| world.faults.fail(fault)));
        let mut session = old.unwrap_or_else(Agent::unstarted);
        session.sim = sim.clone();
        session.freeze_ms_max = None;
        session.freeze_strict = false;
        let started = session.restart();
        // Who could not look for a mark takes everything for frozen.
        let sure = sim.with(|world| !world.faults.failed_since(0));
        if let Err(errno) = started {
            assert!(!sure, "no start, although nothing failed: {errno}");
            sim.with(|world| world.faults.mend());
            session.restart().expect("without faults it starts");
        }
        let model = session.sim.with(|world| Model::new(world));
        Play {
            session,
            source,
            model,
            request: Vec::with_capacity(1024),
            output: Vec::with_capacity(1024),
            id: 0,
            piece_bytes: 4096,
            take_bytes: usize::MAX,
            break_off: None,
            stalled: 0,
            dirty: false,
            sure,
            recorded: 0,
            listless: false,
            thawed_of_others: 0,
            due_ms: None,
            late: Late::No,
            over_early: false,
            theirs: None,
            damaged: false,
            show,
        }
    }

    /// All acts, each judged; then the end. Gives the session's memory back.
    pub fn run(mut self) -> Agent {
        self.run_acts();
        self.end()
    }

    /// All acts, each judged.
    pub fn run_acts(&mut self) {
        while let Some(act) = self.source.act() {
            if self.over() {
                break;
            }
            if self.show {
                println!("-- {act:?}");
            }
            self.act(act);
            if self.show {
                self.show_guest();
            }
            self.check();
        }
    }

    /// Prints what is frozen, and what failed, by now.
    fn show_guest(&self) {
        self.session.sim.with(|world| {
            let frozen =
                world.mounts.superblocks.iter().any(|superblock| superblock.frozen.is_some());
            for mount in world.mounts.list.iter().filter(|_| frozen) {
                let (number, point) = (mount.superblock, mount.point.escape_ascii());
                let by = world.mounts.superblocks[number].frozen;
                print!(
                    "   {point} ({number}{})",
                    by.map_or(String::new(), |by| format!(", {by:?}"))
                );
            }
            if frozen {
                println!();
            }
            if let Some(mark) = world.store.mark() {
                println!("   mark: {}", mark.escape_ascii());
            }
            let calls = world.faults.trace();
            for (number, call) in calls.iter().enumerate().filter(|(_, call)| call.failed.is_some())
            {
                println!("   failed: {number} {call:?}");
            }
        });
    }

    /// Whether the guest has ended. An agent that only has exited is started again.
    pub(crate) fn over(&mut self) -> bool {
        let ended = self.session.sim.with(|world| world.machine.ending.is_some());
        if !ended && self.session.agent().is_stopping() {
            self.restart();
        }
        ended
    }

    fn act(&mut self, act: Act) {
        use Act::*;
        if matches!(
            act,
            Simple
                | Open
                | Close
                | Read
                | Write
                | Seek
                | Flush
                | Freeze
                | Thaw
                | ShutDown
                | Stall
                | BreakOff
                | Abandon
                | KilledAmid
        ) {
            // What these do depends on what a shutdown that is under way may still do.
            self.settle();
            if self.over() {
                return;
            }
        }
        match act {
            Act::Raw => self.raw(),
            Act::Simple => self.simple(),
            Act::Open => self.open(),
            Act::Close => self.close(),
            Act::Read => self.read(),
            Act::Write => self.write(),
            Act::Seek => self.seek(),
            Act::Flush => self.flush(),
            Act::Status => self.status(),
            Act::Freeze => self.freeze(),
            Act::Thaw => self.thaw(),
            Act::ShutDown => self.shut_down(),
            Act::Odd => self.odd(),
            Act::Disconnect => self.hang_up(),
            Act::Restart => self.restart(),
            Act::KilledAmid => self.killed_amid(),
            Act::Break => self.break_something(),
            Act::Meddle => self.meddle(),
            Act::Pieces => {
                self.piece_bytes = usize::from(self.source.byte()) + 1;
                self.take_bytes = usize::from(self.source.byte()) * 16 + 1;
            }
            Act::TimePasses => self.time_passes(),
            Act::Stop => self.stop(),
            Act::Burst => self.burst(),
            Act::Stall => {
                let byte = self.source.byte();
                self.stalled = u32::from(byte & 15);
                if byte & 0xC0 == 0xC0 { self.freeze() } else { self.burst() }
            }
            Act::BreakOff => self.break_off(),
            Act::Mount => self.mount(),
            Act::Damage => self.damage(),
            Act::Reclaim => self.reclaim(),
            Act::Abandon => self.abandon(),
            Act::Store => self.store(),
            Act::Limit => self.limit(),
        }
    }

    /// Begins a request, after a 0xFF if need be.
    pub(crate) fn begin(&mut self) {
        self.request.clear();
        if std::mem::take(&mut self.dirty) {
            self.request.push(0xFF);
        }
    }

    /// Appends a request for a command to what is to be sent; its `id`.
    pub(crate) fn append(&mut self, command: &str, arguments: Arguments<'_>) -> u64 {
        use std::io::Write as _;
        self.id += 1;
        let id = self.id;
        let head = format_args!("{{\"execute\": \"{command}\", \"arguments\": {{{arguments}}}");
        writeln!(self.request, "{head}, \"id\": {id}}}").expect("a vector takes everything");
        id
    }

    /// Sends a request for a command and reads its reply.
    pub(crate) fn ask(&mut self, command: &str, arguments: Arguments<'_>) -> Answer {
        self.begin();
        let id = self.append(command, arguments);
        if self.exchange() != Rest::Idle {
            return Answer::None;
        }
        let lines = self.output.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(lines, 1, "replies to one request: {}", self.output.escape_ascii());
        reply::read(&self.output, 0..self.output.len(), id)
    }

    /// A part of the output.
    pub(crate) fn text(&self, at: std::ops::Range<usize>) -> &[u8] {
        &self.output[at]
    }

    /// The client hangs up in the middle of the next request, or of the reply to it.
    fn break_off(&mut self) {
        let (into, out) = (self.source.byte(), self.source.byte());
        self.break_off = Some(match into & 1 {
            0 => (usize::from(into >> 1), 0),
            _ => (0, usize::from(out)),
        });
        match self.source.byte() % 6 {
            0 => self.open(),
            1 => self.read(),
            2 => self.write(),
            3 => self.freeze(),
            4 => self.thaw(),
            _ => self.burst(),
        }
        self.break_off = None;
    }

    /// Several requests in one piece: as many replies, in their order.
    fn burst(&mut self) {
        let status = self.status_word();
        self.begin();
        let count = usize::from(self.source.byte() % 4) + 2;
        let mut asked = [(0, 0, 0); 5];
        for slot in &mut asked[..count] {
            let (what, number) = (self.source.byte() % 4, self.source.number());
            let id = match what {
                0 => self.append("guest-sync", format_args!("\"id\": {number}")),
                1 => self.append("guest-fsfreeze-status", format_args!("")),
                2 => self.append("guest-ping", format_args!("")),
                _ => self.append("guest-nope", format_args!("")),
            };
            *slot = (what, number, id);
        }
        if self.exchange() != Rest::Idle {
            return;
        }
        let mut at = 0;
        for &(what, number, id) in &asked[..count] {
            let rest = &self.output[at..];
            let len = rest.iter().position(|&byte| byte == b'\n').expect("a reply for each") + 1;
            let answer = reply::read(&self.output, at..at + len, id);
            let value = match &answer {
                Answer::Value(at) => self.text(at.clone()),
                _ => b"",
            };
            match what {
                0 => assert_eq!(reply::number(value), number),
                // The time of a freeze may have come between two of them.
                1 if value == status.as_bytes() => {}
                1 => assert_eq!(value, self.status_word().as_bytes()),
                2 => assert_eq!(value, b"{}"),
                _ => assert_eq!(answer, Answer::Error { not_found: true }),
            }
            at += len;
        }
        assert_eq!(at, self.output.len(), "more replies than requests");
    }
}
