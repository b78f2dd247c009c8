//! Freezes in odd guests, on real filesystems: what is mounted over what, what is taken away while an agent holds it,
//! nowhere to keep the mark, few descriptors, a kernel of long ago.

use qga_tests::disk::Disk;
use qga_tests::guest::{Guest, freeze, status, thaw};
use qga_tests::jail::{JailedAgent, Mount, Spec, Start};
use qga_tests::{program, skip};
use std::fs;
use std::time::{Duration, Instant};

const FROZEN: &str = r#"{"return": "frozen"}"#;
const THAWED: &str = r#"{"return": "thawed"}"#;
const BUSYBOX: &str = "/bin/busybox";

fn returns(number: i64) -> String {
    format!(r#"{{"return": {number}}}"#)
}

/// Runs a command of busybox in the guest.
fn run_inside(guest: &Guest, words: &[&str]) {
    let words = [&[BUSYBOX], words].concat();
    let status = guest.jail.enter(&words).wait().expect("the jail's helper runs");
    assert!(status.success(), "{words:?}: {status}: {}", guest.jail.stderr());
}

/// Freezes, kills the agent; `between`; the next agent finds everything frozen.
fn frozen_then(guest: &Guest, count: i64, between: impl FnOnce()) -> JailedAgent {
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(count));
    drop(client);
    agent.kill();
    between();
    guest.jail.agent(Start::default())
}

/// Waits until the agent sleeps as one that waits for a client. Panics if it hangs in the kernel instead; what is
/// frozen is thawed first, or it could not even be killed.
fn settles(guest: &Guest, agent: &JailedAgent) {
    let state = || {
        let text = fs::read_to_string(format!("/proc/{}/status", agent.pid)).expect("it lives");
        let line = text.lines().find(|line| line.starts_with("State:"));
        line.expect("a state").to_owned()
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut seen = state();
    while !seen.contains("(sleeping)") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
        seen = state();
    }
    // It may have been caught between two waits.
    std::thread::sleep(Duration::from_millis(300));
    if !state().contains("(sleeping)") {
        guest.jail.thaw();
        panic!("the agent hangs: {}", seen.trim());
    }
}

#[test]
fn a_btrfs_below_a_tmpfs_is_thawed_through_another_mount() {
    let name = "freeze_odd::a_btrfs_below_a_tmpfs_is_thawed_through_another_mount";
    if Disk::impossible(name) || Disk::lacks("btrfs", "btrfs-progs", name) {
        return;
    }
    let guest = Guest::with_disks(&["/mnt/a"], vec![Disk::btrfs()], Spec::default());
    run_inside(&guest, &["mkdir", "/mnt/b"]);
    run_inside(&guest, &["mount", "-o", "bind", "/mnt/a", "/mnt/b"]);
    let agent = frozen_then(&guest, 1, || {
        run_inside(&guest, &["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    });
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false]);
    assert_eq!(status(&mut client), THAWED);
}

/// No path leads to either: one is covered, the other's mount point is gone from sight.
#[test]
fn what_is_covered_is_left_alone() {
    if Disk::impossible("freeze_odd::what_is_covered_is_left_alone") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/a/b", "/mnt/c"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    run_inside(&guest, &["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false, false, true]);
    assert_eq!(thaw(&mut client), returns(1));
    run_inside(&guest, &["umount", "/mnt/a"]);
    assert_eq!(freeze(&mut client), returns(3));
    // Frozen, and covered while nobody holds them: nothing is called gone.
    drop(client);
    agent.kill();
    run_inside(&guest, &["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(status(&mut client), r#"{"return": "error"}"#);
    let reply = thaw(&mut client);
    assert!(reply.contains("failed to thaw /mnt/a: Device or resource busy"), "{reply}");
    assert_eq!(guest.frozen(), [true, true, false]);
    run_inside(&guest, &["umount", "/mnt/a"]);
    assert_eq!(thaw(&mut client), returns(2));
    assert_eq!(guest.frozen(), [false; 3]);
    assert_eq!(status(&mut client), THAWED);
}

#[test]
fn detached_while_the_next_agent_holds_it() {
    if Disk::impossible("freeze_odd::detached_while_the_next_agent_holds_it") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let agent = frozen_then(&guest, 2, || {});
    let mut client = agent.connect();
    run_inside(&guest, &["umount", "-l", "/mnt/a"]);
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(2));
    assert_eq!(guest.frozen(), [false, false]);
}

/// Neither /run nor /tmp is in memory: the mark goes to /dev.
#[test]
fn the_usual_places_are_on_the_disk() {
    if Disk::impossible("freeze_odd::the_usual_places_are_on_the_disk") {
        return;
    }
    let bind = Mount { from: "/run".into(), at: "/tmp".into(), kind: "bind".to_owned() };
    let guest = Guest::with_spec(&["/run"], Spec { mounts: vec![bind], ..Spec::default() });
    fs::create_dir(guest.jail.path("/run/a")).expect("the agent's folder");
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    client.send(r#"{"execute":"guest-fsfreeze-freeze"}"#);
    settles(&guest, &agent);
    assert_eq!(client.text(), returns(1));
    assert!(guest.jail.path("/dev/qga.state.isfrozen").exists());
    assert_eq!(thaw(&mut client), returns(1));
    assert!(!guest.jail.path("/dev/qga.state.isfrozen").exists());
}

/// Without any filesystem in memory a freeze is refused: its own record would stop the agent.
#[test]
fn nowhere_to_keep_the_mark() {
    if Disk::impossible("freeze_odd::nowhere_to_keep_the_mark") {
        return;
    }
    let bind = |at: &str| Mount { from: "/run".into(), at: at.into(), kind: "bind".to_owned() };
    let mounts = vec![bind("/tmp"), bind("/dev")];
    let guest = Guest::with_spec(&["/run"], Spec { mounts, ..Spec::default() });
    fs::create_dir(guest.jail.path("/run/a")).expect("the agent's folder");
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    client.send(r#"{"execute":"guest-fsfreeze-freeze"}"#);
    settles(&guest, &agent);
    let reply = client.text();
    assert!(reply.contains("frozen mark") && reply.contains("not supported"), "{reply}");
    assert_eq!(guest.frozen(), [false]);
    assert_eq!(status(&mut client), THAWED);
}

/// The reference leaves no list: the socket's own disk may be what is frozen.
#[test]
fn the_mark_of_the_reference_and_the_socket_on_the_disk() {
    if Disk::impossible("freeze_odd::the_mark_of_the_reference_and_the_socket_on_the_disk") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    fs::create_dir_all(guest.jail.path("/run/a")).expect("the agent's folder");
    fs::write(guest.jail.path("/run/a/qga.state.isfrozen"), "").expect("a mark");
    guest.freeze_from_outside(0);
    let arguments = ["-p", "/mnt/a/socket"];
    let agent = guest.jail.spawn(Start { arguments: &arguments, ..Start::default() });
    settles(&guest, &agent);
    assert_eq!(guest.frozen(), [false]);
    assert!(guest.jail.path("/mnt/a/socket").exists());
}

#[test]
fn few_descriptors_after_a_restart() {
    if Disk::impossible("freeze_odd::few_descriptors_after_a_restart") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b", "/mnt/c", "/mnt/d"]);
    let before = [BUSYBOX, "sh", "-c", "ulimit -Sn 12; exec \"$@\"", "sh"];
    for last in [false, true] {
        let agent = guest.jail.agent(Start { before: &before, ..Start::default() });
        let mut client = agent.connect();
        if !last {
            assert_eq!(freeze(&mut client), returns(4));
            drop(client);
            agent.kill();
            continue;
        }
        assert_eq!(status(&mut client), FROZEN);
        assert_eq!(thaw(&mut client), returns(4));
    }
    assert_eq!(guest.frozen(), [false; 4]);
}

#[test]
fn a_kernel_without_statx() {
    let name = "freeze_odd::a_kernel_without_statx";
    if Disk::impossible(name) {
        return;
    }
    if program("strace").is_none() {
        return skip(name, "needs strace");
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/a/b"]);
    let (agent, trace) = guest.traced("statx", "statx:error=ENOSYS");
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(2));
    assert_eq!(guest.frozen(), [true, true]);
    assert_eq!(thaw(&mut client), returns(2));
    assert_eq!(guest.frozen(), [false, false]);
    assert!(trace.count(agent.pid) > 0, "statx was not asked for");
}
