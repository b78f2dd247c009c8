//! The driver: bytes for the agent in, in pieces of any size, and what it answers out, until it
//! wants more.
//!
//! Where a real loop would wait for a child or a deadline, it advances the virtual clock, so
//! nothing takes time. An agent that goes on and on without wanting anything is stopped by a panic.

use crate::sim::Sim;
use qga_core::platform::Clock;
use qga_core::{Agent, Errno, Step};
use std::rc::Rc;

/// Most steps between two wishes for input: far above what the largest reply takes.
const STEPS_MAX: usize = 10_000_000;

/// A client, an agent and the guest that it runs in.
#[derive(Debug)]
pub struct Session<const FRAME: usize, const WINDOW: usize> {
    /// The guest.
    pub sim: Sim,
    /// Most bytes that the client takes of the agent's output at a time.
    pub take_bytes_max: usize,
    /// How long a freeze of the agents that [`Session::restart`] starts may last.
    pub freeze_ms_max: Option<u64>,
    /// Whether their freezes fail rather than leave something out.
    pub freeze_strict: bool,
    agent: AgentBox<FRAME, WINDOW>,
    /// Keeps the state directory for this agent.
    lock: Option<Rc<()>>,
    exited: bool,
}

/// The agent, which has no `Debug` of its own.
struct AgentBox<const FRAME: usize, const WINDOW: usize>(Box<Agent<Sim, FRAME, WINDOW>>);

impl<const FRAME: usize, const WINDOW: usize> std::fmt::Debug for AgentBox<FRAME, WINDOW> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Agent")
    }
}

impl<const FRAME: usize, const WINDOW: usize> Session<FRAME, WINDOW> {
    /// Starts an agent in a guest, where one that still lived is killed by it. Errors: those of
    /// [`Agent::start`].
    pub fn start(sim: &Sim) -> Result<Self, Errno> {
        sim.with(|world| world.store.release());
        Session::start_beside(sim)
    }

    /// Starts an agent in a guest where another one may live. Errors: those of [`Agent::start`];
    /// EBUSY when one does.
    pub fn start_beside(sim: &Sim) -> Result<Self, Errno> {
        let mut session = Session::new(sim);
        session.begin()?;
        Ok(session)
    }

    /// An agent that has not started, in a guest that nobody knows: set [`Session::sim`], then
    /// [`Session::restart`]. Its memory can so be used again and again.
    pub fn unstarted() -> Self {
        Session::new(&Sim::new(0))
    }

    fn new(sim: &Sim) -> Self {
        Session {
            sim: sim.clone(),
            take_bytes_max: usize::MAX,
            freeze_ms_max: None,
            freeze_strict: false,
            agent: AgentBox(Box::new(Agent::new())),
            lock: None,
            exited: false,
        }
    }

    /// The agent, to look inside.
    pub fn agent(&self) -> &Agent<Sim, FRAME, WINDOW> {
        &self.agent.0
    }

    /// The agent and its guest, to drive it by one's own loop.
    pub fn parts(&mut self) -> (&mut Agent<Sim, FRAME, WINDOW>, &mut Sim) {
        (&mut self.agent.0, &mut self.sim)
    }

    /// Whether there is no agent any more to talk to: it exited, or the guest ended.
    pub fn is_over(&self) -> bool {
        self.exited || self.sim.with(|world| world.machine.ending.is_some())
    }

    /// Sends bytes in one piece and returns what comes back until the agent wants more.
    pub fn send(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        self.send_into(bytes, &mut output);
        output
    }

    /// Sends bytes cut into pieces of `piece_bytes`; each is answered before the next one comes.
    pub fn send_pieces(&mut self, bytes: &[u8], piece_bytes: usize) -> Vec<u8> {
        let mut output = Vec::new();
        for piece in bytes.chunks(piece_bytes.max(1)) {
            self.send_into(piece, &mut output);
        }
        output
    }

    /// As [`Session::send`]; what comes back is appended to `output`.
    pub fn send_into(&mut self, mut bytes: &[u8], output: &mut Vec<u8>) {
        for _ in 0..STEPS_MAX {
            let step = self.agent.0.step(&mut self.sim);
            // What an agent says that was killed, or whose guest has ended, is never sent.
            if self.sim.with(|world| world.machine.ending.is_some() || world.faults.is_cut()) {
                return;
            }
            match step {
                Step::Receive if bytes.is_empty() => return,
                Step::Wait if bytes.is_empty() || self.agent.0.space().is_empty() => self.wait(),
                Step::Receive | Step::Wait => {
                    let space = self.agent.0.space();
                    assert!(!space.is_empty(), "the agent wants bytes and has no room for any");
                    let len = space.len().min(bytes.len());
                    space[..len].copy_from_slice(&bytes[..len]);
                    self.agent.0.received(len);
                    bytes = &bytes[len..];
                }
                Step::Transmit => {
                    let pending = self.agent.0.pending();
                    assert!(!pending.is_empty(), "the agent wants to send and has nothing");
                    let len = pending.len().min(self.take_bytes_max.max(1));
                    output.extend_from_slice(&pending[..len]);
                    self.agent.0.sent(len);
                }
                Step::Continue => {}
                Step::Exit => {
                    self.exited = true;
                    return;
                }
            }
        }
        panic!("the agent runs on and on without wanting input");
    }

    /// One step of the agent, and what it wants then; for tests that stop in the middle.
    pub fn step(&mut self) -> Step {
        self.agent.0.step(&mut self.sim)
    }

    /// Puts bytes into the agent as far as it has room; how many.
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let space = self.agent.0.space();
        let len = space.len().min(bytes.len());
        space[..len].copy_from_slice(&bytes[..len]);
        self.agent.0.received(len);
        len
    }

    /// Takes up to `len` bytes of the agent's output.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        let pending = self.agent.0.pending();
        let taken = pending[..pending.len().min(len)].to_vec();
        self.agent.0.sent(taken.len());
        taken
    }

    /// Lets the time pass until the agent's deadline, or until a program ends.
    fn wait(&mut self) {
        let deadline_ms = self.agent.0.deadline().expect("who waits has a deadline");
        let now_ms = self.sim.now_ms();
        self.sim.with(|world| {
            let wakes_ms = world.machine.wakes_at_ms(now_ms).unwrap_or(deadline_ms);
            let until_ms = deadline_ms.min(wakes_ms);
            world.time.advance(until_ms.saturating_sub(now_ms).max(1));
        });
    }

    /// The client hangs up.
    pub fn disconnect(&mut self) {
        self.agent.0.disconnected();
    }

    /// Somebody asks the agent to end (SIGTERM).
    pub fn stop(&mut self) {
        self.agent.0.stop(&mut self.sim);
        self.exited = self.agent.0.is_stopping();
    }

    /// Kills the agent and starts another one in the same guest. Errors: those of [`Agent::start`].
    pub fn restart(&mut self) -> Result<(), Errno> {
        // Its worker finds that nobody listens any more.
        qga_core::platform::Freeze::dismiss(&mut self.sim);
        // The old one is dropped here, as the kernel closes what a killed process had open.
        *self.agent.0 = const { Agent::new() };
        self.agent.0.limit_freezes(self.freeze_ms_max);
        self.agent.0.refuse_unreachable(self.freeze_strict);
        self.exited = false;
        self.begin()
    }

    /// What a start does: the lock before everything else.
    fn begin(&mut self) -> Result<(), Errno> {
        self.lock = None;
        self.lock = Some(self.sim.with(|world| world.store.claim())?);
        self.agent.0.start(&mut self.sim)
    }
}
