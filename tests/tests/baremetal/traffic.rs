//! What hypervisors' managers do to an agent: sync with numbers of 13 digits, clients that come and
//! go, stop in the middle of a request or of a reply, or do not read. The next guest-sync is always
//! answered.

use super::{PATIENCE, PING, PONG, agent, ask, boot, can_boot, command, port};
use std::time::{Duration, Instant};
use xtask::vm::baremetal::{Line, Machine};
use xtask::vm::{Channel, Vm};

/// As libvirt does: guest-sync with the time in milliseconds, answered by nothing else.
fn sync(channel: &mut Channel, id: u64) {
    assert_eq!(id.to_string().len(), 13);
    let reply = channel.request(&command("sync", &format!("\"id\":{id}"))).unwrap();
    assert_eq!(reply, format!("{{\"return\": {id}}}"));
}

/// A new client, which syncs as libvirt does: what an earlier one left behind is skipped.
fn client(vm: &Vm, id: u64) -> Channel {
    let mut channel = port(vm);
    channel.set_timeout(Duration::from_secs(10));
    let request = command("sync", &format!("\"id\":{id}"));
    let expected = format!("{{\"return\": {id}}}");
    channel.send(format!("{request}\n").as_bytes()).unwrap();
    let end = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < end, "no answer to guest-sync {id}");
        let line = channel.receive_line().unwrap_or_else(|error| panic!("{}", vm.explain(error)));
        if line == expected.as_bytes() {
            return channel;
        }
    }
}

/// Writes a file that takes many windows to read, and leaves it open for reading.
fn large_file(agent: &mut Channel) -> String {
    let open = ask(agent, "file-open", r#""path":"/tmp/large","mode":"w+""#);
    let handle = open.trim_start_matches("{\"return\": ").trim_end_matches('}').to_owned();
    // 6 KiB of zeros as base64.
    let piece = "A".repeat(8192);
    for _ in 0..100 {
        let write = format!("\"handle\":{handle},\"buf-b64\":\"{piece}\"");
        assert_eq!(
            ask(agent, "file-write", &write),
            r#"{"return": {"count": 6144, "eof": false}}"#
        );
    }
    handle
}

fn rewind(agent: &mut Channel, handle: &str) {
    let seek = format!("\"handle\":{handle},\"offset\":0,\"whence\":\"set\"");
    assert_eq!(ask(agent, "file-seek", &seek), r#"{"return": {"position": 0, "eof": false}}"#);
}

fn machines(test: &str, lines: &[Line], run: impl Fn(&mut Vm)) {
    for machine in [Machine::Microvm, Machine::Q35, Machine::Virt] {
        if !can_boot(test, machine) {
            continue;
        }
        for &line in lines {
            let line = match (machine, line) {
                (Machine::Virt, Line::Second) => Line::First,
                (_, line) => line,
            };
            println!("{test}: {machine:?} {line:?}");
            run(&mut boot(machine, line));
        }
    }
}

#[test]
fn clients_come_and_go() {
    machines("clients_come_and_go", &[Line::Virtio], |vm| {
        drop(agent(vm));
        for round in 0..100 {
            let mut channel = client(vm, 1_795_378_000_000 + round);
            assert_eq!(channel.request(PING).unwrap(), PONG);
            match round % 5 {
                // Gone in the middle of a request ...
                0 => channel.send(b"{\"execute\": \"guest-pi").unwrap(),
                // ... of a string, ...
                1 => {
                    channel.send(b"{\"execute\": \"guest-file-open\", \"arguments\": {\"p").unwrap()
                }
                // ... before the answer, ...
                2 => channel.send(PING.as_bytes()).unwrap(),
                // ... in the middle of many.
                3 => channel.send(&PING.as_bytes().repeat(200)).unwrap(),
                _ => {}
            }
        }
    });
}

#[test]
fn clients_that_do_not_read() {
    machines("clients_that_do_not_read", &[Line::Virtio], |vm| {
        let mut first = agent(vm);
        let handle = large_file(&mut first);
        for round in 0..5 {
            rewind(&mut first, &handle);
            let read = format!("\"handle\":{handle},\"count\":614400");
            first.send(command("file-read", &read).as_bytes()).unwrap();
            // The reply stands in the sockets and in the guest; nobody takes it.
            std::thread::sleep(Duration::from_millis(200));
            drop(first);
            first = client(vm, 1_795_378_100_000 + round);
            assert_eq!(first.request(PING).unwrap(), PONG);
        }
    });
}

#[test]
fn a_stall_loses_nothing() {
    let lines = [Line::Virtio, Line::Second];
    machines("a_stall_loses_nothing", &lines, |vm| {
        let mut agent = agent(vm);
        agent.set_timeout(PATIENCE);
        let handle = large_file(&mut agent);
        rewind(&mut agent, &handle);
        let read = format!("\"handle\":{handle},\"count\":614400");
        agent.send(format!("{}\n", command("file-read", &read)).as_bytes()).unwrap();
        agent.send(format!("{PING}\n").as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(1500));
        let line = agent.receive_line().unwrap();
        let expected =
            format!("{{\"return\": {{\"buf-b64\": \"{}\", \"count\": 614400, \"eof\": ", {
                "A".repeat(819_200)
            });
        let text = String::from_utf8(line).unwrap();
        assert!(text.starts_with(&expected), "{} bytes came", text.len());
        assert_eq!(agent.receive_line().unwrap(), PONG.as_bytes());
        sync(&mut agent, 1_795_378_200_000);
    });
}

/// Pausing the machine is what a hypervisor does to migrate it or to take a snapshot.
#[test]
fn a_paused_machine_goes_on() {
    machines("a_paused_machine_goes_on", &[Line::Virtio, Line::Second], |vm| {
        let mut agent = agent(vm);
        for round in 0..5 {
            vm.qmp().execute("stop", serde_json::json!({})).unwrap();
            agent.send(format!("{PING}\n").as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(50));
            vm.qmp().execute("cont", serde_json::json!({})).unwrap();
            assert_eq!(agent.receive_line().unwrap(), PONG.as_bytes());
            sync(&mut agent, 1_795_378_300_000 + round);
        }
    });
}

#[test]
fn requests_longer_than_the_frame_are_refused_and_survived() {
    let lines = [Line::Virtio, Line::Second];
    machines("requests_longer_than_the_frame_are_refused_and_survived", &lines, |vm| {
        let mut agent = agent(vm);
        let long = "A".repeat(100_000);
        let write = format!("\"handle\":1000,\"buf-b64\":\"{long}\"");
        let reply = ask(&mut agent, "file-write", &write);
        assert!(reply.contains("limit exceeded") && reply.contains("16384"), "{reply}");
        sync(&mut agent, 1_795_378_400_000);
        agent.send(&[0xFF; 50_000]).unwrap();
        agent.send(&b"garbage \x00\x01\x02\xfe\n".repeat(200)).unwrap();
        agent.sync(PATIENCE, Duration::from_secs(5)).unwrap();
        sync(&mut agent, 1_795_378_400_001);
    });
}

#[test]
fn files_fill_up_and_say_so() {
    machines("files_fill_up_and_say_so", &[Line::Virtio], |vm| {
        let mut agent = agent(vm);
        let handle = large_file(&mut agent);
        let piece = format!("\"handle\":{handle},\"buf-b64\":\"{}\"", "A".repeat(8192));
        let full = (0..200)
            .map(|_| ask(&mut agent, "file-write", &piece))
            .find(|reply| reply != r#"{"return": {"count": 6144, "eof": false}}"#);
        assert!(full.expect("an end").contains("\"count\": "), "the last piece fits in part");
        let refused = ask(&mut agent, "file-write", &piece);
        assert!(refused.contains("No space left on device") || refused.contains("File too large"));
        let again = ask(&mut agent, "file-open", r#""path":"/tmp/large","mode":"w""#);
        assert!(again.starts_with(r#"{"return": "#), "{again}");
        assert_eq!(
            ask(&mut agent, "file-write", &piece.replace(&handle, "1001")),
            r#"{"return": {"count": 6144, "eof": false}}"#
        );
    });
}
