//! The channel between client and agent, and the loop that a platform has around the agent: a
//! request goes in, in pieces; its reply comes out, or the reason why there is none. Stalls,
//! hang-ups and waits happen here. Invariant: what the client knew is looked up anew when a request
//! was cut short.

use crate::client::Client;
use crate::deadline::time_comes;
use crate::record::Record;
use crate::restart::restart;
use crate::source::Source;
use qga_core::platform::Clock as _;
use qga_core::{Step, limits};

/// Most steps of one request: far above what any takes.
const STEPS_MAX: usize = 1_000_000;
/// How long a wait may be: no stage of a shutdown takes longer.
const WAIT_MS_MAX: u64 = limits::SHUTDOWN_PROGRAMS_MS_MAX;

/// Why the channel rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// The agent has read everything and wants more.
    Idle,
    /// The client hung up before that.
    BrokenOff,
    /// The agent was killed.
    Killed,
    /// The agent or the guest ended.
    Over,
}

/// Sends what stands in the request and takes what comes back. When that is cut short somehow, what
/// the client knew of the guest is looked up anew.
pub fn exchange<S: Source>(client: &mut Client<S>, record: &mut Record) -> Rest {
    client.output.clear();
    let rest = pump(client, record);
    if client.show && !(client.request.is_empty() && rest == Rest::Idle) {
        println!("   > {}", client.request.escape_ascii());
        println!("   < {} ({rest:?})", client.output.escape_ascii());
    }
    client.manner.break_off = None;
    client.manner.stalled = 0;
    if rest != Rest::Idle {
        record.look_again(&client.session.sim);
    }
    if rest == Rest::Killed {
        restart(client, record);
    }
    rest
}

/// Lets a shutdown whose client has hung up come to its end, which nobody is told.
pub fn settle<S: Source>(client: &mut Client<S>, record: &mut Record) {
    loop {
        client.request.clear();
        match exchange(client, record) {
            Rest::Idle => break,
            Rest::Over => return,
            Rest::BrokenOff | Rest::Killed => {}
        }
    }
    assert!(client.output.is_empty(), "a reply to nobody: {}", client.output.escape_ascii());
}

/// The loop that a platform has around the agent.
fn pump<S: Source>(client: &mut Client<S>, record: &mut Record) -> Rest {
    let mut sent = 0;
    for _ in 0..STEPS_MAX {
        let (agent, sim) = client.session.parts();
        let step = agent.step(sim);
        // What an agent says that was killed, or whose guest has ended, is never sent.
        if sim.with(|world| world.machine.ending.is_some()) {
            return Rest::Over;
        }
        if sim.with(|world| world.faults.is_cut()) {
            return Rest::Killed;
        }
        if client
            .manner
            .break_off
            .is_some_and(|(into, out)| sent >= into && client.output.len() >= out)
        {
            client.hang_up();
            return Rest::BrokenOff;
        }
        let (agent, _) = client.session.parts();
        match step {
            Step::Receive if sent == client.request.len() => return Rest::Idle,
            Step::Receive => sent += give(client, sent),
            // What comes after a request that takes its time may come before that is over, or after
            // it.
            Step::Wait if sent < client.request.len() && client.source.byte().is_multiple_of(2) => {
                sent += give(client, sent);
            }
            Step::Transmit if client.manner.stalled > 0 => stall(client, record),
            Step::Transmit => {
                let pending = agent.pending();
                assert!(!pending.is_empty(), "the agent wants to send and has nothing");
                let mut len = pending.len().min(client.manner.take_bytes);
                if let Some((_, out)) = client.manner.break_off {
                    len = len.min(out.saturating_sub(client.output.len()).max(1));
                }
                client.output.extend_from_slice(&pending[..len]);
                agent.sent(len);
            }
            Step::Wait => {
                if let Some(rest) = wait(client) {
                    return rest;
                }
            }
            Step::Continue => {}
            Step::Exit => return Rest::Over,
        }
    }
    panic!("the agent runs on and on without wanting input");
}

/// Puts the next bytes of what is sent into the agent, which wants them; how many.
fn give<S: Source>(client: &mut Client<S>, sent: usize) -> usize {
    let (agent, _) = client.session.parts();
    let is_waiting = agent.deadline().is_some();
    let space = agent.space();
    assert!(is_waiting || !space.is_empty(), "the agent wants bytes and has no room for any");
    let left = &client.request[sent..];
    let mut len = left.len().min(space.len()).min(client.manner.piece_bytes);
    if let Some((into, _)) = client.manner.break_off {
        len = len.min(into.saturating_sub(sent).max(1));
    }
    let len = len.min(space.len());
    space[..len].copy_from_slice(&left[..len]);
    agent.received(len);
    len
}

/// The client does not read for a step. Nothing goes on behind its back, but what takes longer.
fn stall<S: Source>(client: &mut Client<S>, record: &mut Record) {
    client.manner.stalled -= 1;
    let (agent, sim) = client.session.parts();
    if agent.is_frozen() && agent.deadline().is_some() {
        return time_comes_while_stalled(client, record);
    }
    let (busy, len) = (agent.deadline().is_some(), agent.pending().len());
    let calls = sim.with(|w| w.faults.calls());
    assert_eq!(agent.step(sim), Step::Transmit, "went on while stalled");
    assert_eq!(agent.pending().len(), len, "the reply changed while stalled");
    let called = sim.with(|w| w.faults.calls()) - calls;
    assert!(busy || called == 0, "called while stalled");
}

/// The client does not read, and the time of a freeze goes on all the same, perhaps to its end.
fn time_comes_while_stalled<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let len = client.session.agent().pending().len();
    let ms = u64::from(client.source.byte()) * 50;
    client.session.sim.with(|world| world.time.advance(ms));
    time_comes(client, record);
    // That of a freeze that is over says so now.
    let same = client.session.agent().pending().len() == len;
    assert!(same || record.over_early, "the reply changed while stalled");
}

/// Time passes while the agent waits, mostly until it wants to be called; or something comes
/// between.
fn wait<S: Source>(client: &mut Client<S>) -> Option<Rest> {
    let (agent, sim) = client.session.parts();
    let deadline_ms = agent.deadline().expect("who waits has a deadline");
    let now_ms = sim.now_ms();
    assert!(deadline_ms > now_ms, "waits for {deadline_ms}, and it is {now_ms}");
    let left_ms = deadline_ms - now_ms;
    assert!(left_ms <= WAIT_MS_MAX, "waits for {left_ms} ms");
    let ms = match client.source.byte() {
        1..=20 => left_ms.div_ceil(2),
        21..=30 => left_ms + 60_000,
        31..=40 => {
            client.hang_up();
            return Some(Rest::BrokenOff);
        }
        41..=50 => {
            client.session.stop();
            return Some(Rest::Over).filter(|_| client.session.agent().is_stopping());
        }
        51..=60 => return Some(Rest::Killed),
        _ => left_ms,
    };
    client.session.sim.with(|world| world.time.advance(ms));
    None
}
