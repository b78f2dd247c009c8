//! Output of programs that is told while they run: what comes when, that it comes once and whole,
//! where the limit has dropped something, and that nothing else is held meanwhile.

use crate::exec::{CAP, daemon, data, exec, failure, guest, open, print, run, status};
use crate::guest::Small;
use qga_core::Errno;
use qga_sim::exec::{Executable, Print};
use qga_sim::{Fault, Kind, Sim};
use serde_json::{Value, json};

/// Something that is printed later.
fn later(after_ms: u64, bytes: &[u8]) -> Print {
    Print { after_ms, error: false, bytes: bytes.to_vec() }
}

fn arguments(wanted: &str) -> Value {
    json!({"path": "/bin/p", "capture-output": wanted, "stream-output": true})
}

fn advance(sim: &Sim, ms: u64) {
    sim.with(|world| world.time.advance(ms));
}

#[test]
fn what_was_printed_is_told_once_while_the_program_runs() {
    let mut program = Executable { runs_ms: Some(3000), ..print(b"a") };
    program.prints.push(Print { error: true, ..later(1000, b"e") });
    program.prints.push(later(1000, b"b"));
    program.prints.push(later(2500, b"c"));
    let (sim, mut session) = guest(&[program]);
    let pid = exec(&mut session, arguments("separated"));
    let request =
        format!("{{\"execute\":\"guest-exec-status\",\"arguments\":{{\"pid\":{pid}}}}}\n");
    let mut ask = |expected: &str| {
        let reply = session.send(request.as_bytes());
        assert_eq!(String::from_utf8_lossy(&reply), format!("{{\"return\": {expected}}}\n"));
    };
    ask("{\"exited\": false, \"out-data\": \"YQ==\", \"out-truncated\": false}");
    ask("{\"exited\": false}");
    advance(&sim, 1000);
    ask("{\"exited\": false, \"err-data\": \"ZQ==\", \"out-data\": \"Yg==\", \
         \"err-truncated\": false, \"out-truncated\": false}");
    ask("{\"exited\": false}");
    advance(&sim, 2000);
    ask("{\"exitcode\": 0, \"out-data\": \"Yw==\", \"out-truncated\": false, \"exited\": true}");
    assert_eq!(status(&mut session, pid), failure(&format!("PID {pid} does not exist")));
    assert_eq!(open(&sim), 0);
}

#[test]
fn without_the_argument_a_program_that_runs_tells_nothing() {
    let program = Executable { runs_ms: Some(1000), ..print(b"a") };
    for streams in [json!({}), json!({"stream-output": false})] {
        let (sim, mut session) = guest(std::slice::from_ref(&program));
        let mut request = json!({"path": "/bin/p", "capture-output": true});
        request.as_object_mut().unwrap().extend(streams.as_object().unwrap().clone());
        let pid = exec(&mut session, request);
        assert_eq!(status(&mut session, pid), json!({"return": {"exited": false}}));
        advance(&sim, 1000);
        assert_eq!(status(&mut session, pid)["return"]["out-data"], "YQ==");
        assert_eq!(sim.with(|world| world.faults.count(Kind::Forget)), 0);
    }
    // Nor one of whose output nothing is wanted.
    let (_, mut session) = guest(&[daemon()]);
    let pid = exec(&mut session, arguments("none"));
    assert_eq!(status(&mut session, pid), json!({"return": {"exited": false}}));
    let (_, mut session) = guest(&[print(b"x")]);
    let reply = run(&mut session, json!({"path": "/bin/p", "stream-output": true}));
    assert_eq!(reply, json!({"exitcode": 0, "exited": true}));
}

/// All that a program prints, as long as somebody asks, in the memory of what is not told yet.
#[test]
fn more_than_the_limit_comes_whole_and_is_not_held() {
    const PART: usize = (1 << 20) - 7;
    let part = |at: usize| vec![(at * 7) as u8; PART];
    let mut program = Executable { runs_ms: Some(50_000), ..print(b"") };
    for at in 0..50 {
        program.prints.push(later(at as u64 * 1000, &part(at)));
    }
    let (sim, mut session) = guest(&[program]);
    let pid = exec(&mut session, arguments("merged"));
    let mut whole = Vec::new();
    loop {
        let reply = status(&mut session, pid)["return"].clone();
        if let Some(part) = reply.get("out-data") {
            whole.extend(data(part));
            assert_eq!(reply["out-truncated"], false);
        }
        if reply["exited"] == true {
            break;
        }
        advance(&sim, 100);
        session.step();
    }
    assert!(whole == (0..50).flat_map(part).collect::<Vec<u8>>(), "{} bytes", whole.len());
    let held = sim.with(|world| world.exec.held_bytes_max);
    assert!(held <= 2 * PART, "{held} bytes were held");
    assert_eq!(open(&sim), 0);
}

#[test]
fn a_gap_is_told_with_what_stands_before_it() {
    let mut program = Executable { runs_ms: Some(9000), ..print(&vec![b'x'; CAP + 300_000]) };
    program.prints.push(later(5000, b"later"));
    let (sim, mut session) = guest(&[program]);
    let pid = exec(&mut session, arguments("stdout"));
    for _ in 0..1000 {
        session.step();
    }
    let mut ask = || status(&mut session, pid)["return"].clone();
    let reply = ask();
    assert!(data(&reply["out-data"]) == vec![b'x'; CAP]);
    assert_eq!((&reply["out-truncated"], &reply["exited"]), (&json!(true), &json!(false)));
    assert_eq!(ask(), json!({"exited": false}));
    advance(&sim, 5000);
    let reply = ask();
    let expected = json!({"exited": false, "out-data": "bGF0ZXI=", "out-truncated": false});
    assert_eq!(reply, expected);
    assert_eq!(sim.with(|world| world.exec.held_bytes_max), CAP);
}

/// A program that prints for ever, and a client that reads slowly: what came meanwhile, and the
/// end, are for the next reply.
#[test]
fn what_comes_while_a_reply_leaves_is_for_the_next() {
    let bytes: Vec<u8> = (0..3_000_000u32).map(|at| (at / 251) as u8).collect();
    let mut program = Executable { runs_ms: Some(10), ..print(&bytes[..1_000_000]) };
    program.prints.push(later(5, &bytes[1_000_000..]));
    let sim = Sim::new(1);
    sim.with(|world| world.exec.programs = vec![program]);
    let mut session = Small::start(&sim).expect("a start");
    let start = json!({"execute": "guest-exec", "arguments": arguments("stdout")});
    assert_eq!(session.send(format!("{start}\n").as_bytes()), b"{\"return\": {\"pid\": 4001}}\n");
    for _ in 0..100 {
        session.step();
    }
    let request = b"{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":4001}}\n";
    // Whoever goes away in the middle of a reply has lost nothing for who comes next.
    session.put(request);
    for _ in 0..20 {
        session.step();
        session.take(1000);
    }
    session.disconnect();
    session.take_bytes_max = 1000;
    session.put(request);
    let mut reply = Vec::new();
    for _ in 0..20 {
        session.step();
        reply.extend(session.take(1000));
    }
    sim.with(|world| world.time.advance(10));
    reply.extend(session.send(b""));
    let first: Value = serde_json::from_slice(&reply).expect("JSON");
    assert_eq!(first["return"]["exited"], false);
    assert_eq!(first["return"]["out-truncated"], false);
    let mut whole = data(&first["return"]["out-data"]);
    assert_eq!(whole.len(), 1_000_000);
    for _ in 0..1000 {
        session.step();
    }
    let last: Value = serde_json::from_slice(&session.send(request)).expect("JSON");
    assert_eq!((&last["return"]["exited"], &last["return"]["exitcode"]), (&json!(true), &json!(0)));
    whole.extend(data(&last["return"]["out-data"]));
    assert!(whole == bytes);
    assert_eq!(open(&sim), 0);
}

/// Memory that cannot be given back may not grow without end: what comes then is dropped, and that
/// is told.
#[test]
fn memory_that_cannot_be_given_back_ends_the_stream() {
    for &errno in Kind::Forget.errnos() {
        let mut program = Executable { runs_ms: Some(3000), ..print(b"one") };
        program.prints.push(later(1000, b"two"));
        let (sim, mut session) = guest(&[program]);
        let pid = exec(&mut session, arguments("stdout"));
        sim.with(|world| {
            let kind = Some(Kind::Forget);
            world.faults.fail(Fault { kind, number: 0, errno, lasting: true });
        });
        let reply = status(&mut session, pid)["return"].clone();
        let expected = json!({"exited": false, "out-data": "b25l", "out-truncated": false});
        assert_eq!(reply, expected);
        advance(&sim, 1000);
        let reply = status(&mut session, pid)["return"].clone();
        assert_eq!(reply, json!({"exited": false, "out-truncated": true}));
        let reply = status(&mut session, pid)["return"].clone();
        assert_eq!(reply, json!({"exited": false}));
        advance(&sim, 2000);
        let reply = status(&mut session, pid)["return"].clone();
        assert_eq!(reply, json!({"exitcode": 0, "exited": true}));
        assert_eq!(open(&sim), 0);
    }
}

/// Memory that is short for a while: the gap is told, and the stream goes on.
#[test]
fn memory_that_is_short_leaves_a_gap() {
    let mut program = Executable { runs_ms: Some(3000), ..print(b"one") };
    program.prints.push(later(1000, b"two"));
    let (sim, mut session) = guest(&[program]);
    sim.with(|world| {
        let (kind, errno) = (Some(Kind::Keep), Errno::NOSPC);
        world.faults.fail(Fault { kind, number: 0, errno, lasting: false });
    });
    let pid = exec(&mut session, arguments("stdout"));
    let reply = status(&mut session, pid)["return"].clone();
    assert_eq!(reply, json!({"exited": false, "out-truncated": true}));
    advance(&sim, 1000);
    let reply = status(&mut session, pid)["return"].clone();
    let expected = json!({"exited": false, "out-data": "dHdv", "out-truncated": false});
    assert_eq!(reply, expected);
}
