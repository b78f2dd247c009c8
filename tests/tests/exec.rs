//! Programs of guest-exec, with the real binary: what a program finds when it begins, what of its
//! output comes back, that nobody waits for it, and that nothing stays; compared with Debian's
//! qemu-ga where that makes sense.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qga_tests::agent::{Agent, Options};
use qga_tests::connection::Connection;
use qga_tests::fuse::{FOLDER, Fuse};
use qga_tests::jail::{self, Jail, Spec, Start};
use qga_tests::{program, skip};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = "{\"return\": {}}";

/// How fast a ping is to be answered, whatever programs do. The machine that the tests run on has
/// other work: a few may take longer.
const PING_MAX: Duration = Duration::from_millis(5);

fn send(client: &mut Connection, command: &str, arguments: &Value) -> Value {
    let request = json!({"execute": format!("guest-{command}"), "arguments": arguments});
    let reply = client.ask(format!("{request}\n"));
    serde_json::from_str(&reply).unwrap_or_else(|_| panic!("{reply}"))
}

fn exec(client: &mut Connection, arguments: &Value) -> i64 {
    let reply = send(client, "exec", arguments);
    reply["return"]["pid"].as_i64().unwrap_or_else(|| panic!("{reply}"))
}

/// What is said of a program when it has ended.
fn ended(client: &mut Connection, pid: i64) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let reply = send(client, "exec-status", &json!({"pid": pid}));
        if reply["return"]["exited"] != false {
            return reply;
        }
        assert!(Instant::now() < deadline, "program {pid} does not end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs a program to its end: what is said of it, or why it was not started.
fn run(client: &mut Connection, arguments: &Value) -> Value {
    let reply = send(client, "exec", arguments);
    match reply["return"]["pid"].as_i64() {
        Some(pid) => ended(client, pid)["return"].clone(),
        None => reply,
    }
}

fn shell(script: &str) -> Value {
    json!({"path": "/bin/sh", "arg": ["-c", script], "capture-output": true})
}

/// What a script prints.
fn output(client: &mut Connection, script: &str) -> String {
    let reply = run(client, &shell(script));
    String::from_utf8(data(&reply["out-data"])).expect("text")
}

fn data(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().unwrap_or_else(|| panic!("no data: {value}"))).expect("base64")
}

fn failure(text: &str) -> Value {
    json!({"error": {"class": "GenericError", "desc": text}})
}

fn descriptors(agent: &Agent) -> usize {
    fs::read_dir(format!("/proc/{}/fd", agent.pid())).expect("the agent").count()
}

/// The children of the agent, with their states.
fn children(agent: &Agent) -> Vec<(String, char)> {
    let pid = agent.pid();
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("the list");
    let state = |child: &str| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        (child.to_owned(), state.unwrap_or('X'))
    };
    list.split_whitespace().map(state).collect()
}

/// Waits until the agent has no child any more.
fn until_childless(agent: &Agent) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !children(agent).is_empty() {
        assert!(Instant::now() < deadline, "children stay: {:?}", children(agent));
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn resident_kb(agent: &Agent) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).expect("the agent");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Case b4.
#[test]
fn words_and_ends_are_the_programs_own() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let words = [
        "-c",
        "for x; do printf \"[%s]\" \"$x\"; done",
        "sh",
        "a b",
        "q\"q",
        "it's",
        "",
        "n\nl",
        "\u{E4}",
        "$HOME",
        "*",
    ];
    let reply = run(&mut client, &json!({"path": "/bin/sh", "arg": words, "capture-output": true}));
    assert_eq!(reply["out-data"], "W2EgYl1bcSJxXVtpdCdzXVtdW24KbF1bw6RdWyRIT01FXVsqXQ==");
    let mut request = shell("echo $A:$HOME");
    request["env"] = json!(["A=1 2"]);
    assert_eq!(data(&run(&mut client, &request)["out-data"]), b"1 2:\n");
    let reply = run(&mut client, &shell("echo o; echo e >&2; exit 3"));
    let expected = json!({"exitcode": 3, "out-data": "bwo=", "err-data": "ZQo=", "exited": true,
        "out-truncated": false, "err-truncated": false});
    assert_eq!(reply, expected);
    let reply = run(&mut client, &shell("kill -9 $$"));
    assert_eq!(reply, json!({"signal": 9, "exited": true}));
    let reply = send(&mut client, "exec", &json!({"path": "/nonexistent"}));
    let text = "Failed to execute child process \u{201C}/nonexistent\u{201D} \
                (No such file or directory)";
    assert_eq!(reply, failure(text));
    let reply = send(&mut client, "exec-status", &json!({"pid": 1}));
    assert_eq!(reply, failure("PID 1 does not exist"));
}

/// Case b1.
#[test]
fn a_program_left_in_the_background_delays_no_end() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    for capture in [true, false] {
        let mut request = shell("sleep 30 & echo $! >&2; echo hi");
        request["capture-output"] = json!(capture);
        let start = Instant::now();
        let pid = exec(&mut client, &request);
        let reply = loop {
            assert_eq!(client.ask(PING), PONG);
            let reply = send(&mut client, "exec-status", &json!({"pid": pid}))["return"].clone();
            if reply["exited"] == true {
                break reply;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(reply["exitcode"], 0);
        assert_eq!(reply.get("out-data"), capture.then(|| json!("aGkK")).as_ref());
        if capture {
            let background = String::from_utf8(data(&reply["err-data"])).expect("a number");
            let background = background.trim().to_owned();
            assert!(fs::exists(format!("/proc/{background}")).unwrap(), "the sleep goes on");
            std::process::Command::new("kill").arg(background).status().expect("kill");
        }
        until_childless(&agent);
    }
}

/// Case b2.
#[test]
fn a_client_that_never_asks_costs_nothing() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    exec(&mut client, &json!({"path": "/bin/true", "capture-output": true}));
    until_childless(&agent);
    let before = (descriptors(&agent), resident_kb(&agent));
    for number in 0..1000 {
        let request = json!({"path": "/bin/true", "capture-output": number % 2 == 0});
        exec(&mut client, &request);
    }
    until_childless(&agent);
    assert_eq!(client.ask(PING), PONG);
    let after = (descriptors(&agent), resident_kb(&agent));
    assert_eq!(after.0, before.0);
    assert!(after.1 <= before.1 + 64, "{before:?} {after:?}");
    let pid = exec(&mut client, &json!({"path": "/bin/true"}));
    let reply = ended(&mut client, pid);
    assert_eq!(reply, json!({"return": {"exitcode": 0, "exited": true}}));
    let reply = send(&mut client, "exec-status", &json!({"pid": pid}));
    assert_eq!(reply, failure(&format!("PID {pid} does not exist")));
    assert_eq!(agent.stderr().matches("forgotten").count(), 1, "{}", agent.stderr());
}

#[test]
fn a_hundred_programs_run_beside_each_other() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    assert_eq!(client.ask(PING), PONG);
    let before = descriptors(&agent);
    let request = shell("read x; echo \"$x\"; echo e >&2; exec sleep 0.3");
    let pids: Vec<i64> = (0..100)
        .map(|number| {
            let mut request = request.clone();
            request["input-data"] = json!(BASE64.encode(format!("{number}\n")));
            exec(&mut client, &request)
        })
        .collect();
    assert_eq!(pids.iter().collect::<BTreeSet<_>>().len(), 100);
    for (number, pid) in pids.into_iter().enumerate() {
        let reply = ended(&mut client, pid)["return"].clone();
        assert_eq!(data(&reply["out-data"]), format!("{number}\n").into_bytes());
        assert_eq!(reply["err-data"], "ZQo=");
    }
    assert_eq!((descriptors(&agent), children(&agent)), (before, Vec::new()));
}

#[test]
fn a_program_finds_what_the_agent_was_given_and_no_more() {
    let shell_before = "trap '' INT HUP USR1; umask 027; exec 7</dev/null; exec \"$0\" \"$@\"";
    let wrapper = ["sh", "-c", shell_before].map(String::from).to_vec();
    let agent = Agent::start(Options { wrapper, ..Options::default() });
    let mut client = agent.connect();
    assert_eq!(output(&mut client, "readlink /proc/self/fd/0"), "/dev/null\n");
    assert_eq!(output(&mut client, "ls /proc/$$/fd"), "0\n1\n2\n");
    let signals = output(&mut client, "grep -E '^Sig(Blk|Ign)' /proc/self/status");
    assert_eq!(signals, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    // Its own session, the agent's folder, the usual number of descriptors.
    let own = output(&mut client, "cut -d' ' -f1,5,6 /proc/$$/stat; echo $$");
    let (ids, pid) = own.trim().split_once('\n').expect("two lines");
    assert_eq!(ids, format!("{pid} {pid} {pid}"));
    assert_eq!(output(&mut client, "pwd").trim(), agent.folder.to_str().unwrap());
    assert_eq!(output(&mut client, "umask; ulimit -n"), "0027\n1024\n");
    let badness = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(output(&mut client, "cat /proc/self/oom_score_adj"), badness);
    let environment = format!("/proc/{}/environ", agent.pid());
    let given = String::from_utf8_lossy(&fs::read(environment).unwrap()).replace('\0', "\n");
    let reply = run(&mut client, &json!({"path": "/usr/bin/env", "capture-output": true}));
    assert_eq!(String::from_utf8_lossy(&data(&reply["out-data"])), given);
    let request = json!({"path": "/usr/bin/env", "env": [], "capture-output": true});
    assert_eq!(run(&mut client, &request), json!({"exitcode": 0, "exited": true}));
    // It becomes no reader of the channel's, nor of the agent's state.
    let links = output(&mut client, "ls -l /proc/$$/fd");
    assert!(!links.contains("socket:") && !links.contains("qga"), "{links}");
}

#[test]
fn input_of_any_size_reaches_the_program() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    assert_eq!(client.ask(PING), PONG);
    let before = descriptors(&agent);
    for len in [0, 1, 4097, 65_537, 1 << 20, 3_000_000] {
        let bytes: Vec<u8> = (0..len).map(|at: u32| (at / 251) as u8).collect();
        let input = BASE64.encode(&bytes);
        let request = json!({"path": "cat", "input-data": input, "capture-output": "stdout"});
        let reply = run(&mut client, &request);
        let found = reply.get("out-data").map_or(Vec::new(), data);
        assert!(found == bytes, "{len} bytes, {} came back", found.len());
        // One that does not read it ends as well.
        let request = json!({"path": "true", "input-data": input});
        assert_eq!(run(&mut client, &request), json!({"exitcode": 0, "exited": true}));
    }
    let request = json!({"path": "readlink", "arg": ["/proc/self/fd/0"], "input-data": "eA==",
        "capture-output": true});
    assert!(data(&run(&mut client, &request)["out-data"]).starts_with(b"pipe:"));
    assert_eq!(descriptors(&agent), before);
}

#[test]
fn output_is_cut_at_16_mib() {
    const CAP: usize = 16 << 20;
    let agent = Agent::plain();
    let mut client = agent.connect();
    // What a large reply takes, it takes once.
    run(&mut client, &shell("head -c 1000000 /dev/zero"));
    let before = resident_kb(&agent);
    for (bytes, truncated) in [(CAP, false), (CAP + 1, true), (CAP + (1 << 20), true)] {
        let script =
            format!("head -c {bytes} /dev/zero; head -c {bytes} /dev/zero | tr '\\0' x >&2");
        let reply = run(&mut client, &shell(&script));
        assert_eq!(
            (&reply["out-truncated"], &reply["err-truncated"]),
            (&json!(truncated), &json!(truncated))
        );
        assert!(data(&reply["out-data"]) == vec![0; CAP]);
        assert!(data(&reply["err-data"]) == vec![b'x'; CAP]);
    }
    assert!(resident_kb(&agent) <= before + 64, "{before} {}", resident_kb(&agent));
}

/// The times of pings, the slowest first.
fn pings(client: &mut Connection, count: usize) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(client.ask(PING), PONG);
            start.elapsed()
        })
        .collect();
    times.sort_by(|one, other| other.cmp(one));
    times
}

#[test]
fn a_program_that_prints_without_end_slows_nobody() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    for script in ["exec yes", "while :; do echo y; done", "yes & yes >&2 & exec cat /dev/zero"] {
        let pid = exec(&mut client, &shell(&format!("echo $$; {script}")));
        std::thread::sleep(Duration::from_millis(100));
        let times = pings(&mut client, 500);
        assert!(times[times.len() / 50] < PING_MAX, "{script}: {:?}", &times[..20]);
        assert_eq!(
            send(&mut client, "exec-status", &json!({"pid": pid}))["return"]["exited"],
            false
        );
        // A new client is heard as well.
        drop(client);
        client = agent.connect();
        assert_eq!(client.ask(PING), PONG);
        // SAFETY: the group of a process that was started above.
        unsafe { libc::kill(-(pid as i32), libc::SIGKILL) };
        let reply = ended(&mut client, pid)["return"].clone();
        assert_eq!(reply["signal"], 9);
        assert!(data(&reply["out-data"]).starts_with(format!("{pid}\n").as_bytes()));
    }
    until_childless(&agent);
}

/// A ping is three system calls also while a program runs whose output is captured.
#[test]
fn a_program_that_says_nothing_costs_no_call() {
    let name = "exec::a_program_that_says_nothing_costs_no_call";
    let Some(strace) = program("strace") else { return skip(name, "needs strace") };
    let agent = Agent::plain();
    let mut client = agent.connect();
    let pid = exec(&mut client, &shell("exec sleep 60"));
    assert_eq!(client.ask(PING), PONG);
    let trace = agent.folder.join("trace");
    let mut traced = std::process::Command::new(strace);
    traced.args(["-o", trace.to_str().unwrap(), "-p", &agent.pid().to_string()]);
    let mut traced =
        qga_tests::agent::Held(traced.stderr(std::process::Stdio::null()).spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    while fs::read_to_string(&trace).unwrap_or_default().is_empty() && Instant::now() < deadline {
        assert_eq!(client.ask(PING), PONG);
        std::thread::sleep(Duration::from_millis(10));
    }
    let calls =
        || fs::read_to_string(&trace).unwrap().lines().filter(|line| line.contains('(')).count();
    let before = calls();
    for _ in 0..100 {
        assert_eq!(client.ask(PING), PONG);
    }
    // SAFETY: a process that was started above.
    unsafe { libc::kill(traced.0.id() as i32, libc::SIGINT) };
    traced.0.wait().unwrap();
    let calls = calls() - before;
    assert!((297..=306).contains(&calls), "{calls} calls");
    // SAFETY: as above.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
    assert_eq!(ended(&mut client, pid)["return"]["signal"], 9);
}

/// Makes a file that can be executed.
fn script(agent: &Agent, name: &str, text: &str) -> PathBuf {
    let path = agent.folder.join(name);
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("rights");
    path
}

#[test]
fn scripts_run_with_and_without_a_first_line() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let plain = script(&agent, "plain", "echo \"$0|$1|$2\"\n");
    script(&agent, "sharp", "#!/bin/sh\necho \"$0|$1|$2\"\n");
    let lost = script(&agent, "lost", "#!/nonexistent/sh\n");
    let folder = agent.folder.to_str().unwrap().to_owned();
    for name in ["plain", "sharp"] {
        let request = json!({"path": name, "arg": ["a b", "c"], "capture-output": true,
            "env": [format!("PATH=/nonexistent:{folder}")]});
        let found = data(&run(&mut client, &request)["out-data"]);
        assert_eq!(String::from_utf8_lossy(&found), format!("{folder}/{name}|a b|c\n"));
    }
    let request = json!({"path": plain, "capture-output": true});
    assert_eq!(
        data(&run(&mut client, &request)["out-data"]),
        format!("{folder}/plain||\n").into_bytes()
    );
    let reply = run(&mut client, &json!({"path": lost}));
    assert!(reply["error"]["desc"].as_str().unwrap().contains("No such file"), "{reply}");
}

/// A program that becomes a daemon: its parent's end is the end, and it is nobody's child any more.
#[test]
fn a_daemon_goes_its_own_way() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    assert_eq!(client.ask(PING), PONG);
    let before = descriptors(&agent);
    let request = shell("setsid sleep 30 </dev/null & echo $!");
    let reply = run(&mut client, &request);
    let daemon = String::from_utf8(data(&reply["out-data"])).unwrap().trim().to_owned();
    assert!(fs::exists(format!("/proc/{daemon}")).unwrap());
    assert_eq!((descriptors(&agent), children(&agent)), (before, Vec::new()));
    std::process::Command::new("kill").arg(daemon).status().expect("kill");
}

/// A path on a disk that does not answer: whoever has asked gives up, and the agent serves on.
#[test]
fn an_execve_that_hangs_stops_nobody() {
    let name = "exec::an_execve_that_hangs_stops_nobody";
    if let Some(reason) = jail::unavailable() {
        return skip(name, reason);
    }
    if Fuse::impossible(name) {
        return;
    }
    let jail = Jail::start(Spec::default());
    let fuse = Fuse::mount(&jail, "/mnt/f");
    let agent = jail.agent(Start::default());
    let mut client = agent.connect();
    fuse.stop();
    let dead = json!({"path": format!("/mnt/f/{FOLDER}/x")});
    let request = json!({"execute": "guest-exec", "arguments": dead});
    client.send(format!("{request}\n"));
    let early = client.text_within(Duration::from_millis(1500));
    let asked = fuse.is_asked();
    let sync = "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":5}}\n";
    let synced = client.ask(sync);
    let pong = client.ask(PING);
    let reply = run(&mut client, &json!({"path": "/bin/busybox", "arg": ["true"]}));
    // Before anything is judged: what hangs cannot even be killed.
    fuse.go_on();
    assert_eq!((early, asked), (None, true));
    assert_eq!((synced.as_str(), pong.as_str()), ("{\"return\": 5}", PONG));
    assert_eq!(reply, json!({"exitcode": 0, "exited": true}));
    let reply = send(&mut client, "exec", &dead);
    assert!(reply["error"]["desc"].as_str().unwrap().contains("No such file"), "{reply}");
}

#[test]
fn too_few_descriptors_are_an_error_and_nothing_stays() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    assert_eq!(client.ask(PING), PONG);
    let before = descriptors(&agent);
    for spare in 0..9 {
        qga_tests::sys::limit_descriptors(agent.pid(), before + spare).expect("a limit");
        let reply = send(&mut client, "exec", &shell("echo hi"));
        let expected = "failed to start the program: Too many open files (raise LimitNOFILE= of \
                        the unit, or RLIMIT_NOFILE, to 1024)";
        match reply["return"]["pid"].as_i64() {
            Some(pid) => assert_eq!(ended(&mut client, pid)["return"]["out-data"], "aGkK"),
            None => assert_eq!(reply, failure(expected), "{spare}"),
        }
        assert_eq!(descriptors(&agent), before, "{spare}");
    }
    qga_tests::sys::limit_descriptors(agent.pid(), 1024).expect("a limit");
    assert_eq!(run(&mut client, &shell("echo hi"))["out-data"], "aGkK");
    until_childless(&agent);
}

/// Programs outlive their agent, and a new one knows none of them.
#[test]
fn a_new_agent_knows_no_program_of_the_old_one() {
    let mut agent = Agent::plain();
    let mut client = agent.connect();
    let pid = exec(&mut client, &shell("exec sleep 30"));
    agent.kill_and_restart();
    let mut client = agent.connect();
    assert!(fs::exists(format!("/proc/{pid}")).unwrap());
    let reply = send(&mut client, "exec-status", &json!({"pid": pid}));
    assert_eq!(reply, failure(&format!("PID {pid} does not exist")));
    // SAFETY: a process that was started above.
    unsafe { libc::kill(pid as i32, libc::SIGKILL) };
}

/// A table of requests, with both agents.
#[test]
fn programs_run_as_with_the_reference() {
    let name = "exec::programs_run_as_with_the_reference";
    let Some(reference) = program("qemu-ga") else { return skip(name, "needs qemu-ga") };
    let ours = Agent::plain();
    let theirs = Agent::start(Options { binary: Some(reference), ..Options::default() });
    for agent in [&ours, &theirs] {
        script(agent, "noshebang", "echo via $0\n");
        fs::write(agent.folder.join("text"), "x").expect("a file");
    }
    let requests = [
        shell("echo out; echo err >&2; exit 3"),
        shell("kill -9 $$"),
        shell("kill -11 $$"),
        shell("exit 255"),
        shell("readlink /proc/self/fd/0; pwd | sed 's/.*\\///'; ulimit -n >/dev/null; echo $0"),
        shell("head -c 300000 /dev/zero"),
        json!({"path": "true"}),
        json!({"path": "true", "capture-output": false}),
        json!({"path": "echo", "arg": ["hi"], "capture-output": true}),
        json!({"path": "echo", "arg": ["", "a  b", "\u{1F600}", "\u{0}"], "capture-output": true}),
        json!({"path": "/usr/bin/env", "env": [], "capture-output": true}),
        json!({"path": "env", "env": ["A=1", "A=2", "noequals", ""], "capture-output": true}),
        json!({"path": "env", "env": ["PATH=/nonexistent"], "capture-output": true}),
        json!({"path": "env", "env": ["PATH="], "capture-output": true}),
        json!({"path": "env", "env": ["PATH=/nonexistent::/bin"], "capture-output": true}),
        json!({"path": "noshebang", "env": ["PATH=."], "capture-output": true}),
        json!({"path": "./noshebang", "capture-output": true}),
        json!({"path": "noshebang", "env": ["PATH=:/bin"], "capture-output": true}),
        json!({"path": "cat", "input-data": "", "capture-output": true}),
        json!({"path": "cat", "input-data": "aGk=", "capture-output": true}),
        json!({"path": "cat", "input-data": "!", "capture-output": true}),
        json!({"path": "/nonexistent", "input-data": "!"}),
        json!({"path": ""}),
        json!({"path": "/"}),
        json!({"path": "./text"}),
        json!({"path": "text", "env": ["PATH=/nonexistent:."]}),
        json!({"path": "./text/x"}),
        json!({"path": "nonexistent"}),
        json!({"path": "x".repeat(300)}),
        json!({"path": "/bin/echo", "arg": ["x".repeat(200_000)]}),
        json!({"path": "/bin/true", "arg": [1]}),
        json!({"path": 5}),
        json!({}),
    ];
    let (mut one, mut other) = (ours.connect(), theirs.connect());
    for request in requests {
        let mut found = [&mut one, &mut other].map(|client| run(client, &request).to_string());
        // What 7.2 puts around it newer versions do not.
        for text in &mut found {
            *text =
                text.replace("Guest agent command failed, error was '", "").replace(")'\"", ")\"");
        }
        let [mine, reference] = found;
        assert_eq!(mine, reference, "{request}");
    }
}

/// Whether a process is there and no zombie.
fn lives(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn until_dead(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while lives(pid) {
        assert!(Instant::now() < deadline, "{pid} lives on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A script that may run for so long.
fn timed(script: &str, seconds: u64) -> Value {
    let mut request = shell(script);
    request["timeout"] = json!(seconds);
    request
}

#[test]
fn who_would_not_end_is_killed_with_its_children() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let start = Instant::now();
    let script = "trap '' TERM INT HUP; (trap '' TERM; sleep 60; sleep 60) & echo $!; sleep 60 & \
                  echo $!; while :; do wait; sleep 1; done";
    let reply = run(&mut client, &timed(script, 1));
    let elapsed = start.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(3)).contains(&elapsed), "{elapsed:?}");
    assert_eq!((&reply["signal"], &reply["timed-out"]), (&json!(9), &json!(true)), "{reply}");
    assert_eq!(reply.get("exitcode"), None);
    let printed = String::from_utf8(data(&reply["out-data"])).unwrap();
    assert_eq!(printed.lines().count(), 2);
    printed.lines().for_each(until_dead);
    until_childless(&agent);
    // Who ends in time, by a signal too, is none of those.
    let reply = run(&mut client, &timed("kill -9 $$", 30));
    assert_eq!(reply, json!({"signal": 9, "exited": true}));
    let reply = run(&mut client, &timed("exit 3", 30));
    assert_eq!(reply, json!({"exitcode": 3, "exited": true}));
}

/// What has made a session of its own, as daemons do, is not the program's any more: it lives on.
/// So does what a program leaves behind that ends in time.
#[test]
fn a_daemon_outlives_the_time_of_who_started_it() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    for (rest, signal) in [("exec sleep 60", Some(9)), ("exit 0", None)] {
        let daemon = "setsid sleep 30 </dev/null >/dev/null 2>&1 & echo $!; sleep 0.2";
        let reply = run(&mut client, &timed(&format!("{daemon}; {rest}"), 1));
        assert_eq!(reply.get("signal"), signal.map(|signal| json!(signal)).as_ref(), "{reply}");
        let daemon = String::from_utf8(data(&reply["out-data"])).unwrap().trim().to_owned();
        std::thread::sleep(Duration::from_millis(1500));
        assert!(lives(&daemon));
        std::process::Command::new("kill").arg(daemon).status().expect("kill");
    }
}

#[test]
fn a_hundred_programs_end_when_their_time_is_over() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let start = Instant::now();
    let pids: Vec<i64> = (0..100)
        .map(|number| exec(&mut client, &timed("trap '' TERM; sleep 60; sleep 60", 1 + number % 2)))
        .collect();
    let times = pings(&mut client, 500);
    assert!(times[times.len() / 50] < PING_MAX, "{:?}", &times[..20]);
    for pid in pids {
        let reply = ended(&mut client, pid)["return"].clone();
        assert_eq!(reply, json!({"signal": 9, "timed-out": true, "exited": true}));
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    until_childless(&agent);
}

/// Neither a client that does not read its reply nor one that is not there keeps anybody alive.
#[test]
fn nobody_who_waits_prolongs_a_time() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let large = exec(&mut client, &shell("head -c 9000000 /dev/zero"));
    let pid = exec(&mut client, &timed("exec sleep 60", 1));
    let later = exec(&mut client, &timed("exec sleep 60", 2));
    std::thread::sleep(Duration::from_millis(300));
    let request = json!({"execute": "guest-exec-status", "arguments": {"pid": large}});
    client.send(format!("{request}\n"));
    until_dead(&pid.to_string());
    drop(client);
    until_dead(&later.to_string());
    let mut client = agent.connect();
    for pid in [pid, later] {
        let reply = ended(&mut client, pid)["return"].clone();
        assert_eq!(reply, json!({"signal": 9, "timed-out": true, "exited": true}));
    }
}

/// How much memory takes what the agent keeps of its programs' outputs.
fn kept_bytes(agent: &Agent) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let list = fs::read_dir(format!("/proc/{}/fd", agent.pid())).expect("the agent");
    let memories = list.filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_memory = fs::read_link(&path).ok()?.to_string_lossy().starts_with("/memfd:");
        is_memory.then(|| fs::metadata(&path).ok())?
    });
    memories.map(|file| file.blocks() * 512).sum()
}

fn streamed(script: &str) -> Value {
    let mut request = shell(script);
    request["stream-output"] = json!(true);
    request
}

/// As much as there is room for at once, and parts that fill no page, without end.
#[test]
fn a_program_that_prints_without_end_streams_in_constant_memory() {
    const CAP: u64 = 16 << 20;
    let agent = Agent::plain();
    let mut client = agent.connect();
    let small = "while :; do head -c 4999 /dev/zero; sleep 0.001; done";
    for (script, rounds, held_max) in [("exec yes", 30, CAP), (small, 400, 300_000)] {
        let pid = exec(&mut client, &streamed(script));
        let (mut taken, mut before) = (0, 0);
        for round in 0..rounds {
            let reply = send(&mut client, "exec-status", &json!({"pid": pid}))["return"].clone();
            assert_eq!(reply["exited"], false);
            taken += reply.get("out-data").map_or(0, |part| data(part).len());
            let held = kept_bytes(&agent);
            assert!(held <= held_max, "{script}: {held} bytes are held");
            if round == rounds / 3 {
                before = resident_kb(&agent);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(taken > 200_000, "{script}: only {taken} bytes");
        let after = resident_kb(&agent);
        assert!(after <= before + 64, "{before} {after}");
        assert_eq!(client.ask(PING), PONG);
        // SAFETY: the group of a process that was started above.
        unsafe { libc::kill(-(pid as i32), libc::SIGKILL) };
        assert_eq!(ended(&mut client, pid)["return"]["signal"], 9);
        assert_eq!(kept_bytes(&agent), 0);
    }
}

#[test]
fn more_than_16_mib_are_streamed_whole() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let script = "for letter in a b c d e f g h i j k l m n o p q r s t u v w x y z; do \
                  head -c 1000003 /dev/zero | tr '\\0' $letter; echo $letter >&2; sleep 0.05; done";
    let pid = exec(&mut client, &streamed(script));
    let (mut out, mut err, mut parts) = (Vec::new(), Vec::new(), 0);
    loop {
        let reply = send(&mut client, "exec-status", &json!({"pid": pid}))["return"].clone();
        for (name, whole) in [("out", &mut out), ("err", &mut err)] {
            if let Some(part) = reply.get(format!("{name}-data")) {
                whole.extend(data(part));
                parts += 1;
                assert_eq!(reply[format!("{name}-truncated")], false);
            }
        }
        if reply["exited"] == true {
            assert_eq!(reply["exitcode"], 0);
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(parts > 10, "it came in {parts} parts");
    assert!(out == (b'a'..=b'z').flat_map(|letter| vec![letter; 1_000_003]).collect::<Vec<u8>>());
    assert_eq!(err, (b'a'..=b'z').flat_map(|letter| [letter, b'\n']).collect::<Vec<u8>>());
    assert_eq!(kept_bytes(&agent), 0);
}
