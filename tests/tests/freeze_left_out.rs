//! What a freeze leaves out, on real filesystems: covered and hidden mounts, a line of the mount
//! table that is too long, what others froze, a mount that goes while it is looked at, too few
//! descriptors, and a freeze that is told to stop.

use qga_tests::disk::Disk;
use qga_tests::guest::{
    FAILED, FROZEN, Guest, THAWED, await_status, freeze, returns, status, thaw, untraceable,
};
use qga_tests::jail::{JailedAgent, Start};
use std::fs;
use std::time::{Duration, Instant};

const HIDDEN: &str = "warning: not frozen, hidden by another mount or the unit's sandbox:";
const THEIRS: &str = "warning: frozen or suspended by somebody else, who may end that at any time:";
const STRICT: [&str; 2] = ["--freeze-unreachable", "fail"];
const SHORT: &str =
    "Too many open files (raise LimitNOFILE= of the unit, or RLIMIT_NOFILE, to 1024)";

fn strict(guest: &Guest) -> JailedAgent {
    guest.jail.agent(Start { arguments: &STRICT, ..Start::default() })
}

/// An agent that may have so many descriptors open, and no more.
fn with_descriptors(guest: &Guest, most: &str) -> JailedAgent {
    let limited = format!("ulimit -n {most}; exec \"$@\"");
    let before = ["/bin/busybox", "sh", "-c", &limited, "sh"];
    guest.jail.agent(Start { before: &before, ..Start::default() })
}

#[test]
fn what_is_covered_is_in_the_log_without_being_asked_for() {
    if Disk::impossible("freeze_left_out::what_is_covered_is_in_the_log_without_being_asked_for") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/a/b", "/mnt/c"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(3));
    assert_eq!(thaw(&mut client), returns(3));
    assert!(!guest.jail.stderr().contains("warning"), "{}", guest.jail.stderr());
    guest.run(&["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false, false, true]);
    assert_eq!(thaw(&mut client), returns(1));
    let said = guest.jail.stderr();
    // One is covered, the other's mount point is gone with it.
    for place in ["/mnt/a", "/mnt/a/b"] {
        assert_eq!(said.matches(&format!("{HIDDEN} {place}\n")).count(), 1, "{place}: {said}");
    }
    // Whoever wants all or nothing says so.
    drop(client);
    agent.kill();
    let agent = strict(&guest);
    let reply = freeze(&mut agent.connect());
    assert!(reply.contains("sandbox: /mnt/a: Device or resource busy"), "{reply}");
    assert_eq!(guest.frozen(), [false; 3]);
}

#[test]
fn what_is_covered_and_mounted_elsewhere_is_frozen() {
    if Disk::impossible("freeze_left_out::what_is_covered_and_mounted_elsewhere_is_frozen") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/c"]);
    guest.run(&["mkdir", "-p", "/mnt/d"]);
    guest.run(&["mount", "-o", "bind", "/mnt/a", "/mnt/d"]);
    guest.run(&["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    let agent = strict(&guest);
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(2));
    assert_eq!(guest.frozen(), [true, true]);
    assert_eq!(thaw(&mut client), returns(2));
    assert!(!guest.jail.stderr().contains("warning"), "{}", guest.jail.stderr());
}

/// A backup that has frozen nothing must not succeed.
#[test]
fn nothing_frozen_that_should_have_been_is_an_error() {
    if Disk::impossible("freeze_left_out::nothing_frozen_that_should_have_been_is_an_error") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    guest.run(&["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    let reply = freeze(&mut client);
    assert!(reply.contains("sandbox: /mnt/a: Device or resource busy"), "{reply}");
    assert_eq!(status(&mut client), THAWED);
    // Nobody writes to what is read-only, so nothing of it need be frozen.
    guest.run(&["umount", "/mnt/a"]);
    guest.run(&["mount", "-o", "remount,ro", "/mnt/a"]);
    guest.run(&["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    assert_eq!(freeze(&mut client), returns(0));
}

/// Names of newlines, each of which takes four bytes in the table: a line of 30 KiB.
#[test]
fn a_line_of_the_mount_table_that_is_too_long() {
    if Disk::impossible("freeze_left_out::a_line_of_the_mount_table_that_is_too_long") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let deep = |top: &str| top.to_owned() + &format!("/{}", "\n".repeat(250)).repeat(15);
    let (from, at) = (deep("/mnt/a"), deep("/mnt/b"));
    for path in [&from, &at] {
        fs::create_dir_all(guest.jail.path(path)).expect("folders");
    }
    guest.run(&["mount", "-o", "bind", &from, &at]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    // Another line leads there.
    assert_eq!(freeze(&mut client), returns(2));
    assert_eq!(thaw(&mut client), returns(2));
    guest.run(&["umount", "-l", "/mnt/a"]);
    let reply = freeze(&mut client);
    assert!(reply.contains("failed to open /mnt/b/"), "{reply}");
    assert!(reply.contains("File name too long"), "{reply}");
    assert_eq!(guest.frozen(), [false; 2]);
}

#[test]
fn what_others_froze_is_in_the_log_after_the_thaw() {
    if Disk::impossible("freeze_left_out::what_others_froze_is_in_the_log_after_the_thaw") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    guest.freeze_from_outside(0);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    assert!(!guest.jail.stderr().contains("warning"), "{}", guest.jail.stderr());
    assert_eq!(thaw(&mut client), returns(1));
    let said = guest.jail.stderr();
    assert_eq!(said.matches(&format!("{THEIRS} /mnt/a\n")).count(), 1, "{said}");
    assert_eq!(guest.frozen(), [true, false]);
    drop(client);
    agent.kill();
    let agent = strict(&guest);
    let reply = freeze(&mut agent.connect());
    assert!(reply.contains("failed to freeze /mnt/a: Device or resource busy"), "{reply}");
    assert_eq!(guest.frozen(), [true, false]);
}

/// The agent looks at /mnt/a/b, and while it does so that is unmounted: what it opens then is
/// /mnt/a.
#[test]
fn unmounted_between_the_look_and_the_open() {
    let name = "freeze_left_out::unmounted_between_the_look_and_the_open";
    if untraceable(name) {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/a/b"]);
    // Two looks for /mnt/a, the third is the one.
    let (agent, trace) = guest.traced("statx", "statx:delay_exit=1500000:when=3");
    let mut client = agent.connect();
    client.send(r#"{"execute":"guest-fsfreeze-freeze"}"#);
    let deadline = Instant::now() + Duration::from_secs(5);
    while trace.count() < 3 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    guest.run(&["umount", "-l", "/mnt/a/b"]);
    assert_eq!(client.text(), returns(1));
    assert!(guest.frozen()[0]);
    drop(client);
    agent.kill();
    // The next agent knows what is frozen.
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(1));
    assert!(!guest.frozen()[0]);
    assert_eq!(status(&mut client), THAWED);
}

#[test]
fn too_few_descriptors_before_the_freeze_and_after_a_restart() {
    let name = "freeze_left_out::too_few_descriptors_before_the_freeze_and_after_a_restart";
    if Disk::impossible(name) {
        return;
    }
    let places: Vec<String> = (0..12).map(|number| format!("/mnt/{number}")).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    let guest = Guest::with_ext4(&places);
    let agent = with_descriptors(&guest, "16");
    let mut client = agent.connect();
    let reply = freeze(&mut client);
    assert!(reply.contains(SHORT), "{reply}");
    assert_eq!(guest.frozen(), [false; 12]);
    assert_eq!(status(&mut client), THAWED);
    drop(client);
    agent.kill();
    let agent = guest.jail.agent(Start::default());
    assert_eq!(freeze(&mut agent.connect()), returns(12));
    agent.kill();
    // What runs again lets its descriptor go for what is still frozen.
    let agent = with_descriptors(&guest, "16");
    let mut client = agent.connect();
    await_status(&mut client, FAILED);
    assert_eq!(thaw(&mut client), returns(12));
    assert_eq!(guest.frozen(), [false; 12]);
    assert_eq!(status(&mut client), THAWED);
}

/// SIGTERM comes while the filesystem freezes, which takes its time: the client may not be told
/// that it is frozen.
#[test]
fn a_freeze_that_is_told_to_stop_is_an_error() {
    if untraceable("freeze_left_out::a_freeze_that_is_told_to_stop_is_an_error") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let (agent, _trace) = guest.traced("ioctl", "ioctl:delay_enter=1000000:when=2");
    let mut client = agent.connect();
    client.send(r#"{"execute":"guest-fsfreeze-freeze","id":7}"#);
    let deadline = Instant::now() + Duration::from_secs(5);
    while !guest.frozen()[1] && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    agent.signal(libc::SIGTERM);
    let reply = client.text();
    assert!(reply.contains("told to stop") && reply.ends_with(r#""id": 7}"#), "{reply}");
    assert_eq!(agent.wait(), "exited 0");
    // What was about to freeze is thawed by who did that.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(guest.frozen(), [false, false]);
}
