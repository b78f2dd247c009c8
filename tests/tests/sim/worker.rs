//! Freezes by a worker: wherever it is killed, is slow or hangs, the agent answers, what it was
//! asked for is done or is an error, and nothing stays frozen that nobody knows of.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::limits::{FREEZE_STEP_MS_MAX, HANGING_MAX, LINGER_MS_MAX};
use qga_core::{Errno, Step};
use qga_sim::mounts::{By, Hang};
use qga_sim::{Fate, Fault, Kind, Sim};
use serde_json::{Value, json};

const DISKS: usize = 4;
const POINTS: [&str; DISKS] = ["/mnt/a", "/mnt/b", "/mnt/c", "/mnt/d"];

/// A guest with disks and workers.
fn guest() -> Sim {
    let sim = disks(DISKS);
    sim.with(|world| world.workers.offered = true);
    sim
}

fn hang(sim: &Sim, point: &str, what: Option<Hang>) {
    sim.with(|world| world.mounts.at(point).hangs = what);
}

/// What hangs is let go.
fn release(sim: &Sim) {
    for point in POINTS {
        hang(sim, point, None);
    }
    sim.with(|world| {
        world.workers.stops_at = None;
        world.workers.release();
    });
}

/// What hangs is let go, and freezes after its worker was killed, which so cannot undo it.
fn freezes_too_late(sim: &Sim, point: &str) {
    hang(sim, point, None);
    sim.with(|world| {
        world.mounts.at(point).frozen = Some(By::Agent);
        world.workers.release();
    });
}

/// The client gives up what it has asked for.
fn sync(session: &mut Large) {
    let text = "{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 5}}\n";
    assert_eq!(session.put(text.as_bytes()), text.len());
    assert_eq!(go_on(session), Some(json!({"return": 5})));
}

fn how_many_frozen(sim: &Sim) -> usize {
    POINTS.iter().filter(|point| frozen(sim, point) == Some(By::Agent)).count()
}

/// Sends a request and steps until the agent waits or wants more; what it has answered.
fn send(session: &mut Large, command: &str) -> Option<Value> {
    let text = format!("{{\"execute\": \"guest-{command}\"}}\n");
    assert_eq!(session.put(text.as_bytes()), text.len());
    go_on(session)
}

/// Steps until the agent waits or wants more; what it says.
fn go_on(session: &mut Large) -> Option<Value> {
    let mut said = Vec::new();
    for _ in 0..1000 {
        match session.step() {
            Step::Transmit => said.extend(session.take(usize::MAX)),
            Step::Continue => {}
            Step::Receive | Step::Wait | Step::Exit => {
                let text = said.escape_ascii().to_string();
                let value = || serde_json::from_slice(&said).unwrap_or_else(|_| panic!("{text}"));
                return (!said.is_empty()).then(value);
            }
        }
    }
    panic!("it goes on and on");
}

/// Lets time pass up to the agent's deadline, again and again, until it says something.
fn wait(sim: &Sim, session: &mut Large) -> Value {
    for _ in 0..=2 * FREEZE_STEP_MS_MAX / LINGER_MS_MAX {
        let deadline_ms = session.agent().deadline().expect("a deadline");
        sim.with(|world| world.time.advance(deadline_ms.saturating_sub(world.time.now_ms).max(1)));
        if let Some(value) = go_on(session) {
            return value;
        }
    }
    panic!("it waits for ever");
}

fn failed(text: &str) -> Value {
    json!({"error": {"class": "GenericError", "desc": text}})
}

/// Everything runs, nobody holds anything, and the next freeze is one like any other.
fn all_well(sim: &Sim, session: &mut Large) {
    // Whoever lingered is looked for now and then.
    sim.with(|world| world.time.advance(2 * LINGER_MS_MAX));
    let _ = go_on(session);
    assert_eq!(how_many_frozen(sim), 0);
    assert_eq!(ask(session, "fsfreeze-status"), json!({"return": "thawed"}));
    assert_eq!(ask(session, "fsfreeze-freeze"), json!({"return": DISKS}));
    assert_eq!(how_many_frozen(sim), DISKS);
    assert_eq!(ask(session, "fsfreeze-status"), json!({"return": "frozen"}));
    assert_eq!(ask(session, "fsfreeze-thaw"), json!({"return": DISKS}));
    assert_eq!(how_many_frozen(sim), 0);
    sim.with(|world| {
        assert_eq!(world.violations, Vec::<String>::new());
        assert_eq!((world.open.filesystems, world.open.marks, world.open.tables), (0, 0, 0));
        assert_eq!(world.store.mark(), None);
        assert_eq!(world.mounts.thawed_of_others, 0);
    });
}

/// How many platform calls the worker of a command makes, after another command.
fn calls_of(before: Option<&str>, command: &str) -> u64 {
    let sim = guest();
    let mut session = Large::start(&sim).expect("a start");
    if let Some(before) = before {
        ask(&mut session, before);
    }
    ask(&mut session, command);
    sim.with(|world| world.workers.calls)
}

fn stops_at(sim: &Sim, call: u64, fate: Fate) {
    sim.with(|world| world.workers.stops_at = Some((call, fate)));
}

#[test]
fn freezes_and_thaws_as_the_agent_would() {
    let sim = guest();
    let mut session = Large::start(&sim).expect("a start");
    all_well(&sim, &mut session);
    assert_eq!(sim.with(|world| world.workers.begun), 2);
    // Without a mark nothing is to be taken over: no worker at the start.
    session.restart().expect("a start");
    assert_eq!(sim.with(|world| world.workers.begun), 2);
}

#[test]
fn a_worker_killed_anywhere_in_a_freeze_is_an_error_and_a_roll_back() {
    for call in 0..calls_of(None, "fsfreeze-freeze") {
        let sim = guest();
        let mut session = Large::start(&sim).expect("a start");
        stops_at(&sim, call, Fate::Killed);
        // The one that rolls back is not struck.
        let text = "{\"execute\": \"guest-fsfreeze-freeze\"}\n";
        assert_eq!(session.put(text.as_bytes()), text.len());
        sim.with(|world| world.workers.strikes = 1);
        let reply = go_on(&mut session).expect("an answer");
        assert!(reply["error"]["desc"].is_string(), "call {call}: {reply}");
        sim.with(|world| world.workers.stops_at = None);
        all_well(&sim, &mut session);
    }
}

#[test]
fn where_a_worker_is_killed_in_a_thaw_another_one_goes_on() {
    for call in 0..calls_of(Some("fsfreeze-freeze"), "fsfreeze-thaw") {
        let sim = guest();
        let mut session = Large::start(&sim).expect("a start");
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": DISKS}));
        stops_at(&sim, call, Fate::Killed);
        sim.with(|world| world.workers.strikes = 1);
        let reply = send(&mut session, "fsfreeze-thaw").expect("an answer");
        // Of one that ran again before the worker could say so nobody knows who did that.
        let thawed = reply["return"].as_u64().unwrap_or_default() as usize;
        assert!((DISKS - 1..=DISKS).contains(&thawed), "call {call}: {reply}");
        all_well(&sim, &mut session);
    }
}

/// Agent and worker die together, at each call; the next agent knows.
#[test]
fn both_killed_anywhere_the_next_agent_knows() {
    for (before, command) in [(None, "fsfreeze-freeze"), (Some("fsfreeze-freeze"), "fsfreeze-thaw")]
    {
        for call in 0..calls_of(before, command) {
            let sim = guest();
            let mut session = Large::start(&sim).expect("a start");
            if let Some(before) = before {
                ask(&mut session, before);
            }
            stops_at(&sim, call, Fate::Hangs);
            sim.with(|world| world.workers.strikes = 1);
            send(&mut session, command);
            // Killed where it hangs: what it was about it has not done.
            sim.with(|world| world.workers.kill());
            session.restart().expect("a start");
            let left = how_many_frozen(&sim);
            match ask(&mut session, "fsfreeze-status")["return"].as_str() {
                Some("thawed") => assert_eq!(left, 0, "{command} call {call}"),
                Some("frozen") => {
                    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": left}));
                }
                other => panic!("{command} call {call}: {other:?}"),
            }
            all_well(&sim, &mut session);
        }
    }
}

/// The client gives up, syncs and thaws, wherever the worker is.
#[test]
fn a_thaw_in_the_middle_of_a_freeze_ends_it() {
    for call in 0..calls_of(None, "fsfreeze-freeze") {
        let sim = guest();
        let mut session = Large::start(&sim).expect("a start");
        stops_at(&sim, call, Fate::Slow);
        sim.with(|world| world.workers.strikes = 1);
        assert_eq!(send(&mut session, "fsfreeze-freeze"), None, "call {call}");
        sync(&mut session);
        assert_eq!(send(&mut session, "fsfreeze-status"), Some(json!({"return": "frozen"})));
        let thawed = send(&mut session, "fsfreeze-thaw").expect("an answer");
        assert!(thawed["return"].is_number(), "call {call}: {thawed}");
        assert_eq!(how_many_frozen(&sim), 0, "call {call}");
        all_well(&sim, &mut session);
    }
}

#[test]
fn a_freeze_that_hangs_is_given_up_rolled_back_and_named() {
    for point in POINTS {
        let sim = guest();
        let mut session = Large::start(&sim).expect("a start");
        hang(&sim, point, Some(Hang::Freeze));
        let begun_ms = sim.with(|world| world.time.now_ms);
        assert_eq!(send(&mut session, "fsfreeze-freeze"), None);
        assert_eq!(session.agent().deadline(), Some(begun_ms + FREEZE_STEP_MS_MAX));
        let reply = wait(&sim, &mut session);
        assert_eq!(reply, failed(&format!("failed to freeze {point}: Connection timed out")));
        assert_eq!(how_many_frozen(&sim), 0);
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
        // It hangs still, so nothing can freeze, and a thaw has nothing to do.
        let text = format!("an earlier freeze still hangs on {point}: Device or resource busy");
        assert_eq!(send(&mut session, "fsfreeze-freeze"), Some(failed(&text)));
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
        assert!(sim.with(|world| world.store.mark()).is_some(), "the next agent is to know");
        release(&sim);
        all_well(&sim, &mut session);
    }
}

/// Killed while it hangs, by hand: what freezes after that is thawed when it is gone.
#[test]
fn a_late_freeze_of_a_killed_worker_is_thawed() {
    for restarts in [false, true] {
        let sim = guest();
        let mut session = Large::start(&sim).expect("a start");
        hang(&sim, "/mnt/b", Some(Hang::Freeze));
        assert_eq!(send(&mut session, "fsfreeze-freeze"), None);
        let _ = wait(&sim, &mut session);
        if restarts {
            session.restart().expect("a start");
            assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
            // Nobody is kept waiting for what hangs.
            sim.with(|world| world.time.advance(LINGER_MS_MAX));
            assert_eq!(go_on(&mut session), None);
            assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
        }
        freezes_too_late(&sim, "/mnt/b");
        all_well(&sim, &mut session);
    }
}

/// The same after a thaw or a SIGTERM that ended the freeze: what was about to freeze stays on
/// record.
#[test]
fn a_late_freeze_is_thawed_after_a_thaw_or_the_end_of_the_agent() {
    for stops in [false, true] {
        let sim = guest();
        let mut session = Large::start(&sim).expect("a start");
        hang(&sim, "/mnt/b", Some(Hang::Freeze));
        assert_eq!(send(&mut session, "fsfreeze-freeze"), None);
        if stops {
            session.stop();
            let _ = wait(&sim, &mut session);
            assert_eq!(session.step(), Step::Exit);
            session.restart().expect("a start");
        } else {
            sync(&mut session);
            assert_eq!(send(&mut session, "fsfreeze-thaw"), None);
            assert_eq!(wait(&sim, &mut session), json!({"return": 2}));
        }
        freezes_too_late(&sim, "/mnt/b");
        all_well(&sim, &mut session);
    }
}

/// What others froze is theirs, also when the agent looks after what hung before there was a mark.
#[test]
fn looking_after_what_hung_thaws_nothing_of_others() {
    let sim = guest();
    let mut session = Large::start(&sim).expect("a start");
    hang(&sim, "/mnt/b", Some(Hang::Look));
    assert_eq!(send(&mut session, "fsfreeze-freeze"), None);
    let _ = wait(&sim, &mut session);
    assert_eq!(send(&mut session, "fsfreeze-freeze"), None);
    let text = "an earlier freeze still hangs on /mnt/b: Device or resource busy";
    assert_eq!(wait(&sim, &mut session), failed(text));
    sim.with(|world| world.mounts.at("/mnt/d").frozen = Some(By::Other));
    release(&sim);
    sim.with(|world| world.time.advance(2 * LINGER_MS_MAX));
    assert_eq!(go_on(&mut session), None);
    assert_eq!(frozen(&sim, "/mnt/d"), Some(By::Other));
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": DISKS - 1}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": DISKS - 1}));
    assert_eq!(frozen(&sim, "/mnt/d"), Some(By::Other));
}

/// Whoever thaws while the freeze is rolled back hears of the thaw, not of the freeze.
#[test]
fn a_thaw_that_joins_a_roll_back_is_a_thaw() {
    let sim = guest();
    let mut session = Large::start(&sim).expect("a start");
    hang(&sim, "/mnt/b", Some(Hang::Freeze));
    hang(&sim, "/mnt/d", Some(Hang::Thaw));
    assert_eq!(send(&mut session, "fsfreeze-freeze"), None);
    sim.with(|world| world.time.advance(FREEZE_STEP_MS_MAX));
    assert_eq!(go_on(&mut session), None, "/mnt/d is not given up yet");
    sync(&mut session);
    assert_eq!(send(&mut session, "fsfreeze-thaw"), None);
    let text = "failed to thaw /mnt/d: Connection timed out";
    assert_eq!(wait(&sim, &mut session), failed(text));
    release(&sim);
    // What was about to freeze is looked after, and with it what could not be thawed.
    all_well(&sim, &mut session);
}

#[test]
fn a_look_that_hangs_is_named_and_nothing_freezes() {
    let sim = guest();
    let mut session = Large::start(&sim).expect("a start");
    hang(&sim, "/mnt/c", Some(Hang::Look));
    assert_eq!(send(&mut session, "fsfreeze-freeze"), None);
    let text = "failed to open /mnt/c: Connection timed out";
    assert_eq!(wait(&sim, &mut session), failed(text));
    assert_eq!(sim.with(|world| world.mounts.changes.clone()), []);
    release(&sim);
    all_well(&sim, &mut session);
}

#[test]
fn a_thaw_that_hangs_is_named_and_the_others_run() {
    let sim = guest();
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": DISKS}));
    for point in ["/mnt/b", "/mnt/c"] {
        hang(&sim, point, Some(Hang::Thaw));
    }
    assert_eq!(send(&mut session, "fsfreeze-thaw"), None);
    let text = "failed to thaw /mnt/b: Connection timed out";
    assert_eq!(wait(&sim, &mut session), failed(text));
    assert_eq!(how_many_frozen(&sim), 2);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    release(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    all_well(&sim, &mut session);
}

/// What an earlier agent froze hangs when it is looked for: the others are held, and it is not
/// forgotten.
#[test]
fn taking_over_hangs() {
    let sim = guest();
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": DISKS}));
    hang(&sim, "/mnt/b", Some(Hang::Look));
    session.restart().expect("a start");
    assert_eq!(send(&mut session, "fsfreeze-status"), Some(json!({"return": "frozen"})));
    sim.with(|world| world.time.advance(FREEZE_STEP_MS_MAX));
    assert_eq!(send(&mut session, "fsfreeze-status"), Some(json!({"return": "error"})));
    assert_eq!(send(&mut session, "fsfreeze-thaw"), None);
    let text = "failed to open /mnt/b: Connection timed out";
    assert_eq!(wait(&sim, &mut session), failed(text));
    assert_eq!(how_many_frozen(&sim), 1);
    release(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    all_well(&sim, &mut session);
}

#[test]
fn the_time_of_a_freeze_holds_while_it_hangs() {
    const LIMIT_MS: u64 = 5000;
    let sim = guest();
    let mut session = Large::unstarted();
    session.sim = sim.clone();
    session.freeze_ms_max = Some(LIMIT_MS);
    session.restart().expect("a start");
    hang(&sim, "/mnt/b", Some(Hang::Freeze));
    assert_eq!(send(&mut session, "fsfreeze-freeze"), None);
    sim.with(|world| world.time.advance(LIMIT_MS - 1));
    assert_eq!(go_on(&mut session), None);
    assert_eq!(how_many_frozen(&sim), 2);
    let reply = wait(&sim, &mut session);
    let text = "thawed before this reply could leave: told to stop, or the freeze took too long";
    assert_eq!(reply, failed(text));
    assert_eq!(how_many_frozen(&sim), 0);
    let over =
        "no thaw came within its time (timeout, --freeze-timeout): all filesystems run again";
    let said = |sim: &Sim| sim.with(|world| world.log.iter().any(|line| line.text == over));
    assert!(!said(&sim), "the log may lie on what hangs");
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
    release(&sim);
    all_well(&sim, &mut session);
    assert!(said(&sim));
}

#[test]
fn told_to_stop_while_a_freeze_hangs() {
    let sim = guest();
    let mut session = Large::start(&sim).expect("a start");
    hang(&sim, "/mnt/b", Some(Hang::Freeze));
    assert_eq!(send(&mut session, "fsfreeze-freeze"), None);
    session.stop();
    // What that one was about may come to its end by itself; the others are not kept waiting for
    // it.
    let reply = wait(&sim, &mut session);
    let text = "thawed before this reply could leave: told to stop, or the freeze took too long";
    assert_eq!(reply, failed(text));
    assert_eq!(session.step(), Step::Exit);
    assert_eq!(how_many_frozen(&sim), 0);
}

#[test]
fn more_hang_than_anybody_waits_for() {
    const COUNT: usize = HANGING_MAX + 4;
    let sim = disks(COUNT);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": COUNT}));
    let points: Vec<String> = ('a'..).take(COUNT).map(|name| format!("/mnt/{name}")).collect();
    sim.with(|world| world.workers.offered = true);
    points.iter().for_each(|point| hang(&sim, point, Some(Hang::Thaw)));
    assert_eq!(send(&mut session, "fsfreeze-thaw"), None);
    let text = "failed to thaw /mnt/a: Connection timed out";
    assert_eq!(wait(&sim, &mut session), failed(text));
    let passed_ms = HANGING_MAX as u64 * FREEZE_STEP_MS_MAX;
    assert!(sim.with(|world| world.time.now_ms) <= 2 * passed_ms);
    points.iter().for_each(|point| hang(&sim, point, None));
    sim.with(|world| world.workers.release());
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": COUNT}));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
}

/// A freeze is of no use to anybody if it can hang the agent; a thaw must go on, whatever memory
/// there is.
#[test]
fn without_memory_for_a_worker_nothing_freezes_and_everything_thaws() {
    let sim = guest();
    let mut session = Large::start(&sim).expect("a start");
    let short =
        |number| Fault { kind: Some(Kind::Work), number, errno: Errno::NOMEM, lasting: false };
    sim.with(|world| world.faults.fail(short(0)));
    let text = "failed to start a worker: Cannot allocate memory";
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), failed(text));
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": DISKS}));
    sim.with(|world| world.faults.fail(short(2)));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": DISKS}));
    all_well(&sim, &mut session);
}
