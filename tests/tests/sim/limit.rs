//! Freezes that may not last for ever: when they end by themselves, whatever the channel is doing,
//! what the log says, what the thaw finds that comes too late.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::platform::Level;
use qga_core::{Errno, Step};
use qga_sim::Sim;
use qga_sim::mounts::By;
use serde_json::json;

const LIMIT_MS: u64 = 5000;

/// An agent whose freezes last for five seconds at most.
fn limited(sim: &Sim) -> Large {
    let mut session = Large::unstarted();
    session.sim = sim.clone();
    session.freeze_ms_max = Some(LIMIT_MS);
    session.restart().expect("a start");
    session
}

/// The same, with both its filesystems frozen.
fn frozen_session() -> (Sim, Large) {
    let sim = disks(2);
    let mut session = limited(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    (sim, session)
}

fn pass(sim: &Sim, ms: u64) {
    sim.with(|world| world.time.advance(ms));
}

fn runs(sim: &Sim) -> bool {
    ["/mnt/a", "/mnt/b"].iter().all(|point| frozen(sim, point).is_none())
}

/// The errors in the log.
fn said(sim: &Sim) -> Vec<String> {
    let errors = |line: &&qga_sim::LogLine| line.level == Level::Error;
    sim.with(|world| world.log.iter().filter(errors).map(|line| line.text.clone()).collect())
}

const OVER: &str =
    "no thaw came within its time (timeout, --freeze-timeout): all filesystems run again";

#[test]
fn a_freeze_ends_when_its_time_is_over() {
    let (sim, mut session) = frozen_session();
    let begun_ms = sim.with(|world| world.time.now_ms);
    assert_eq!(session.agent().deadline(), Some(begun_ms + LIMIT_MS));
    pass(&sim, LIMIT_MS - 1);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
    assert_eq!(session.agent().deadline(), Some(begun_ms + LIMIT_MS), "put off by a request");
    pass(&sim, 1);
    assert_eq!(session.step(), Step::Receive);
    assert!(runs(&sim));
    assert_eq!(session.agent().deadline(), None);
    assert_eq!(said(&sim), [OVER]);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
}

#[test]
fn without_a_limit_it_lasts_for_ever() {
    let sim = disks(1);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 1}));
    assert_eq!(session.agent().deadline(), None);
    pass(&sim, u64::MAX / 2);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
}

#[test]
fn the_thaw_that_comes_too_late_leaves_others_alone() {
    let (sim, mut session) = frozen_session();
    pass(&sim, LIMIT_MS);
    session.step();
    sim.with(|world| world.mounts.at("/mnt/b").frozen = Some(By::Other));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
    assert_eq!(frozen(&sim, "/mnt/b"), Some(By::Other));
    // From then on it is what it always was: an operator's means to get the guest going.
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    assert_eq!(frozen(&sim, "/mnt/b"), None);
}

#[test]
fn the_next_freeze_ends_the_waiting_for_a_late_thaw() {
    let (sim, mut session) = frozen_session();
    pass(&sim, LIMIT_MS);
    session.step();
    sim.with(|world| {
        world.mounts.at("/mnt/a").freeze_error = Some(Errno::IO);
        world.mounts.at("/mnt/b").frozen = Some(By::Other);
    });
    assert!(ask(&mut session, "fsfreeze-freeze")["error"].is_object());
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    sim.with(|world| world.mounts.at("/mnt/a").freeze_error = None);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!(said(&sim), [OVER], "the freeze that ended in time is no error");
}

#[test]
fn while_the_client_does_not_read() {
    let (sim, mut session) = frozen_session();
    session.put(b"{\"execute\": \"guest-info\"}\n");
    while session.step() != Step::Transmit {}
    let first = session.take(10);
    let left = session.agent().pending().to_vec();
    pass(&sim, LIMIT_MS);
    assert_eq!(session.step(), Step::Transmit);
    assert!(runs(&sim));
    assert_eq!(session.agent().pending(), left, "the reply changed");
    let mut reply = first;
    reply.extend(session.send(b""));
    let reply: serde_json::Value = serde_json::from_slice(&reply).expect("one whole reply");
    assert!(reply["return"]["supported_commands"].is_array());
}

#[test]
fn in_the_middle_of_a_request_and_without_a_client() {
    let (sim, mut session) = frozen_session();
    assert!(session.send(b"{\"execute\": \"guest-p").is_empty());
    pass(&sim, LIMIT_MS);
    assert_eq!(session.step(), Step::Receive);
    assert!(runs(&sim));
    assert_eq!(session.send(b"ing\"}\n"), b"{\"return\": {}}\n");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    session.disconnect();
    pass(&sim, LIMIT_MS);
    session.step();
    assert!(runs(&sim));
    assert_eq!(said(&sim), [OVER, OVER]);
}

#[test]
fn what_cannot_be_thawed_is_tried_again_after_the_same_time() {
    let (sim, mut session) = frozen_session();
    sim.with(|world| world.mounts.at("/mnt/a").thaw_error = Some(Errno::IO));
    for _ in 0..3 {
        pass(&sim, LIMIT_MS);
        session.step();
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
        assert_eq!(frozen(&sim, "/mnt/b"), None);
        let now_ms = sim.with(|world| world.time.now_ms);
        assert_eq!(session.agent().deadline(), Some(now_ms + LIMIT_MS));
        assert_eq!(said(&sim), Vec::<String>::new(), "nothing is logged while frozen");
    }
    sim.with(|world| world.mounts.at("/mnt/a").thaw_error = None);
    pass(&sim, LIMIT_MS);
    session.step();
    assert!(runs(&sim));
    assert_eq!(said(&sim), [OVER]);
}

#[test]
fn what_an_earlier_agent_froze_counts_from_the_start_on() {
    let (sim, mut session) = frozen_session();
    pass(&sim, LIMIT_MS - 1);
    session.restart().expect("a start");
    let now_ms = sim.with(|world| world.time.now_ms);
    assert_eq!(session.agent().deadline(), Some(now_ms + LIMIT_MS), "known before the first step");
    pass(&sim, LIMIT_MS);
    session.step();
    assert!(runs(&sim));
    assert_eq!(said(&sim), [OVER]);
}

/// No shutdown runs under frozen filesystems: it is refused until they run again, and then goes
/// through.
#[test]
fn a_shutdown_waits_for_the_end_of_a_freeze() {
    let (sim, mut session) = frozen_session();
    for mode in ["powerdown", "halt", "reboot"] {
        let request = format!(
            "{{\"execute\": \"guest-shutdown\", \"arguments\": {{\"mode\": \"{mode}\"}}}}\n"
        );
        let reply = String::from_utf8(session.send(request.as_bytes())).expect("ASCII");
        assert!(reply.contains("the agent is in frozen state"), "{mode}: {reply}");
    }
    sim.with(|world| assert!(world.machine.started.is_empty() && world.machine.ending.is_none()));
    pass(&sim, LIMIT_MS);
    session.step();
    assert!(runs(&sim));
    session.send(b"{\"execute\": \"guest-shutdown\"}\n");
    assert!(sim.with(|world| world.machine.ending.is_some()));
}

/// Freezes for so many seconds, everything or what is named.
fn freeze_for(session: &mut Large, seconds: i64, named: bool) -> serde_json::Value {
    let request = if named {
        json!({"execute": "guest-fsfreeze-freeze-list",
               "arguments": {"mountpoints": ["/mnt/a", "/mnt/b"], "timeout": seconds}})
    } else {
        json!({"execute": "guest-fsfreeze-freeze", "arguments": {"timeout": seconds}})
    };
    let output = session.send(format!("{request}\n").as_bytes());
    serde_json::from_slice(&output).expect("JSON")
}

/// A client may say itself how long it needs: the sooner limit counts, for this freeze alone.
#[test]
fn a_client_may_limit_its_freeze() {
    for named in [false, true] {
        let sim = disks(2);
        let mut session = Large::start(&sim).expect("a start");
        assert_eq!(freeze_for(&mut session, 3, named), json!({"return": 2}));
        pass(&sim, 2999);
        session.step();
        assert!(!runs(&sim));
        pass(&sim, 1);
        session.step();
        assert!(runs(&sim), "named: {named}");
        assert_eq!(said(&sim), [OVER]);
        // The thaw that comes too late finds nothing to do.
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
        // The next one has no limit.
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
        assert_eq!(session.agent().deadline(), None);
        pass(&sim, 1_000_000);
        session.step();
        assert!(!runs(&sim));
    }
}

#[test]
fn the_sooner_limit_counts() {
    for (seconds, over_ms) in [(2, 2000), (60, LIMIT_MS)] {
        let sim = disks(2);
        let mut session = limited(&sim);
        assert_eq!(freeze_for(&mut session, seconds, false), json!({"return": 2}));
        pass(&sim, over_ms - 1);
        session.step();
        assert!(!runs(&sim));
        pass(&sim, 1);
        session.step();
        assert!(runs(&sim), "{seconds} s");
    }
}

#[test]
fn a_limit_below_a_second_is_an_error_and_nothing_freezes() {
    let sim = disks(2);
    let mut session = Large::start(&sim).expect("a start");
    for named in [false, true] {
        for seconds in [0, -1, i64::MIN] {
            let desc =
                format!("value '{seconds}' is invalid for argument timeout: at least 1 second");
            let error = json!({"error": {"class": "GenericError", "desc": desc}});
            assert_eq!(freeze_for(&mut session, seconds, named), error);
        }
    }
    assert!(runs(&sim));
    assert_eq!(freeze_for(&mut session, i64::MAX, false), json!({"return": 2}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
}
