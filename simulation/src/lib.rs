//! Sessions of the agent on a simulated guest: a seed, or a fuzzer's bytes, in; a panic out if
//! anything happens that must not.
//!
//! A session is a list of acts ([`source::Act`]): requests, valid, odd and broken, calls that fail,
//! a channel that delivers byte by byte, stalls and breaks off, kills and restarts, what other
//! programs do to filesystems, time that jumps. After every act the oracle judges: each request has
//! its one reply, in order, and says what the model foretold; the frozen flag is the world's;
//! nothing was written while frozen; no descriptor leaked; no handle came twice. At the end, with
//! all faults gone, guest-sync is answered and a thaw makes everything run.
//!
//! Each act is a function over two things: the client (`client.rs`), which is what is sent and what
//! comes back, and the record (`record.rs`), which is what happened and what the oracle must
//! remember of it. Below the acts lie the channel and the restart of an agent, above them the
//! session that strings them together (`play.rs`).
//!
//! Nothing depends on time or on anything but the seed, so a failure is repeated by its seed alone:
//! `cargo xtask sim --seed N`.

#![forbid(unsafe_code)]

mod abandon;
mod accounts;
mod ask;
mod burst;
mod channel;
mod check;
mod client;
mod cut;
mod deadline;
mod end;
mod files;
mod freezing;
mod guest;
mod model;
mod mounting;
mod outliving;
mod play;
mod programs;
mod record;
mod reply;
mod requests;
mod restart;
mod shutdown;
mod sight;
pub mod source;
mod time;
pub mod torture;
mod trouble;

use client::Agent;
use play::Play;
use qga_sim::Canary;
use source::{Bytes, Seeded};
use std::cell::RefCell;

thread_local! {
    /// The memory of the last session's agent, which the next one uses again.
    static AGENT: RefCell<Option<Agent>> = const { RefCell::new(None) };
}

/// How a seeded session is held.
#[derive(Clone, Copy, Default, Debug)]
pub struct Options {
    /// A bug to put into the guest.
    pub canary: Option<Canary>,
    /// Whether to print every act, request and reply.
    pub show: bool,
}

/// Holds the session of a seed. Panics at what must not happen.
pub fn run_seed(seed: u64, options: Options) {
    let source = Seeded::new(seed, true);
    let play = Play::new(source, seed, take(), &[], options.show);
    play.client.session.sim.with(|world| world.canary = options.canary);
    give(play.run());
}

/// Holds the session that a fuzzer's input describes. Panics at what must not happen.
pub fn run_bytes(data: &[u8]) {
    give(Play::new(Bytes(data), 1, take(), &[], false).run());
}

fn take() -> Option<Agent> {
    AGENT.with(|agent| agent.borrow_mut().take())
}

fn give(session: Agent) {
    AGENT.with(|agent| *agent.borrow_mut() = Some(session));
}
