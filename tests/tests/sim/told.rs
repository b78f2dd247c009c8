//! What a client is told of a freeze is true when it leaves: a freeze that ended before its reply
//! could is an error.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::limits::STOP_REPLY_MS_MAX;
use qga_core::{Errno, Step};
use qga_sim::Sim;
use qga_sim::mounts::By;
use serde_json::{Value, json};

const FREEZE: &[u8] = br#"{"execute": "guest-fsfreeze-freeze", "id": ["a", 1]}"#;

/// An agent that has frozen two filesystems and not yet said so, because its client does not read.
fn untold() -> (Sim, Large) {
    let sim = disks(2);
    let mut session = Large::unstarted();
    session.sim = sim.clone();
    session.freeze_ms_max = Some(60_000);
    session.restart().expect("a start");
    assert_eq!(session.step(), Step::Receive);
    assert_eq!(session.put(FREEZE), FREEZE.len());
    assert_eq!(session.step(), Step::Transmit);
    assert_eq!(frozen(&sim, "/mnt/a"), Some(By::Agent));
    (sim, session)
}

/// Takes what the agent says until it wants something else; that, and what it said.
fn rest(session: &mut Large) -> (Step, Value) {
    let mut said = Vec::new();
    loop {
        match session.step() {
            Step::Transmit => said.extend(session.take(7)),
            Step::Continue => {}
            step => {
                let value = serde_json::from_slice(&said);
                return (step, value.unwrap_or_else(|_| panic!("{}", said.escape_ascii())));
            }
        }
    }
}

fn taken_back(reply: &Value) {
    let text = "thawed before this reply could leave: told to stop, or the freeze took too long";
    let class = "GenericError";
    assert_eq!(*reply, json!({"error": {"class": class, "desc": text}, "id": ["a", 1]}));
}

#[test]
fn told_to_stop_before_the_reply_left() {
    let (sim, mut session) = untold();
    session.stop();
    assert_eq!(frozen(&sim, "/mnt/a"), None);
    let (step, reply) = rest(&mut session);
    assert_eq!(step, Step::Exit);
    taken_back(&reply);
}

/// Nobody waits for a client that does not read.
#[test]
fn told_to_stop_and_the_client_does_not_read() {
    let (sim, mut session) = untold();
    session.stop();
    let begun_ms = sim.with(|world| world.time.now_ms);
    assert_eq!(session.step(), Step::Transmit);
    assert_eq!(session.agent().deadline(), Some(begun_ms + STOP_REPLY_MS_MAX));
    sim.with(|world| world.time.advance(STOP_REPLY_MS_MAX));
    assert_eq!(session.step(), Step::Exit);
    // Or is told once more.
    let (_, mut session) = untold();
    session.stop();
    session.stop();
    assert_eq!(session.step(), Step::Exit);
}

#[test]
fn told_to_stop_after_the_reply_began_to_leave() {
    let (sim, mut session) = untold();
    assert_eq!(session.take(1), b"{");
    session.stop();
    assert_eq!(session.step(), Step::Exit);
    assert_eq!(frozen(&sim, "/mnt/a"), None);
}

#[test]
fn told_to_stop_and_something_does_not_thaw() {
    let (sim, mut session) = untold();
    sim.with(|world| world.mounts.at("/mnt/b").thaw_error = Some(Errno::IO));
    session.stop();
    let (step, reply) = rest(&mut session);
    assert_eq!(step, Step::Receive);
    taken_back(&reply);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
}

#[test]
fn the_time_of_the_freeze_is_over_before_the_reply_left() {
    let (sim, mut session) = untold();
    sim.with(|world| world.time.advance(60_000));
    assert_eq!(session.step(), Step::Transmit);
    assert_eq!(frozen(&sim, "/mnt/a"), None);
    let (step, reply) = rest(&mut session);
    assert_eq!(step, Step::Receive);
    taken_back(&reply);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
}

/// Its client has gone: the next one gets nothing of it.
#[test]
fn the_client_hung_up_before_the_reply_left() {
    let (_, mut session) = untold();
    session.disconnect();
    session.stop();
    assert_eq!(session.step(), Step::Exit);
}
