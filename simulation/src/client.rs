//! The client: the choices of a session come in, and what an act wants to ask; the bytes that are
//! sent and those that came back go out. Invariant: no number is given to two requests, and one
//! begins with a 0xFF where a part of another may have been sent before it.

use crate::source::Source;
use qga_core::platform::FreezeStatus;
use qga_sim::{Session, Sim};
use std::fmt::Arguments;

/// Room for a request and for a reply: small, so that long ones cross their ends.
pub type Agent = Session<2048, 4096>;

/// How the client uses the channel.
pub struct Manner {
    /// Most bytes that the channel takes to the agent at a time.
    pub piece_bytes: usize,
    /// Most bytes that it takes from the agent at a time.
    pub take_bytes: usize,
    /// The client hangs up after so many bytes sent and received.
    pub break_off: Option<(usize, usize)>,
    /// Steps for which the client will not read.
    pub stalled: u32,
}

impl Default for Manner {
    /// In large pieces, without trouble.
    fn default() -> Self {
        Manner { piece_bytes: 4096, take_bytes: usize::MAX, break_off: None, stalled: 0 }
    }
}

/// A client, the agent that it talks to, and where its choices come from.
pub struct Client<S> {
    /// The agent and its guest.
    pub session: Agent,
    /// What is chosen next.
    pub source: S,
    /// What is to be sent.
    pub request: Vec<u8>,
    /// What came back for it.
    pub output: Vec<u8>,
    /// The number of the last request.
    id: u64,
    /// How it is sent, and taken.
    pub manner: Manner,
    /// A part of a request may have been sent: a 0xFF is due before the next one.
    pub dirty: bool,
    /// Whether every act and every byte is shown.
    pub show: bool,
}

impl<S: Source> Client<S> {
    /// A client of a guest that it has not spoken to; `old` is a session whose memory may be used
    /// again. Its agent has not started.
    pub fn new(source: S, sim: Sim, old: Option<Agent>, show: bool) -> Self {
        let mut session = old.unwrap_or_else(Agent::unstarted);
        session.sim = sim;
        session.freeze_ms_max = None;
        session.freeze_strict = false;
        Client {
            session,
            source,
            request: Vec::with_capacity(1024),
            output: Vec::with_capacity(1024),
            id: 0,
            manner: Manner::default(),
            dirty: false,
            show,
        }
    }

    /// Whether the agent says that something is frozen.
    pub fn is_frozen(&self) -> bool {
        self.session.agent().is_frozen()
    }

    /// What the agent says of freezes.
    pub fn status(&self) -> FreezeStatus {
        self.session.agent().state().freezer.status()
    }

    /// What it must answer when it is asked for that.
    pub fn status_word(&self) -> &'static str {
        match self.status() {
            FreezeStatus::Thawed => "\"thawed\"",
            FreezeStatus::Frozen => "\"frozen\"",
            FreezeStatus::Error => "\"error\"",
        }
    }

    /// The number of platform calls so far.
    pub fn calls(&self) -> u64 {
        self.session.sim.with(|world| world.faults.calls())
    }

    /// Whether a call has failed since there were `calls`.
    pub fn failed_since(&self, calls: u64) -> bool {
        self.session.sim.with(|world| world.faults.failed_since(calls))
    }

    /// Begins a request, after a 0xFF if need be.
    pub fn begin(&mut self) {
        self.request.clear();
        if std::mem::take(&mut self.dirty) {
            self.request.push(0xFF);
        }
    }

    /// Appends a request for a command to what is to be sent; its `id`.
    pub fn append(&mut self, command: &str, arguments: Arguments<'_>) -> u64 {
        use std::io::Write as _;
        self.id += 1;
        let id = self.id;
        let head = format_args!("{{\"execute\": \"{command}\", \"arguments\": {{{arguments}}}");
        writeln!(self.request, "{head}, \"id\": {id}}}").expect("a vector takes everything");
        id
    }

    /// A part of the output.
    pub fn text(&self, at: std::ops::Range<usize>) -> &[u8] {
        &self.output[at]
    }

    /// Whether a shutdown is under way that nobody waits for any more: nothing else has a deadline.
    pub fn is_busy(&mut self) -> bool {
        !self.is_frozen() && self.session.agent().deadline().is_some()
    }

    /// The client hangs up, and another one comes.
    pub fn hang_up(&mut self) {
        self.session.disconnect();
        self.dirty = false;
    }
}
