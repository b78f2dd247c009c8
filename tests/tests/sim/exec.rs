//! Programs that clients start, on the simulated guest: where a program is looked for, with which
//! words it runs, what of its output is kept and when, what gives way when the table is full, and
//! that no call that fails leaves anything open.

use crate::guest::{Large, Small};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qga_core::internals::exec::Programs;
use qga_core::limits::{EXEC_ENTRIES_MAX, EXEC_OUTPUT_BYTES_MAX, EXEC_STEP_CALLS_MAX};
use qga_core::platform::{Exec, Exit, Kept as _};
use qga_core::{Errno, Step};
use qga_sim::exec::{Executable, Print};
use qga_sim::{Fault, Kind, Sim};
use serde_json::{Value, json};

pub const CAP: usize = EXEC_OUTPUT_BYTES_MAX as usize;

/// A guest with these programs.
pub fn guest(programs: &[Executable]) -> (Sim, Large) {
    let sim = Sim::new(1);
    sim.with(|world| world.exec.programs = programs.to_vec());
    let session = Large::start(&sim).expect("a start");
    (sim, session)
}

pub fn print(text: &[u8]) -> Executable {
    Executable::printing("/bin/p", text)
}

/// A program that runs for ever.
pub fn daemon() -> Executable {
    Executable { runs_ms: None, ..print(b"") }
}

pub fn send(session: &mut Large, command: &str, arguments: &Value) -> Value {
    let request = json!({"execute": format!("guest-{command}"), "arguments": arguments});
    let output = session.send(format!("{request}\n").as_bytes());
    serde_json::from_slice(&output).unwrap_or_else(|_| panic!("{}", output.escape_ascii()))
}

pub fn exec(session: &mut Large, arguments: Value) -> i64 {
    let reply = send(session, "exec", &arguments);
    reply["return"]["pid"].as_i64().unwrap_or_else(|| panic!("{reply}"))
}

pub fn status(session: &mut Large, pid: i64) -> Value {
    send(session, "exec-status", &json!({"pid": pid}))
}

pub fn run(session: &mut Large, arguments: Value) -> Value {
    let pid = exec(session, arguments);
    let reply = status(session, pid);
    assert_eq!(status(session, pid), failure(&format!("PID {pid} does not exist")));
    reply["return"].clone()
}

pub fn failure(text: &str) -> Value {
    json!({"error": {"class": "GenericError", "desc": text}})
}

pub fn programs(session: &Large) -> &Programs<<Sim as Exec>::Pipe> {
    session.agent().state().exec.kept().expect("a table")
}

pub fn open(sim: &Sim) -> usize {
    sim.with(|world| {
        assert_eq!(world.violations, [""; 0]);
        world.exec.open
    })
}

pub fn data(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().expect("a text")).expect("base64")
}

#[test]
fn an_end_is_told_once_and_nothing_stays() {
    let (sim, mut session) = guest(&[print(b"hi\n")]);
    assert_eq!(open(&sim), 0);
    let reply = run(&mut session, json!({"path": "/bin/p", "capture-output": true}));
    assert_eq!(
        reply,
        json!({"exitcode": 0, "out-data": "aGkK", "out-truncated": false, "exited": true})
    );
    let reply = run(&mut session, json!({"path": "/bin/p"}));
    assert_eq!(reply, json!({"exitcode": 0, "exited": true}));
    assert_eq!(open(&sim), 0);
    assert!(programs(&session).is_empty());
}

#[test]
fn a_signal_is_no_exit_code() {
    let (_, mut session) = guest(&[Executable { exit: Exit::Signal(9), ..print(b"") }]);
    let reply = run(&mut session, json!({"path": "/bin/p", "capture-output": true}));
    assert_eq!(reply, json!({"signal": 9, "exited": true}));
}

#[test]
fn what_is_kept_is_what_was_asked_for() {
    let error = |text: &[u8]| Print { after_ms: 0, error: true, bytes: text.to_vec() };
    let mut both = print(b"o");
    both.prints.push(error(b"e"));
    let (_, mut session) = guest(&[both]);
    let out = json!({"exitcode": 0, "exited": true, "out-data": "bw==", "out-truncated": false});
    let err = json!({"exitcode": 0, "exited": true, "err-data": "ZQ==", "err-truncated": false});
    let mut all = out.clone();
    all["err-data"] = err["err-data"].clone();
    all["err-truncated"] = json!(false);
    let mut merged = out.clone();
    merged["out-data"] = json!("b2U=");
    let none = json!({"exitcode": 0, "exited": true});
    for (wanted, expected) in [
        (json!(true), &all),
        (json!(false), &none),
        (json!("none"), &none),
        (json!("stdout"), &out),
        (json!("stderr"), &err),
        (json!("separated"), &all),
        (json!("merged"), &merged),
    ] {
        let arguments = json!({"path": "/bin/p", "capture-output": wanted});
        assert_eq!(run(&mut session, arguments), *expected, "{wanted}");
    }
    // In the order of the reference.
    let pid = exec(&mut session, json!({"path": "/bin/p", "capture-output": true}));
    let request = format!(r#"{{"execute":"guest-exec-status","arguments":{{"pid":{pid}}}}}"#);
    let reply = session.send(format!("{request}\n").as_bytes());
    let expected = "{\"return\": {\"exitcode\": 0, \"err-data\": \"ZQ==\", \"out-data\": \"bw==\", \
                    \"err-truncated\": false, \"out-truncated\": false, \"exited\": true}}\n";
    assert_eq!(String::from_utf8_lossy(&reply), expected);
}

#[test]
fn arguments_of_other_types_are_named() {
    let (sim, mut session) = guest(&[print(b"")]);
    let wrong = |what: &str, expected: &str| {
        failure(&format!("Invalid parameter type for '{what}', expected: {expected}"))
    };
    let alternate = wrong("capture-output", "GuestExecCaptureOutput");
    for (arguments, expected) in [
        (json!({}), failure("Parameter 'path' is missing")),
        (json!({"path": 1}), wrong("path", "string")),
        (json!({"path": "p", "arg": "x"}), wrong("arg", "array")),
        (json!({"path": "p", "arg": ["a", 1]}), wrong("arg[1]", "string")),
        (json!({"path": "p", "env": [null]}), wrong("env[0]", "string")),
        (json!({"path": "p", "input-data": 1}), wrong("input-data", "string")),
        (json!({"path": "p", "capture-output": 1}), alternate.clone()),
        (json!({"path": "p", "capture-output": null}), alternate.clone()),
        (json!({"path": "p", "capture-output": []}), alternate.clone()),
        (
            json!({"path": "p", "capture-output": "bogus"}),
            failure("Parameter 'capture-output' does not accept value 'bogus'"),
        ),
        (json!({"path": "p", "x": 1}), failure("Parameter 'x' is unexpected")),
        (
            json!({"path": "/no", "input-data": "!"}),
            failure("Base64 data contains invalid characters"),
        ),
    ] {
        assert_eq!(send(&mut session, "exec", &arguments), expected, "{arguments}");
    }
    for (arguments, expected) in [
        (json!({}), failure("Parameter 'pid' is missing")),
        (json!({"pid": "1"}), wrong("pid", "integer")),
        (json!({"pid": 0}), failure("PID 0 does not exist")),
        (json!({"pid": -1}), failure("PID -1 does not exist")),
        (json!({"pid": i64::MAX}), failure(&format!("PID {} does not exist", i64::MAX))),
    ] {
        assert_eq!(send(&mut session, "exec-status", &arguments), expected, "{arguments}");
    }
    assert_eq!(sim.with(|world| world.exec.spawned), 0);
}

/// The words of the program that was started last.
fn started(sim: &Sim) -> (String, Vec<String>, Option<Vec<String>>) {
    sim.with(|world| {
        let run = world.exec.started.last().expect("a start");
        (run.path.clone(), run.words.clone(), run.variables.clone())
    })
}

#[test]
fn words_and_environment_are_those_of_the_request() {
    let (sim, mut session) = guest(&[print(b"")]);
    let words = ["a b", "q\"q", "it's", "", "n\nl", "\u{E4}\u{1F600}", "$HOME", "*"];
    run(&mut session, json!({"path": "/bin/p", "arg": words, "env": ["A=1 2", "", "B"]}));
    let mut expected = vec!["/bin/p"];
    expected.extend(words);
    let (path, found, variables) = started(&sim);
    assert_eq!(
        (path.as_str(), found),
        ("/bin/p", expected.iter().map(ToString::to_string).collect())
    );
    assert_eq!(variables, Some(["A=1 2", "", "B"].map(String::from).to_vec()));
    run(&mut session, json!({"path": "/bin/p", "env": []}));
    assert_eq!(started(&sim).2, Some(Vec::new()));
    run(&mut session, json!({"path": "/bin/p"}));
    assert_eq!(started(&sim).2, None);
    // As many as fit into a request.
    let many: Vec<String> = (0..10_000).map(|number| number.to_string()).collect();
    run(&mut session, json!({"path": "/bin/p", "arg": many, "env": many}));
    let (_, words, variables) = started(&sim);
    assert_eq!(words[1..], many);
    assert_eq!(variables, Some(many));
    let none = vec![""; 60_000];
    run(&mut session, json!({"path": "/bin/p", "arg": none}));
    assert_eq!(started(&sim).1.len(), 60_001);
}

#[test]
fn a_name_is_looked_for_as_execvp_does() {
    let at = |path: &str| Executable::printing(path, b"");
    let error = |path: &str, errno| Executable { error: Some(errno), ..at(path) };
    let (sim, mut session) = guest(&[
        at("/one/p"),
        at("/two/p"),
        at("/usr/bin/usual"),
        at("here"),
        at("sub/p"),
        error("/denied/p", Errno::ACCES),
        error("/stale/p", Errno::STALE),
        error("/loop/p", Errno::LOOP),
    ]);
    let mut look = |name: &str, env: Option<&str>, own: Option<&'static str>| {
        sim.with(|world| {
            world.exec.search = own;
            world.exec.started.clear();
        });
        let mut arguments = json!({"path": name});
        if let Some(env) = env {
            arguments["env"] = json!(["X=/one", env, "PATH=/two"]);
        }
        let reply = send(&mut session, "exec", &arguments);
        let path = sim.with(|world| world.exec.started.last().map(|run| run.path.clone()));
        path.ok_or(reply["error"]["desc"].as_str().unwrap_or_default().to_owned())
    };
    let found = |path: &str| Ok(path.to_owned());
    let failed = |name: &str, why: &str| {
        Err(format!("Failed to execute child process \u{201C}{name}\u{201D} ({why})"))
    };
    const MISSING: &str = "No such file or directory";
    assert_eq!(look("p", Some("PATH=/none:/two:/one"), Some("/one")), found("/two/p"));
    assert_eq!(look("p", Some("PATH=/stale:/denied:/one"), None), found("/one/p"));
    assert_eq!(look("p", Some("Y=1"), None), found("/two/p"));
    assert_eq!(look("p", None, Some("/none:/one")), found("/one/p"));
    assert_eq!(look("p", None, None), failed("p", MISSING));
    assert_eq!(look("usual", None, None), found("/usr/bin/usual"));
    // The present folder only where somebody says so.
    assert_eq!(look("here", None, None), failed("here", MISSING));
    for path in ["PATH=", "PATH=:/one", "PATH=/one:", "PATH=/one::/two"] {
        assert_eq!(look("here", Some(path), None), found("here"), "{path}");
    }
    // What is a path is not looked for.
    assert_eq!(look("sub/p", Some("PATH=/one"), None), found("sub/p"));
    assert_eq!(look("./p", Some("PATH=/one"), None), failed("./p", MISSING));
    assert_eq!(look("", Some("PATH=/one"), None), failed("", MISSING));
    // One that may not be executed is the reason, if no other one is found; others end the search.
    assert_eq!(look("p", Some("PATH=/denied:/none"), None), failed("p", "Permission denied"));
    let stale = look("p", Some("PATH=/none:/stale"), None);
    assert_eq!(stale, failed("p", "Stale file handle"));
    let other = look("p", Some("PATH=/loop:/one"), None);
    assert_eq!(other, failed("p", "Too many levels of symbolic links"));
}

#[test]
fn a_script_without_a_first_line_is_the_shells() {
    let script = Executable { error: Some(Errno::NOEXEC), ..Executable::printing("/d/s", b"") };
    let (sim, mut session) = guest(&[script, Executable::printing("/bin/sh", b"")]);
    let arguments = json!({"path": "s", "arg": ["a", "b"], "env": ["PATH=/none:/d"]});
    run(&mut session, arguments.clone());
    let (path, words, variables) = started(&sim);
    assert_eq!(
        (path.as_str(), words),
        ("/bin/sh", ["/bin/sh", "/d/s", "a", "b"].map(String::from).to_vec())
    );
    assert_eq!(variables, Some(vec!["PATH=/none:/d".to_owned()]));
    sim.with(|world| world.exec.programs.pop());
    let reply = send(&mut session, "exec", &arguments);
    let text = "Failed to execute child process \u{201C}s\u{201D} (No such file or directory)";
    assert_eq!(reply, failure(text));
}

#[test]
fn what_cannot_be_executed_has_no_number() {
    let (sim, mut session) = guest(&[]);
    let request = b"{\"execute\": \"guest-exec\", \"arguments\": {\"path\": \"/n\\u00e4\"}}\n";
    let expected = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Failed to execute child process \
                    \\u201C/n\\u00E4\\u201D (No such file or directory)\"}}\n";
    assert_eq!(session.send(request), expected.as_bytes());
    let long = "x".repeat(5000);
    let reply = send(&mut session, "exec", &json!({"path": format!("/{long}")}));
    let shown = &long[..511];
    let text = format!(
        "Failed to execute child process \u{201C}/{shown}...\u{201D} (No such file or directory)"
    );
    assert_eq!(reply, failure(&text));
    assert!(programs(&session).is_empty());
    assert_eq!(open(&sim), 0);
}

#[test]
fn input_is_there_before_the_program_is() {
    let cat = Executable { echoes: true, ..print(b"") };
    for (most, no_null) in [(None, false), (Some(100_000), false), (None, true)] {
        let (sim, mut session) = guest(std::slice::from_ref(&cat));
        sim.with(|world| {
            (world.exec.pipe_bytes_max, world.exec.no_null) = (most, no_null);
        });
        for len in [0, 1, 4096, 4097, 65_536, 65_537, 100_001, 180_000] {
            let bytes: Vec<u8> = (0..len).map(|at: usize| (at / 7) as u8).collect();
            let input = BASE64.encode(&bytes);
            let arguments = json!({"path": "/bin/p", "input-data": input, "capture-output": true});
            let pid = exec(&mut session, arguments);
            let reply = loop {
                let reply = status(&mut session, pid)["return"].clone();
                if reply["exited"] == true {
                    break reply;
                }
                sim.with(|world| world.time.advance(1));
            };
            let out = reply.get("out-data").map_or(Vec::new(), data);
            assert_eq!(out, bytes, "{len} bytes, {most:?}");
            assert_eq!(sim.with(|world| world.exec.started.pop()).unwrap().input, bytes);
        }
        run(&mut session, json!({"path": "/bin/p"}));
        assert_eq!(open(&sim), 0);
    }
}

/// Steps until what the program prints is taken and it has ended.
fn settle(sim: &Sim, session: &mut Large, pid: i64) -> Value {
    for _ in 0..100_000 {
        session.step();
        sim.with(|world| world.time.advance(1));
        if session.agent().deadline().is_none() {
            break;
        }
    }
    status(session, pid)["return"].clone()
}

#[test]
fn output_is_kept_up_to_a_limit_and_the_rest_dropped() {
    for (len, truncated) in [(CAP - 1, false), (CAP, false), (CAP + 1, true), (CAP + 300_000, true)]
    {
        let bytes: Vec<u8> = (0..len).map(|at| (at / 1000) as u8).collect();
        let (sim, mut session) = guest(&[print(&bytes)]);
        let pid = exec(&mut session, json!({"path": "/bin/p", "capture-output": true}));
        let reply = settle(&sim, &mut session, pid);
        assert_eq!(reply["out-truncated"], truncated, "{len}");
        assert_eq!(reply.get("err-truncated"), None);
        assert!(data(&reply["out-data"]) == bytes[..len.min(CAP)], "{len}");
        assert_eq!(open(&sim), 0);
    }
}

#[test]
fn both_outputs_leave_in_constant_memory() {
    let mut program = print(&vec![b'o'; CAP + 5]);
    program.prints.push(Print { after_ms: 0, error: true, bytes: vec![b'e'; CAP - 1] });
    let sim = Sim::new(1);
    sim.with(|world| world.exec.programs = vec![program]);
    let mut session = Small::start(&sim).expect("a start");
    let request = b"{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/p\",\"capture-output\":true}}\n";
    assert_eq!(session.send(request), b"{\"return\": {\"pid\": 4001}}\n");
    while session.agent().deadline().is_some() || session.step() != Step::Receive {
        session.step();
    }
    session.take_bytes_max = 1000;
    let reply = session
        .send(b"{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":4001},\"id\":7}\n");
    let reply: Value = serde_json::from_slice(&reply).expect("JSON");
    assert_eq!(reply["id"], 7);
    let reply = &reply["return"];
    assert!(data(&reply["out-data"]) == vec![b'o'; CAP]);
    assert!(data(&reply["err-data"]) == vec![b'e'; CAP - 1]);
    assert_eq!((&reply["out-truncated"], &reply["err-truncated"]), (&json!(true), &json!(false)));
}

#[test]
fn a_program_that_prints_without_end_takes_a_bounded_part_of_a_step() {
    let bytes = vec![b'y'; 100 << 20];
    let (sim, mut session) = guest(&[Executable { runs_ms: None, ..print(&bytes) }]);
    exec(&mut session, json!({"path": "/bin/p", "capture-output": "stdout"}));
    let calls =
        || sim.with(|world| world.faults.count(Kind::Keep) + world.faults.count(Kind::Discard));
    let mut before = calls();
    for _ in 0..100 {
        let now_ms = sim.with(|world| world.time.now_ms);
        assert_eq!(session.step(), Step::Receive, "requests are still heard");
        assert_eq!(calls(), before + EXEC_STEP_CALLS_MAX as u64);
        assert_eq!(session.agent().deadline(), Some(now_ms), "it goes on");
        before = calls();
    }
    let pong = session.send(b"{\"execute\": \"guest-ping\"}\n");
    assert_eq!(pong, b"{\"return\": {}}\n");
}

#[test]
fn an_end_does_not_wait_for_who_holds_the_output_open() {
    let later = Print { after_ms: 1000, error: false, bytes: b"later".to_vec() };
    let mut shell = Executable { held: true, runs_ms: Some(500), ..print(b"hi\n") };
    shell.prints.push(later);
    let (sim, mut session) = guest(&[shell]);
    let pid = exec(&mut session, json!({"path": "/bin/p", "capture-output": true}));
    assert_eq!(status(&mut session, pid), json!({"return": {"exited": false}}));
    sim.with(|world| world.time.advance(499));
    assert_eq!(status(&mut session, pid), json!({"return": {"exited": false}}));
    sim.with(|world| world.time.advance(1));
    session.step();
    // Its pipe is closed, and with nothing but its output the program takes one descriptor.
    assert_eq!(open(&sim), 1);
    sim.with(|world| world.time.advance(5000));
    let reply = status(&mut session, pid)["return"].clone();
    assert_eq!(
        reply,
        json!({"exitcode": 0, "out-data": "aGkK", "out-truncated": false, "exited": true})
    );
    assert_eq!(open(&sim), 0);
}

#[test]
fn what_a_full_pipe_holds_at_the_end_is_taken() {
    let bytes = vec![b'x'; 65_536];
    let (sim, mut session) = guest(&[Executable { held: true, ..print(&bytes) }]);
    let reply = run(&mut session, json!({"path": "/bin/p", "capture-output": true}));
    assert_eq!(data(&reply["out-data"]), bytes);
    assert_eq!(open(&sim), 0);
}

#[test]
fn the_oldest_that_nobody_asked_for_gives_way() {
    let (sim, mut session) =
        guest(&[print(b"x"), Executable { path: "/bin/d".into(), ..daemon() }]);
    let arguments = json!({"path": "/bin/p", "capture-output": true});
    let lines = || {
        sim.with(|world| world.log.iter().filter(|line| line.text.contains("forgotten")).count())
    };
    let daemon = exec(&mut session, json!({"path": "/bin/d"}));
    let pids: Vec<i64> =
        (1..EXEC_ENTRIES_MAX).map(|_| exec(&mut session, arguments.clone())).collect();
    assert_eq!((programs(&session).len(), lines()), (EXEC_ENTRIES_MAX, 0));
    assert_eq!(open(&sim), EXEC_ENTRIES_MAX - 1);
    for former in &pids[..3] {
        let pid = exec(&mut session, arguments.clone());
        assert_eq!(lines(), 1, "said once");
        let gone = failure(&format!("PID {former} does not exist"));
        assert_eq!(status(&mut session, *former), gone);
        assert_eq!(programs(&session).len(), EXEC_ENTRIES_MAX);
        assert!(programs(&session).find(pid).is_some());
    }
    assert_eq!(status(&mut session, daemon), json!({"return": {"exited": false}}));
    assert_eq!(status(&mut session, pids[3])["return"]["out-data"], "eA==");
    // There is room again, and then none, which is said again.
    exec(&mut session, arguments.clone());
    assert_eq!(lines(), 1);
    exec(&mut session, arguments);
    assert_eq!(lines(), 2);
}

#[test]
fn as_many_as_run_are_a_limit_with_a_name() {
    let (sim, mut session) = guest(&[daemon()]);
    let pids: Vec<i64> =
        (0..EXEC_ENTRIES_MAX).map(|_| exec(&mut session, json!({"path": "/bin/p"}))).collect();
    let refused = send(&mut session, "exec", &json!({"path": "/bin/p"}));
    let text =
        format!("too many running programs: at most {EXEC_ENTRIES_MAX}, wait for one to end");
    assert_eq!(refused, failure(&text));
    assert_eq!(sim.with(|world| world.exec.spawned), EXEC_ENTRIES_MAX);
    sim.with(|world| world.exec.kill(5, 15));
    assert_eq!(status(&mut session, pids[5])["return"]["signal"], 15);
    exec(&mut session, json!({"path": "/bin/p"}));
}

#[test]
fn a_number_that_comes_round_is_the_newer_program() {
    let (sim, mut session) = guest(&[print(b"")]);
    for _ in 0..3 {
        sim.with(|world| world.exec.next_pid = Some(77));
        assert_eq!(exec(&mut session, json!({"path": "/bin/p"})), 77);
    }
    assert_eq!(programs(&session).len(), 1);
    assert_eq!(status(&mut session, 77)["return"]["exited"], true);
    assert_eq!(status(&mut session, 77), failure("PID 77 does not exist"));
}

pub const SYNC: &[u8] = b"{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 5}}\n";
pub const SYNCED: &[u8] = b"{\"return\": 5}\n";
const START: &[u8] = b"{\"execute\": \"guest-exec\", \"arguments\": {\"path\": \"/bin/p\"}}\n";

#[test]
fn a_program_that_begins_slowly_is_waited_for() {
    let (_, mut session) = guest(&[Executable { begins_ms: Some(3500), ..print(b"") }]);
    assert_eq!(session.send(START), b"{\"return\": {\"pid\": 4001}}\n");
    let (_, mut session) = guest(&[Executable { begins_ms: Some(3500), ..print(b"") }]);
    // Whoever has asked may give up.
    session.put(START);
    assert_eq!((session.step(), session.step()), (Step::Continue, Step::Wait));
    assert_eq!(session.send(SYNC), SYNCED);
}

#[test]
fn an_execve_that_hangs_stops_nobody() {
    let hangs = Executable { begins_ms: None, path: "/dead/p".into(), ..print(b"") };
    let (sim, mut session) = guest(&[hangs, print(b"")]);
    for round in 1..4 {
        session.put(b"{\"execute\": \"guest-exec\", \"arguments\": {\"path\": \"/dead/p\"}}\n");
        assert_eq!((session.step(), session.step()), (Step::Continue, Step::Wait));
        assert_eq!(session.send(SYNC), SYNCED);
        // Nobody knows its number.
        assert_eq!(status(&mut session, 4000 + 2 * round - 1)["error"]["class"], "GenericError");
        exec(&mut session, json!({"path": "/bin/p"}));
    }
    assert_eq!(programs(&session).len(), 6);
    // Its report, which may still come.
    assert_eq!(open(&sim), 3);
}

#[test]
fn a_failed_start_that_nobody_waits_for_leaves_nothing() {
    let (sim, mut session) = guest(&[]);
    session.put(START);
    assert_eq!((session.step(), programs(&session).len()), (Step::Continue, 1));
    session.disconnect();
    session.step();
    session.step();
    assert_eq!((programs(&session).len(), open(&sim)), (0, 0));
}

#[test]
fn nothing_is_started_while_the_machine_goes_down_or_stands_still() {
    let (sim, mut session) = guest(&[print(b"")]);
    sim.with(|world| world.mount("ext4", qga_core::platform::Device::new(8, 1), "/mnt"));
    session.send(b"{\"execute\": \"guest-fsfreeze-freeze\"}\n");
    let reply = send(&mut session, "exec", &json!({"path": "/bin/p"}));
    assert_eq!(reply["error"]["class"], "CommandNotFound");
    session.send(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
    exec(&mut session, json!({"path": "/bin/p"}));
    let slow = qga_sim::power::Program {
        runs_ms: None,
        ..qga_sim::power::Program::ending("/sbin/poweroff", 0)
    };
    sim.with(|world| world.machine.programs.push(slow));
    session.put(b"{\"execute\": \"guest-shutdown\"}\n");
    session.step();
    session.step();
    assert_eq!(session.send(SYNC), SYNCED);
    let reply = send(&mut session, "exec", &json!({"path": "/bin/p"}));
    assert_eq!(reply, failure("guest-shutdown is under way"));
}

#[test]
fn programs_print_while_everything_is_frozen() {
    let mut slow = Executable { runs_ms: Some(3000), ..print(&vec![b'x'; 200_000]) };
    slow.prints.push(Print { after_ms: 1000, error: true, bytes: b"e".to_vec() });
    let (sim, mut session) = guest(&[slow]);
    sim.with(|world| world.mount("ext4", qga_core::platform::Device::new(8, 1), "/mnt"));
    let pid = exec(&mut session, json!({"path": "/bin/p", "capture-output": true}));
    session.send(b"{\"execute\": \"guest-fsfreeze-freeze\"}\n");
    for _ in 0..6 {
        sim.with(|world| world.time.advance(500));
        session.send(b"{\"execute\": \"guest-ping\"}\n");
    }
    assert_eq!(status(&mut session, pid)["error"]["class"], "CommandNotFound");
    session.send(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
    let reply = status(&mut session, pid)["return"].clone();
    assert_eq!((data(&reply["out-data"]).len(), &reply["err-data"]), (200_000, &json!("ZQ==")));
}

/// Each call of a start, a run and a status failing, once and for ever, for each of its reasons.
#[test]
fn no_call_that_fails_leaves_anything_open() {
    let mut program = Executable { runs_ms: Some(10), echoes: true, ..print(&vec![b'o'; 70_000]) };
    program.prints.push(Print { after_ms: 5, error: true, bytes: b"e".to_vec() });
    let hold = |sim: &Sim, session: &mut Large| {
        let input = BASE64.encode(vec![b'i'; 5000]);
        let arguments = json!({"path": "p", "env": ["PATH=/none:/bin"], "input-data": input,
            "capture-output": true});
        let reply = send(session, "exec", &arguments);
        let started = reply["return"]["pid"].as_i64();
        assert!(started.is_some() || reply["error"]["desc"].is_string(), "{reply}");
        if started.is_none() {
            session.step();
        }
        for _ in 0..20 {
            sim.with(|world| world.time.advance(1));
            session.step();
        }
        let told = started.map(|pid| status(session, pid));
        sim.with(|world| world.faults.mend());
        assert_eq!(session.send(SYNC), SYNCED);
        for _ in 0..20 {
            sim.with(|world| world.time.advance(10));
            session.step();
        }
        if let (Some(pid), Some("{\"return\":{\"exited\":false}}")) =
            (started, told.as_ref().map(Value::to_string).as_deref())
        {
            assert_eq!(status(session, pid)["return"]["exited"], true);
        }
        assert_eq!((programs(session).len(), open(sim)), (0, 0), "{reply} {told:?}");
        (reply, told)
    };
    let (sim, mut session) = guest(std::slice::from_ref(&program));
    let before = sim.with(|world| world.faults.calls()) as usize;
    let (_, told) = hold(&sim, &mut session);
    let told = told.expect("a status")["return"].clone();
    assert_eq!((data(&told["out-data"]).len(), &told["err-data"]), (75_000, &json!("ZQ==")));
    let trace = sim.with(|world| world.faults.trace()[before..].to_vec());
    let kinds: std::collections::BTreeSet<Kind> = trace.iter().map(|call| call.kind).collect();
    let mut runs = 0;
    for kind in kinds.into_iter().filter(|kind| kind.can_fail()) {
        let times = trace.iter().filter(|call| call.kind == kind).count() as u64;
        for number in 0..times.min(40) {
            for (&errno, lasting) in
                kind.errnos().iter().flat_map(|errno| [(errno, false), (errno, true)])
            {
                if lasting && errno == Errno::INTR {
                    continue;
                }
                let (sim, mut session) = guest(std::slice::from_ref(&program));
                let done = sim.with(|world| world.faults.count(kind));
                let number = done + number;
                sim.with(|world| {
                    world.faults.fail(Fault { kind: Some(kind), number, errno, lasting })
                });
                hold(&sim, &mut session);
                runs += 1;
            }
        }
    }
    assert!(runs > 200, "only {runs}");
}

#[test]
fn calls_that_move_little_or_are_interrupted_change_nothing() {
    let cat = Executable { echoes: true, ..print(b"") };
    let bytes: Vec<u8> = (0..9000).map(|at: usize| (at / 3) as u8).collect();
    for shorten in [1, 3, 1000] {
        let (sim, mut session) = guest(std::slice::from_ref(&cat));
        sim.with(|world| {
            world.faults.shorten(shorten);
            world.faults.interrupt();
        });
        let input = BASE64.encode(&bytes);
        let arguments = json!({"path": "/bin/p", "input-data": input, "capture-output": true});
        let pid = exec(&mut session, arguments);
        let reply = settle(&sim, &mut session, pid);
        // What stood in the pipe at the end is taken by a bounded number of calls.
        let out = data(&reply["out-data"]);
        assert!(bytes.starts_with(&out), "{shorten}");
        assert_eq!(open(&sim), 0);
    }
}
