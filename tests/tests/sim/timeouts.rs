//! Programs that may run for so long: when they are killed and what is said of it, that nothing
//! wakes the agent without need, and that nothing keeps it from that.

use crate::exec::{
    SYNC, SYNCED, daemon, exec, failure, guest, open, print, programs, run, send, status,
};
use crate::guest::Large;
use qga_core::platform::{Device, Exit};
use qga_core::{Errno, Step};
use qga_sim::exec::Executable;
use qga_sim::{Fault, Kind, Sim};
use serde_json::{Value, json};

fn now_ms(sim: &Sim) -> u64 {
    sim.with(|world| world.time.now_ms)
}

/// Time passes, and the agent is woken at its deadlines, as often as it asks for; how often.
fn pass(sim: &Sim, session: &mut Large, ms: u64) -> usize {
    let end_ms = now_ms(sim) + ms;
    let mut woken = 0;
    while let Some(at_ms) = session.agent().deadline().filter(|&at_ms| at_ms <= end_ms) {
        sim.with(|world| world.time.now_ms = at_ms.max(world.time.now_ms));
        session.step();
        woken += 1;
        assert!(woken < 10_000, "it wakes for nothing");
    }
    sim.with(|world| world.time.now_ms = end_ms);
    woken
}

fn timed_out() -> Value {
    json!({"return": {"signal": 9, "timed-out": true, "exited": true}})
}

#[test]
fn a_program_is_killed_when_its_time_is_over() {
    let (sim, mut session) = guest(&[daemon()]);
    let untimed = exec(&mut session, json!({"path": "/bin/p"}));
    assert_eq!(session.agent().deadline(), None, "nothing wakes it");
    let started_ms = now_ms(&sim);
    let pid = exec(&mut session, json!({"path": "/bin/p", "timeout": 7}));
    session.step();
    assert_eq!(session.agent().deadline(), Some(started_ms + 7000));
    assert_eq!(pass(&sim, &mut session, 6999), 0);
    session.step();
    assert_eq!(status(&mut session, pid), json!({"return": {"exited": false}}));
    assert_eq!(pass(&sim, &mut session, 1), 1);
    assert_eq!(sim.with(|world| world.exec.killed.clone()), [(1, started_ms + 7000)]);
    assert_eq!(status(&mut session, pid), timed_out());
    assert_eq!(status(&mut session, pid), failure(&format!("PID {pid} does not exist")));
    assert_eq!(status(&mut session, untimed), json!({"return": {"exited": false}}));
    assert_eq!((session.agent().deadline(), programs(&session).len()), (None, 1));
}

#[test]
fn what_it_has_printed_comes_back() {
    let (sim, mut session) = guest(&[Executable { runs_ms: None, ..print(b"hi\n") }]);
    let request = json!({"path": "/bin/p", "capture-output": true, "timeout": 1});
    let pid = exec(&mut session, request);
    pass(&sim, &mut session, 1000);
    let request =
        format!("{{\"execute\":\"guest-exec-status\",\"arguments\":{{\"pid\":{pid}}}}}\n");
    let expected = "{\"return\": {\"signal\": 9, \"timed-out\": true, \"out-data\": \"aGkK\", \
                    \"out-truncated\": false, \"exited\": true}}\n";
    assert_eq!(String::from_utf8_lossy(&session.send(request.as_bytes())), expected);
    assert_eq!(open(&sim), 0);
}

#[test]
fn who_ends_in_time_is_not_killed() {
    let program = |exit| Executable { runs_ms: Some(1500), exit, ..print(b"") };
    for exit in [Exit::Status(3), Exit::Signal(15), Exit::Signal(9)] {
        let (sim, mut session) = guest(&[program(exit)]);
        let pid = exec(&mut session, json!({"path": "/bin/p", "timeout": 2}));
        sim.with(|world| world.time.advance(1500));
        session.step();
        // It may be asked for late.
        assert_eq!(session.agent().deadline(), None);
        sim.with(|world| world.time.advance(9000));
        let reply = status(&mut session, pid)["return"].clone();
        assert_eq!(reply.get("timed-out"), None, "{reply}");
        assert_eq!(sim.with(|world| world.exec.killed.len()), 0);
    }
    // Nor who ends at that moment.
    let (sim, mut session) = guest(&[program(Exit::Status(3))]);
    let pid = exec(&mut session, json!({"path": "/bin/p", "timeout": 1}));
    sim.with(|world| world.time.advance(1500));
    let reply = status(&mut session, pid);
    assert_eq!(reply, json!({"return": {"exitcode": 3, "exited": true}}));
    assert_eq!(sim.with(|world| world.exec.killed.len()), 0);
}

#[test]
fn a_time_is_a_whole_number_of_seconds() {
    let (sim, mut session) = guest(&[daemon()]);
    let wrong = failure("Invalid parameter type for 'timeout', expected: integer");
    let few = |seconds: i64| {
        failure(&format!("value '{seconds}' is invalid for argument timeout: at least 1 second"))
    };
    for (timeout, expected) in [
        (json!(0), few(0)),
        (json!(-1), few(-1)),
        (json!(i64::MIN), few(i64::MIN)),
        (json!("1"), wrong.clone()),
        (json!(1.5), wrong.clone()),
        (json!(true), wrong.clone()),
        (json!(null), wrong.clone()),
        (json!(u64::MAX), wrong),
    ] {
        let reply = send(&mut session, "exec", &json!({"path": "/bin/p", "timeout": timeout}));
        assert_eq!(reply, expected, "{timeout}");
    }
    let reply = send(&mut session, "exec", &json!({"path": "/bin/p", "stream-output": 1}));
    let wrong = failure("Invalid parameter type for 'stream-output', expected: boolean");
    assert_eq!(reply, wrong);
    assert_eq!(sim.with(|world| world.exec.spawned), 0);
    // As long as a number can say.
    exec(&mut session, json!({"path": "/bin/p", "timeout": i64::MAX}));
    assert_eq!(pass(&sim, &mut session, 1 << 40), 0);
}

#[test]
fn a_hundred_end_each_in_its_time() {
    let (sim, mut session) = guest(&[daemon()]);
    let started_ms = now_ms(&sim);
    let times: Vec<u64> = (0..100).map(|at| 1 + at * 37 % 50).collect();
    let start = |seconds| exec(&mut session, json!({"path": "/bin/p", "timeout": seconds}));
    let pids: Vec<i64> = times.iter().map(start).collect();
    // Once for each of the times, of which there are two each, and once for each end.
    let woken = pass(&sim, &mut session, 50_000);
    assert!(woken <= 100, "woken {woken} times");
    let killed = sim.with(|world| world.exec.killed.clone());
    assert_eq!(killed.len(), 100);
    for (place, at_ms) in killed {
        assert_eq!(at_ms, started_ms + times[place] * 1000);
    }
    for pid in pids {
        assert_eq!(status(&mut session, pid), timed_out());
    }
    assert_eq!(session.agent().deadline(), None);
}

/// Whoever waits for an execve(2) on a dead disk is answered, as the kernel lets the process go.
#[test]
fn an_execve_that_hangs_has_its_time_as_well() {
    let hangs = Executable { begins_ms: None, ..daemon() };
    let (sim, mut session) = guest(&[hangs]);
    let started_ms = now_ms(&sim);
    let pid = exec(&mut session, json!({"path": "/bin/p", "timeout": 20}));
    assert!((20_000..=21_000).contains(&(now_ms(&sim) - started_ms)));
    assert_eq!(status(&mut session, pid), timed_out());
}

#[test]
fn a_job_that_holds_the_channel_keeps_nobody_alive() {
    let hangs = Executable { begins_ms: None, path: "/dead/p".into(), ..daemon() };
    let (sim, mut session) = guest(&[daemon(), hangs]);
    let pid = exec(&mut session, json!({"path": "/bin/p", "timeout": 3}));
    let started_ms = now_ms(&sim);
    session.put(b"{\"execute\": \"guest-exec\", \"arguments\": {\"path\": \"/dead/p\"}}\n");
    assert_eq!((session.step(), session.step()), (Step::Continue, Step::Wait));
    pass(&sim, &mut session, 5000);
    assert_eq!(sim.with(|world| world.exec.killed.clone()), [(0, started_ms + 3000)]);
    assert_eq!(session.send(SYNC), SYNCED);
    assert_eq!(status(&mut session, pid), timed_out());
}

#[test]
fn everything_frozen_keeps_nobody_alive() {
    let (sim, mut session) = guest(&[daemon()]);
    sim.with(|world| world.mount("ext4", Device::new(8, 1), "/mnt"));
    let pid = exec(&mut session, json!({"path": "/bin/p", "timeout": 3}));
    session.send(b"{\"execute\": \"guest-fsfreeze-freeze\"}\n");
    pass(&sim, &mut session, 5000);
    assert_eq!(sim.with(|world| world.exec.killed.len()), 1);
    session.send(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
    assert_eq!(status(&mut session, pid), timed_out());
}

#[test]
fn who_cannot_be_killed_is_tried_again() {
    let (sim, mut session) = guest(&[daemon()]);
    let started_ms = now_ms(&sim);
    let pid = exec(&mut session, json!({"path": "/bin/p", "timeout": 2}));
    sim.with(|world| {
        let (kind, errno) = (Some(Kind::Kill), Errno::PERM);
        world.faults.fail(Fault { kind, number: 0, errno, lasting: true });
    });
    assert!(pass(&sim, &mut session, 5000) <= 4);
    assert_eq!(status(&mut session, pid), json!({"return": {"exited": false}}));
    sim.with(|world| world.faults.mend());
    pass(&sim, &mut session, 1000);
    assert_eq!(sim.with(|world| world.exec.killed.clone()), [(0, started_ms + 6000)]);
    assert_eq!(status(&mut session, pid), timed_out());
}

#[test]
fn a_start_that_fails_leaves_no_time() {
    let (sim, mut session) = guest(&[]);
    let reply = send(&mut session, "exec", &json!({"path": "/bin/p", "timeout": 5}));
    assert!(reply["error"].is_object(), "{reply}");
    session.step();
    assert_eq!((session.agent().deadline(), programs(&session).len()), (None, 0));
    assert_eq!(pass(&sim, &mut session, 9000), 0);
    // One that nobody waits for.
    session.put(b"{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"x\",\"timeout\":5}}\n");
    assert_eq!((session.step(), programs(&session).len()), (Step::Continue, 1));
    session.disconnect();
    session.step();
    session.step();
    assert_eq!((session.agent().deadline(), programs(&session).len()), (None, 0));
}

/// A number of seconds is not needed by who has none: the same words as ever.
#[test]
fn a_program_in_time_is_told_as_one_without() {
    let (_, mut session) = guest(&[print(b"hi\n")]);
    let request = json!({"path": "/bin/p", "capture-output": true, "timeout": 1,
        "stream-output": false});
    let timed = run(&mut session, request);
    let untimed = run(&mut session, json!({"path": "/bin/p", "capture-output": true}));
    assert_eq!(timed, untimed);
}
