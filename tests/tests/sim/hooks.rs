//! The freeze hook: told before anything freezes and when everything runs again, in pairs, whatever
//! fails, hangs or is killed in between; how it failed is the reply.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::limits::FREEZE_STEP_MS_MAX;
use qga_core::platform::{Exit, Level, Moment};
use qga_core::{Errno, Step};
use qga_sim::hooks::Hook;
use qga_sim::mounts::By;
use qga_sim::{Fate, Fault, Kind, Sim};
use serde_json::{Value, json};

fn hooked(hook: Hook, workers: bool) -> (Sim, Large) {
    let sim = disks(3);
    sim.with(|world| {
        world.workers.offered = workers;
        world.hook = Some(hook);
    });
    let session = Large::start(&sim).expect("a start");
    (sim, session)
}

fn told(sim: &Sim) -> Vec<Moment> {
    sim.with(|world| world.hook.as_ref().expect("a hook").told.clone())
}

fn error(text: &str) -> Value {
    json!({"error": {"class": "GenericError", "desc": text}})
}

/// Nothing is frozen or on record, and the hook has heard of every end.
fn clean(sim: &Sim) {
    sim.with(|world| {
        assert_eq!(world.violations, Vec::<String>::new());
        assert!(!world.mounts.is_frozen_by_agent());
        assert_eq!(world.store.mark(), None);
        let hook = world.hook.as_ref().expect("a hook");
        assert!(hook.is_in_pairs(), "{:?}", hook.told);
    });
}

const BOTH: [Moment; 2] = [Moment::Freeze, Moment::Thaw];

#[test]
fn it_is_told_before_anything_freezes_and_when_everything_runs_again() {
    for workers in [false, true] {
        let (sim, mut session) = hooked(Hook::default(), workers);
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}));
        assert_eq!(told(&sim), [Moment::Freeze]);
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}));
        assert_eq!(told(&sim), BOTH);
        // There was no freeze: nothing to tell.
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
        assert_eq!(told(&sim), BOTH);
        clean(&sim);
    }
}

/// The reference leaves it without a thaw.
#[test]
fn a_freeze_of_nothing_is_a_pair() {
    for workers in [false, true] {
        let (sim, mut session) = hooked(Hook::default(), workers);
        let none = b"{\"execute\": \"guest-fsfreeze-freeze-list\", \
                     \"arguments\": {\"mountpoints\": []}}\n";
        assert_eq!(session.send(none), b"{\"return\": 0}\n");
        assert_eq!(told(&sim), BOTH);
        clean(&sim);
    }
}

#[test]
fn a_hook_that_fails_stops_the_freeze_and_hears_of_its_end() {
    for workers in [false, true] {
        let output = b"cannot \"lock\"\xFF\n\n".to_vec();
        let hook = Hook { freeze_exit: Exit::Status(3), output, ..Hook::default() };
        let (sim, mut session) = hooked(hook, workers);
        let text = "failed to run the fsfreeze hook with: \
                    freeze: exit status 3: cannot \"lock\"\u{FFFD}";
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), error(text));
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
        assert!(sim.with(|world| world.mounts.changes.is_empty()), "something froze");
        assert_eq!(told(&sim), BOTH);
        clean(&sim);
        let is_said = |line: &qga_sim::LogLine| {
            line.level == Level::Error && line.text.contains("exit status 3")
        };
        assert!(sim.with(|world| world.log.iter().any(is_said)));
    }
}

#[test]
fn one_that_fails_at_the_end_is_an_error_and_everything_runs() {
    for workers in [false, true] {
        let hook = Hook { thaw_exit: Exit::Signal(11), ..Hook::default() };
        let (sim, mut session) = hooked(hook, workers);
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}));
        let text = "failed to run the fsfreeze hook with: thaw: killed by signal 11:";
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), error(text));
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
        clean(&sim);
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
        assert_eq!(told(&sim), BOTH);
    }
}

#[test]
fn one_that_is_not_there_is_named() {
    let hook = Hook { error: Some(Errno::NOENT), ..Hook::default() };
    let (sim, mut session) = hooked(hook, true);
    let text = "failed to run the fsfreeze hook with freeze: No such file or directory";
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), error(text));
    assert_eq!(told(&sim), []);
    clean(&sim);
}

#[test]
fn one_that_does_not_end_is_killed_in_time() {
    for workers in [false, true] {
        let (sim, mut session) = hooked(Hook { runs_ms: None, ..Hook::default() }, workers);
        let begun = sim.with(|world| world.time.now_ms);
        let text = "failed to run the fsfreeze hook with freeze: Connection timed out";
        let reply = ask(&mut session, "fsfreeze-freeze");
        let desc = reply["error"]["desc"].as_str().expect("an error");
        assert!(desc.starts_with(text), "{desc}");
        let (took_ms, killed) = sim
            .with(|world| (world.time.now_ms - begun, world.hook.as_ref().expect("a hook").killed));
        assert_eq!(killed, 2);
        assert!((2 * FREEZE_STEP_MS_MAX..2 * FREEZE_STEP_MS_MAX + 200).contains(&took_ms));
        assert_eq!(told(&sim), BOTH);
        clean(&sim);
    }
}

#[test]
fn the_time_limit_of_freezes_tells_it_too() {
    let sim = disks(2);
    sim.with(|world| world.hook = Some(Hook::default()));
    let mut session = Large::unstarted();
    session.sim = sim.clone();
    session.freeze_ms_max = Some(5000);
    session.restart().expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    sim.with(|world| world.time.advance(5000));
    session.step();
    assert_eq!(told(&sim), BOTH);
    clean(&sim);
}

/// The mark says that it was told of a freeze, so the agent that comes after one that was killed
/// tells it of the thaw, wherever that was.
#[test]
fn killed_anywhere_it_still_hears_of_the_end() {
    for workers in [false, true] {
        let count = |command: &str| {
            let (sim, mut session) = hooked(Hook::default(), workers);
            if command != "fsfreeze-freeze" {
                ask(&mut session, "fsfreeze-freeze");
            }
            sim.with(|world| world.faults.clear());
            ask(&mut session, command);
            sim.with(|world| world.faults.calls())
        };
        for command in ["fsfreeze-freeze", "fsfreeze-thaw"] {
            let calls = count(command);
            assert!(calls > 15, "only {calls} calls");
            for at in 0..calls {
                let (sim, mut session) = hooked(Hook::default(), workers);
                if command != "fsfreeze-freeze" {
                    ask(&mut session, "fsfreeze-freeze");
                }
                sim.with(|world| {
                    world.faults.clear();
                    world.faults.cut_after(at);
                });
                session.send(format!("{{\"execute\": \"guest-{command}\"}}\n").as_bytes());
                sim.with(|world| world.faults.clear());
                session.restart().expect("a start");
                let _ = ask(&mut session, "fsfreeze-thaw");
                clean(&sim);
            }
        }
    }
}

/// The same for the worker alone, killed or hanging.
#[test]
fn a_worker_that_is_killed_anywhere_leaves_it_told() {
    for (command, fate) in [
        ("fsfreeze-freeze", Fate::Killed),
        ("fsfreeze-thaw", Fate::Killed),
        ("fsfreeze-freeze", Fate::Slow),
    ] {
        for at in 0..200 {
            let (sim, mut session) = hooked(Hook::default(), true);
            if command != "fsfreeze-freeze" {
                ask(&mut session, "fsfreeze-freeze");
            }
            sim.with(|world| {
                world.workers.stops_at = Some((at, fate));
                world.workers.strikes = 1;
            });
            session.put(format!("{{\"execute\": \"guest-{command}\"}}\n").as_bytes());
            let mut reply = Vec::new();
            while !reply.ends_with(b"\n") {
                match session.step() {
                    Step::Transmit => reply.extend(session.take(usize::MAX)),
                    _ => sim.with(|world| world.time.advance(1000)),
                }
            }
            let struck = sim.with(|world| world.workers.stops_at.take().is_none());
            let _ = ask(&mut session, "fsfreeze-thaw");
            clean(&sim);
            if !struck {
                break;
            }
        }
    }
}

/// One fault at each call: nothing stays frozen, and it is in pairs unless it could not be started.
#[test]
fn one_fault_anywhere_leaves_no_half_pair() {
    for at in 0..400 {
        let (sim, mut session) = hooked(Hook::default(), false);
        sim.with(|world| {
            world.faults.clear();
            let errno = Errno::IO;
            world.faults.fail(Fault { kind: None, number: at, errno, lasting: false });
        });
        let _ = ask(&mut session, "fsfreeze-freeze");
        let _ = ask(&mut session, "fsfreeze-thaw");
        let (struck, was_start) = sim.with(|world| {
            let failed = world.faults.trace().iter().find(|call| call.failed.is_some());
            let (kind, calls) = (failed.map(|call| call.kind), world.faults.calls());
            world.faults.clear();
            (at < calls, kind == Some(Kind::StartHook))
        });
        let _ = ask(&mut session, "fsfreeze-thaw");
        assert_eq!(frozen(&sim, "/mnt/a"), None::<By>, "at {at}");
        if !was_start {
            let hook = sim.with(|world| world.hook.clone()).expect("a hook");
            assert!(hook.is_in_pairs(), "at {at}: {:?}", hook.told);
        }
        if !struck {
            return;
        }
    }
}
