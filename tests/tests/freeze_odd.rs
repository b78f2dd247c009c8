//! Freezes in odd guests, on real filesystems: what is mounted over what, what is taken away while
//! an agent holds it, nowhere to keep the mark, few descriptors, a kernel of long ago.

use qga_tests::disk::Disk;
use qga_tests::guest::{
    FAILED, FROZEN, Guest, THAWED, await_status, freeze, returns, status, thaw, untraceable,
};
use qga_tests::jail::{JailedAgent, Mount, Spec, Start};
use qga_tests::program;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

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

/// Waits until the agent sleeps as one that waits for a client. Panics if it hangs in the kernel
/// instead; what is frozen is thawed first, or it could not even be killed.
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

/// A btrfs on /mnt/a, and `what` of it on /mnt/b; nothing where that cannot be had.
fn btrfs_twice(name: &str, what: &str) -> Option<Guest> {
    if Disk::impossible(name) || Disk::lacks("btrfs", "btrfs-progs", name) {
        return None;
    }
    let guest = Guest::with_disks(&["/mnt/a"], vec![Disk::btrfs()], Spec::default());
    if what != "/mnt/a" {
        let mut create = Command::new(program("btrfs").expect("btrfs (package btrfs-progs)"));
        let created = create.args(["subvolume", "create"]).arg(guest.jail.path(what)).output();
        let created = created.expect("btrfs runs");
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    }
    guest.run(&["mkdir", "/mnt/b"]);
    guest.run(&["mount", "-o", "bind", what, "/mnt/b"]);
    Some(guest)
}

/// Whoever finds one filesystem frozen thaws it.
fn is_found_and_thawed(guest: &Guest, agent: &JailedAgent) {
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(guest.frozen(), [true]);
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false]);
    assert_eq!(status(&mut client), THAWED);
}

#[test]
fn a_subvolume_unmounted_after_a_crash_is_thawed_through_another() {
    let name = "freeze_odd::a_subvolume_unmounted_after_a_crash_is_thawed_through_another";
    let Some(guest) = btrfs_twice(name, "/mnt/a/s") else { return };
    let agent = frozen_then(&guest, 1, || guest.run(&["umount", "-l", "/mnt/a"]));
    is_found_and_thawed(&guest, &agent);
}

#[test]
fn a_btrfs_below_a_tmpfs_is_thawed_through_another_mount() {
    let name = "freeze_odd::a_btrfs_below_a_tmpfs_is_thawed_through_another_mount";
    let Some(guest) = btrfs_twice(name, "/mnt/a") else { return };
    let cover = || guest.run(&["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    let agent = frozen_then(&guest, 1, cover);
    is_found_and_thawed(&guest, &agent);
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
    guest.run(&["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false, false, true]);
    assert_eq!(thaw(&mut client), returns(1));
    guest.run(&["umount", "/mnt/a"]);
    assert_eq!(freeze(&mut client), returns(3));
    // Frozen, and covered while nobody holds them: nothing is called gone.
    drop(client);
    agent.kill();
    guest.run(&["mount", "-t", "tmpfs", "none", "/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    await_status(&mut client, FAILED);
    let reply = thaw(&mut client);
    assert!(reply.contains("failed to thaw /mnt/a: Device or resource busy"), "{reply}");
    assert_eq!(guest.frozen(), [true, true, false]);
    guest.run(&["umount", "/mnt/a"]);
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
    guest.run(&["umount", "-l", "/mnt/a"]);
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(2));
    assert_eq!(guest.frozen(), [false, false]);
}

/// A guest whose /run, and these places, are on one disk.
fn on_one_disk(places: &[&str]) -> Guest {
    let bind = |at: &&str| Mount { from: "/run".into(), at: at.into(), kind: "bind".to_owned() };
    let mounts = places.iter().map(bind).collect();
    let guest = Guest::with_spec(&["/run"], Spec { mounts, ..Spec::default() });
    fs::create_dir(guest.jail.path("/run/a")).expect("the agent's folder");
    guest
}

/// What marks lie in a place of a jail.
fn marks(guest: &Guest, place: &str) -> usize {
    let Ok(folder) = fs::read_dir(guest.jail.path(place)) else { return 0 };
    let names = folder.map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().contains("isfrozen")).count()
}

/// Neither /run nor /tmp is in memory: the mark goes to /dev.
#[test]
fn the_usual_places_are_on_the_disk() {
    if Disk::impossible("freeze_odd::the_usual_places_are_on_the_disk") {
        return;
    }
    let guest = on_one_disk(&["/tmp"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    client.send(r#"{"execute":"guest-fsfreeze-freeze"}"#);
    settles(&guest, &agent);
    assert_eq!(client.text(), returns(1));
    let on_disk = ["/run/a", "/run/qga"].map(|place| marks(&guest, place));
    assert_eq!((on_disk, marks(&guest, "/dev/.qga")), ([0, 0], 1));
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(marks(&guest, "/dev/.qga"), 0);
}

/// Without any filesystem in memory a freeze is refused: its own record would stop the agent.
#[test]
fn nowhere_to_keep_the_mark() {
    if Disk::impossible("freeze_odd::nowhere_to_keep_the_mark") {
        return;
    }
    let guest = on_one_disk(&["/tmp", "/dev"]);
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
    let before = ["/bin/busybox", "sh", "-c", "ulimit -Sn 12; exec \"$@\"", "sh"];
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
    if untraceable(name) {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/a/b"]);
    let (agent, trace) = guest.traced("statx", "statx:error=ENOSYS");
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(2));
    assert_eq!(guest.frozen(), [true, true]);
    assert_eq!(thaw(&mut client), returns(2));
    assert_eq!(guest.frozen(), [false, false]);
    assert!(trace.count() > 0, "statx was not asked for");
}
