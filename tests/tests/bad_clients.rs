//! Clients that misbehave, files that vanish, disks that are full, and nothing happening at all: a
//! clear error or a quiet wait each time, no CPU burned, no descriptor lost, no reply mixed with
//! another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qga_tests::agent::{Agent, Options};
use qga_tests::connection::Connection;
use qga_tests::{counters, jail, program, skip};
use std::fs;
use std::io::{ErrorKind, Write};
use std::time::Duration;

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = r#"{"return": {}}"#;
/// CPU time that counts as none while the agent waits: far more than a wake-up, far less than a
/// loop.
const IDLE_CPU_NS_MAX: u64 = 20_000_000;

fn open(client: &mut Connection, path: &str, mode: &str) -> String {
    let arguments = format!(r#"{{"path":"{path}","mode":"{mode}"}}"#);
    client.ask(format!(r#"{{"execute":"guest-file-open","arguments":{arguments}}}"#))
}

fn command(name: &str, arguments: &str) -> String {
    format!(r#"{{"execute":"guest-{name}","arguments":{{{arguments}}}}}"#)
}

/// Opens a file of `bytes` zeros as handle 1000.
fn open_zeros(agent: &Agent, client: &mut Connection, bytes: u64) -> std::path::PathBuf {
    let path = agent.folder.join("zeros");
    fs::File::create(&path).unwrap().set_len(bytes).unwrap();
    assert_eq!(open(client, path.to_str().unwrap(), "r"), r#"{"return": 1000}"#);
    path
}

fn read(count: usize) -> String {
    command("file-read", &format!(r#""handle":1000,"count":{count}"#))
}

/// Asserts that the agent sleeps for `time`.
fn sleeps_for(agent: &Agent, time: Duration, why: &str) {
    let before_ns = counters::cpu_ns(agent.pid());
    std::thread::sleep(time);
    let used_ns = counters::cpu_ns(agent.pid()) - before_ns;
    assert!(used_ns < IDLE_CPU_NS_MAX, "{used_ns} ns of CPU in {time:?} {why}");
    assert_eq!(counters::state(agent.pid()), 'S', "{why}");
}

#[test]
fn one_byte_at_a_time() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let before_ns = counters::cpu_ns(agent.pid());
    for byte in PING.as_bytes() {
        client.send([*byte]);
        std::thread::sleep(Duration::from_millis(20));
    }
    let used_ns = counters::cpu_ns(agent.pid()) - before_ns;
    assert!(used_ns < IDLE_CPU_NS_MAX, "{used_ns} ns of CPU for one slow request");
    assert_eq!(client.text(), PONG);
}

#[test]
fn hang_up_in_the_middle_of_a_request() {
    let agent = Agent::plain();
    assert_eq!(agent.connect().ask(PING), PONG);
    let descriptors = counters::descriptors(agent.pid());
    let request = command("sync", r#""id":1"#);
    for cut in 0..request.len() {
        agent.connect().send(&request[..cut]);
        let mut next = agent.connect();
        assert_eq!(next.ask(PING), PONG, "after {cut} bytes");
        assert_eq!(next.finish(), b"");
    }
    let mut last = agent.connect();
    assert_eq!(last.ask(PING), PONG);
    assert!(counters::descriptors(agent.pid()) <= descriptors + 1, "descriptors are lost");
}

#[test]
fn hang_up_in_the_middle_of_a_reply() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    open_zeros(&agent, &mut client, 8 << 20);
    let descriptors = counters::descriptors(agent.pid());
    for round in 0..20 {
        client.ask(command("file-seek", r#""handle":1000,"offset":0,"whence":0"#));
        client.send(read(8 << 20));
        let start = client.take_like(br#"{"return": {"buf-b64": "AAAA"#);
        assert!(start.ends_with(b"AAAA"), "round {round}");
        client = agent.connect();
        assert_eq!(client.ask(PING), PONG, "the next client's first line is its own reply");
    }
    assert!(counters::descriptors(agent.pid()) <= descriptors, "descriptors are lost");
    assert_eq!(
        client.ask(command("file-close", r#""handle":1000"#)),
        PONG,
        "the handle has survived"
    );
}

#[test]
fn client_that_never_reads() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    open_zeros(&agent, &mut client, 48 << 20);
    client.send(read(48 << 20));
    std::thread::sleep(Duration::from_millis(200));
    sleeps_for(&agent, Duration::from_secs(1), "while a client does not read");
    drop(client);
    let mut next = agent.connect();
    assert_eq!(next.ask(PING), PONG);
}

#[test]
fn client_that_writes_and_never_reads() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    // Of a size that fits a socket's pieces, so that no request is cut in two.
    let pings = PING.repeat(100);
    client.stream.set_nonblocking(true).unwrap();
    let (mut sent, mut pause) = (0, 0);
    while pause < 50 {
        match client.stream.write(&pings.as_bytes()[sent % pings.len()..]) {
            Ok(count) => (sent, pause) = (sent + count, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                pause += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => panic!("{error}"),
        }
    }
    sleeps_for(&agent, Duration::from_secs(1), "while a client writes and does not read");
    assert!(counters::rss_kb(agent.pid()) <= 4096 + 256);
    client.stream.set_nonblocking(false).unwrap();
    let whole = sent / PING.len();
    assert!(whole > 100, "only {whole} pings went out");
    for number in 0..whole {
        assert_eq!(client.text(), PONG, "reply {number} of {whole}");
    }
    assert_eq!(client.finish(), b"");
}

#[test]
fn client_that_reads_slowly() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let path = agent.folder.join("numbers");
    let text: String = (0..200_000).map(|number| format!("{number:06}\n")).collect();
    fs::write(&path, &text).unwrap();
    assert_eq!(open(&mut client, path.to_str().unwrap(), "r"), r#"{"return": 1000}"#);
    client.send(read(text.len()));
    let mut reply = Vec::new();
    while !reply.ends_with(b"\n") {
        let before = reply.len();
        reply.extend(client.take_some(1000));
        assert!(reply.len() > before, "the reply stops after {before} bytes");
        if before % 50 == 0 {
            std::thread::sleep(Duration::from_micros(300));
        }
    }
    let reply: serde_json::Value = serde_json::from_slice(&reply).unwrap();
    let data = reply["return"]["buf-b64"].as_str().unwrap();
    let decoded = STANDARD.decode(data).expect("canonical base64");
    assert!(decoded == text.as_bytes(), "the data is not the file's");
    assert_eq!(reply["return"]["count"], text.len());
    assert_eq!(reply["return"]["eof"], false);
}

#[test]
fn connect_and_hang_up() {
    let agent = Agent::plain();
    assert_eq!(agent.connect().ask(PING), PONG);
    let descriptors = counters::descriptors(agent.pid());
    for _ in 0..500 {
        drop(agent.connect());
    }
    let mut last = agent.connect();
    assert_eq!(last.ask(PING), PONG);
    assert!(counters::descriptors(agent.pid()) <= descriptors + 1, "descriptors are lost");
}

#[test]
fn file_that_vanishes() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let path = agent.folder.join("f");
    assert_eq!(open(&mut client, path.to_str().unwrap(), "w+"), r#"{"return": 1000}"#);
    fs::remove_file(&path).unwrap();
    let write = command("file-write", r#""handle":1000,"buf-b64":"QUJD""#);
    assert_eq!(client.ask(write), r#"{"return": {"count": 3, "eof": false}}"#);
    client.ask(command("file-seek", r#""handle":1000,"offset":0,"whence":"set""#));
    assert_eq!(client.ask(read(9)), r#"{"return": {"buf-b64": "QUJD", "count": 3, "eof": true}}"#);
    assert_eq!(client.ask(command("file-close", r#""handle":1000"#)), PONG);
}

#[test]
fn file_that_shrinks_during_a_read() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    let path = open_zeros(&agent, &mut client, 48 << 20);
    client.send(read(48 << 20));
    std::thread::sleep(Duration::from_millis(100));
    fs::File::options().write(true).open(path).unwrap().set_len(1 << 20).unwrap();
    let reply: serde_json::Value = serde_json::from_str(&client.text()).unwrap();
    let data = reply["return"]["buf-b64"].as_str().expect("a short read is no error");
    let count = reply["return"]["count"].as_u64().unwrap() as usize;
    let padding = data.bytes().rev().take_while(|&byte| byte == b'=').count();
    assert_eq!(data.len() / 4 * 3 - padding, count, "count is what was sent");
    assert!((1 << 20..48 << 20).contains(&count), "{count} bytes");
    assert_eq!(reply["return"]["eof"], true);
    assert_eq!(client.ask(PING), PONG);
}

/// An agent in a mount namespace of its own, with a tmpfs of 64 KiB on `@D/full`.
fn with_small_tmpfs(name: &str, more: &[&str]) -> Option<Agent> {
    if let Some(reason) = jail::unavailable() {
        skip(name, reason);
        return None;
    }
    let script =
        "mkdir full && mount -t tmpfs -o size=64k,mode=700 none full && exec \"$0\" \"$@\"";
    let helper = jail::helper();
    let wrapper = [helper.to_str().expect("a path in UTF-8"), "apart", "sh", "-c", script];
    let wrapper = wrapper.map(String::from).to_vec();
    let arguments = more.iter().map(|word| (*word).to_owned()).collect();
    Some(Agent::start(Options { wrapper, arguments, ..Options::default() }))
}

#[test]
fn full_disk() {
    let Some(agent) = with_small_tmpfs("bad_clients::full_disk", &[]) else { return };
    let mut client = agent.connect();
    let path = agent.folder.join("full/f");
    assert_eq!(open(&mut client, path.to_str().unwrap(), "w"), r#"{"return": 1000}"#);
    let data = "QUJD".repeat(32 * 1024);
    let write = command("file-write", &format!(r#""handle":1000,"buf-b64":"{data}""#));
    let full = r#"{"error": {"class": "GenericError", "desc": "failed to write to file: No space left on device"}}"#;
    let first = client.ask(&write);
    if first != full {
        let reply: serde_json::Value = serde_json::from_str(&first).unwrap();
        let count = reply["return"]["count"].as_u64().unwrap_or_else(|| panic!("{first}"));
        assert!(count <= 65536, "{first}");
    }
    assert_eq!(client.ask(&write), full);
    assert_eq!(
        client.ask(command("file-flush", r#""handle":1000"#)),
        PONG,
        "nothing is left to flush"
    );
    assert_eq!(client.ask(command("file-close", r#""handle":1000"#)), PONG);
    assert_eq!(client.ask(PING), PONG);
}

#[test]
fn full_state_folder() {
    let more = ["-t", "full"];
    let Some(agent) = with_small_tmpfs("bad_clients::full_state_folder", &more) else { return };
    let mut client = agent.connect();
    let filler = agent.folder.join("full/filler");
    assert_eq!(open(&mut client, filler.to_str().unwrap(), "w"), r#"{"return": 1000}"#);
    let data = "QUJD".repeat(32 * 1024);
    let write = command("file-write", &format!(r#""handle":1000,"buf-b64":"{data}""#));
    while !client.ask(&write).contains("No space left") {}
    let descriptors = counters::descriptors(agent.pid());
    for _ in 0..3 {
        let reply = open(&mut client, "/dev/null", "r");
        let text = "failed to commit persistent state to disk";
        assert!(reply.contains(text) && reply.contains("No space left on device"), "{reply}");
    }
    assert_eq!(counters::descriptors(agent.pid()), descriptors, "descriptors are lost");
    // The agent itself empties the file, over which the state can be saved again.
    assert_eq!(client.ask(command("file-close", r#""handle":1000"#)), PONG);
    let inside = format!("/proc/{}/root{}", agent.pid(), filler.display());
    fs::File::options().write(true).open(inside).unwrap().set_len(0).unwrap();
    assert_eq!(open(&mut client, "/dev/null", "r"), r#"{"return": 1001}"#);
}

#[test]
fn no_descriptors_left() {
    if program("prlimit").is_none() {
        return skip("bad_clients::no_descriptors_left", "needs prlimit (package util-linux)");
    }
    let wrapper = ["prlimit", "--nofile=16", "--"].map(String::from).to_vec();
    let agent = Agent::start(Options { wrapper, ..Options::default() });
    let mut client = agent.connect();
    let mut opened = 0;
    let reply = loop {
        let reply = open(&mut client, "/dev/null", "r");
        if reply.contains("error") {
            break reply;
        }
        opened += 1;
        assert!(opened < 16, "more files than descriptors");
    };
    assert!(reply.contains("Too many open files"), "{reply}");
    assert_eq!(client.ask(PING), PONG);
    sleeps_for(&agent, Duration::from_millis(500), "without descriptors left");
    drop(client);
    let mut next = agent.connect();
    assert_eq!(next.ask(PING), PONG);
    assert_eq!(next.ask(command("file-close", r#""handle":1000"#)), PONG);
    let reply = open(&mut next, "/dev/null", "r");
    assert!(reply.contains("return"), "{reply}");
}

/// Bytes that look random, the same for the same seed (xorshift).
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..count).map(|_| byte()).collect()
}

#[test]
fn noise_and_then_a_sync() {
    let agent = Agent::plain();
    for seed in 1..=20 {
        let client = agent.connect();
        let mut writer = Connection::new(client.stream.try_clone().unwrap());
        let writing = std::thread::spawn(move || {
            writer.send(noise(seed, 200_000));
            writer
                .send(b"\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":4711}}\n");
        });
        let mut client = client;
        loop {
            let line = client.line();
            if line == b"\xff{\"return\": 4711}\n" {
                break;
            }
            assert!(
                line.starts_with(b"{\"error\": {\"class\": \"GenericError\""),
                "seed {seed}: {line:?}"
            );
            let reply: serde_json::Value = serde_json::from_slice(&line).unwrap();
            assert!(reply["error"]["desc"].is_string(), "seed {seed}");
        }
        writing.join().unwrap();
        assert_eq!(client.ask(PING), PONG);
    }
}

#[test]
fn stopped_and_continued() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    for _ in 0..20 {
        agent.signal(libc::SIGSTOP);
        client.send(PING);
        agent.signal(libc::SIGCONT);
        assert_eq!(client.text(), PONG);
    }
    assert_eq!(client.finish(), b"");
}

#[test]
fn idle_means_no_wakeups() {
    let agent = Agent::plain();
    let idle = |why: &str| {
        std::thread::sleep(Duration::from_millis(100));
        let before = counters::switches(agent.pid());
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(counters::switches(agent.pid()) - before, 0, "wake-ups in 3 s {why}");
    };
    idle("without a client");
    let mut client = agent.connect();
    assert_eq!(client.ask(PING), PONG);
    idle("with a client");
    drop(client);
    idle("after a client");
}
