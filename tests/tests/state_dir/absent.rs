//! A guest without a place for the state: everything is read-only, or not there yet.

use crate::{MARKS, WITHOUT_T, marks, starts};
use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, THAWED, freeze, returns, status, thaw};
use qga_tests::jail::Start;
use std::fs;
use std::time::{Duration, Instant};

const OPEN: &str = r#"{"execute":"guest-file-open","arguments":{"path":"/bin/qga"}}"#;

/// /run and /dev cannot be written to, but for the socket's folder; in /run lies what an agent has
/// saved, and what the reference agent has.
fn read_only_guest() -> Guest {
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let mount = "mount -t tmpfs -o mode=755 run /run && mkdir -m 700 /run/a /run/qga && mount -t tmpfs a /run/a && \
                 echo fd_counter=2000 > /run/qga/qga.state && \
                 echo fd_counter=1003 > /run/qga.state && mount -o remount,ro run /run && \
                 mount -t tmpfs -o ro dev /dev";
    guest.run(&["sh", "-c", mount]);
    guest
}

/// What needs no state is served, what does answers why it cannot; when the directory can be
/// written to it is taken, with what lies in it.
#[test]
fn an_agent_serves_without_and_takes_it_later() {
    if Disk::impossible("state_dir::an_agent_serves_without_and_takes_it_later") {
        return;
    }
    let guest = read_only_guest();
    let agent = starts(&guest, Start { before: &WITHOUT_T, ..Start::default() }, "read-only");
    let said = guest.jail.stderr();
    assert!(said.contains("state directory /run/qga: Read-only file system\n"), "{said}");
    assert!(said.contains(": warning: serving without"), "it does not say that it goes on");
    let mut client = agent.connect();
    assert_eq!(status(&mut client), THAWED);
    let refused = client.ask(OPEN);
    let why = "failed to commit persistent state to disk: Read-only file system";
    assert!(refused.contains(why), "{refused}");
    let refused = freeze(&mut client);
    assert!(refused.contains("failed to write the frozen mark"), "{refused}");
    assert_eq!((guest.frozen(), status(&mut client)), (vec![false], THAWED.to_owned()));
    guest.run(&["mount", "-o", "remount,rw", "run", "/run"]);
    assert_eq!(client.ask(OPEN), returns(2000));
    assert_eq!(client.ask(OPEN), returns(2001));
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(MARKS.map(|place| marks(&guest, place).len()), [0, 1, 0]);
    assert_eq!(status(&mut client), FROZEN);
    drop(client);
    agent.kill();
    let agent = guest.jail.agent(Start { before: &WITHOUT_T, ..Start::default() });
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN, "it was taken for life, with its lock and its mark");
    assert_eq!(thaw(&mut client), returns(1));
}

/// Two agents that both have none yet: the second to need it is refused, not the first one's equal.
#[test]
fn it_is_taken_by_one_alone() {
    if Disk::impossible("state_dir::it_is_taken_by_one_alone") {
        return;
    }
    let guest = read_only_guest();
    let start = || Start { before: &WITHOUT_T, ..Start::default() };
    let agent = guest.jail.agent(start());
    let mut first = agent.connect();
    guest.run(&["mv", "/run/a/s", "/run/a/first"]);
    let other = guest.jail.agent(start());
    let mut second = other.connect();
    guest.run(&["mount", "-o", "remount,rw", "run", "/run"]);
    assert_eq!(first.ask(OPEN), returns(2000));
    let refused = second.ask(OPEN);
    assert!(refused.contains("failed to commit persistent state to disk"), "{refused}");
    assert_eq!(freeze(&mut first), returns(1));
    assert!(freeze(&mut second).contains("error"));
    assert_eq!(guest.frozen(), [true]);
    assert_eq!(thaw(&mut first), returns(1));
}

/// Process 1 may not end: it says what it waits for, once, and goes on when that is there.
#[test]
fn process_1_waits_for_the_directory_that_it_was_told() {
    if Disk::impossible("state_dir::process_1_waits_for_the_directory_that_it_was_told") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let before = ["/bin/busybox", "unshare", "-p", "-f"];
    let arguments = ["-t", "/run/later"];
    let agent =
        guest.jail.spawn(Start { before: &before, arguments: &arguments, ..Start::default() });
    let deadline = Instant::now() + Duration::from_secs(10);
    while !guest.jail.stderr().contains("/run/later: No such file or directory") {
        assert!(Instant::now() < deadline, "{}", guest.jail.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(guest.jail.stderr().matches("/run/later").count(), 1, "said again and again");
    fs::DirBuilder::new().create(guest.jail.path("/run/later")).expect("a folder");
    guest.run(&["chmod", "700", "/run/later"]);
    let socket = guest.jail.path("/run/a/s");
    while !socket.exists() {
        assert!(Instant::now() < deadline, "{}", guest.jail.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(agent);
}
