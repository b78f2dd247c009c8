//! Freezing and thawing: which filesystems, in which order, what happens when one refuses, and what
//! others froze stays as it is.

use crate::guest::Large;
use qga_core::Errno;
use qga_core::limits::FROZEN_MAX;
use qga_core::platform::Device;
use qga_sim::files::Content;
use qga_sim::mounts::By;
use qga_sim::{Fault, Kind, Sim, World};
use serde_json::{Value, json};

/// Asks for a command without arguments; its whole reply.
pub fn ask(session: &mut Large, command: &str) -> Value {
    let output = session.send(format!("{{\"execute\": \"guest-{command}\"}}\n").as_bytes());
    let reply = serde_json::from_slice(&output);
    reply.unwrap_or_else(|error| panic!("{command}: {error}: {}", output.escape_ascii()))
}

/// What every error says where there was no descriptor left.
pub const SHORT: &str =
    "Too many open files (raise LimitNOFILE= of the unit, or RLIMIT_NOFILE, to 1024)";

fn error(text: &str) -> Value {
    json!({"error": {"class": "GenericError", "desc": text}})
}

/// A guest with an ext4 filesystem on each of /mnt/a, /mnt/b, ...
pub fn disks(count: usize) -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| {
        world.files.add("/mnt", Content::Directory);
        for (minor, name) in (0..count as u32).zip('a'..) {
            world.mount("ext4", Device::new(8, minor), &format!("/mnt/{name}"));
        }
    });
    sim
}

/// The same, and an agent that has frozen all of them.
pub fn frozen_disks(count: usize) -> (Sim, Large) {
    let sim = disks(count);
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": count}));
    (sim, session)
}

fn start(sim: &Sim) -> Large {
    Large::start(sim).expect("a start")
}

/// Who has frozen what is on a mount point.
pub fn frozen(sim: &Sim, point: &str) -> Option<By> {
    sim.with(|world| world.mounts.at(point).frozen)
}

fn none_frozen(sim: &Sim) -> bool {
    sim.with(|world| world.mounts.superblocks.iter().all(|superblock| superblock.frozen.is_none()))
}

fn change(sim: &Sim, point: &str, act: impl FnOnce(&mut qga_sim::mounts::Superblock)) {
    sim.with(|world| act(world.mounts.at(point)));
}

fn clean(sim: &Sim) {
    sim.with(|world: &mut World| {
        assert_eq!(world.violations, Vec::<String>::new());
        assert_eq!((world.open.filesystems, world.open.marks, world.open.tables), (0, 0, 0));
        assert_eq!(world.store.mark(), None);
    });
}

#[test]
fn inner_mounts_first_and_back_in_reverse() {
    let sim = disks(3);
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}));
    assert_eq!(frozen(&sim, "/mnt/a"), Some(By::Agent));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}));
    let changes = sim.with(|world| world.mounts.changes.clone());
    let order: Vec<usize> = changes.iter().map(|&(_, superblock)| superblock).collect();
    let (freezing, thawing) = order.split_at(3);
    assert!(freezing.is_sorted_by(|a, b| a > b), "{order:?}");
    assert!(thawing.is_sorted(), "{order:?}");
    clean(&sim);
}

#[test]
fn each_superblock_once_and_only_local_ones() {
    let sim = disks(2);
    sim.with(|world| {
        world.mount("ext4", Device::new(8, 0), "/mnt/bind");
        world.mount("tmpfs", Device::new(0, 40), "/mnt/memory");
        world.mount_from("nfs4", Device::new(0, 41), "server:/export", "/mnt/network");
        world.files.add("/dev/pool", Content::Block(Device::new(8, 32)));
        world.mount_from("btrfs", Device::new(0, 50), "/dev/pool", "/mnt/one");
        world.mount_from("btrfs", Device::new(0, 51), "/dev/pool", "/mnt/two");
        world.mount_from("btrfs", Device::new(0, 52), "/dev/root", "/mnt/no-device-node");
        // The later one covers the earlier one, which no path reaches any more.
        world.mount("ext4", Device::new(8, 48), "/mnt/covered");
        world.mount("ext4", Device::new(8, 49), "/mnt/covered");
        world.mount("vfat", Device::new(8, 64), "/mnt/cannot");
        world.mounts.at("/mnt/cannot").freeze_error = Some(Errno::OPNOTSUPP);
        world.mount("ext4", Device::new(8, 65), "/mnt/theirs");
        world.mounts.at("/mnt/theirs").frozen = Some(By::Other);
    });
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 5}));
    for (point, by) in [
        ("/mnt/a", Some(By::Agent)),
        ("/mnt/no-device-node", Some(By::Agent)),
        ("/mnt/b", Some(By::Agent)),
        ("/mnt/two", Some(By::Agent)),
        ("/mnt/covered", Some(By::Agent)),
        ("/mnt/cannot", None),
        ("/mnt/network", None),
        ("/mnt/theirs", Some(By::Other)),
    ] {
        assert_eq!(frozen(&sim, point), by, "{point}");
    }
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 5}));
    assert_eq!(frozen(&sim, "/mnt/theirs"), Some(By::Other));
    clean(&sim);
}

#[test]
fn strange_mount_points() {
    let sim = Sim::new(1);
    let long = format!("/{}", "s ".repeat(120));
    let deep = [long.as_str(); 16].concat();
    sim.with(|world| {
        world.mount("ext4", Device::new(8, 0), "/a b\\c\td\ne");
        for depth in 1..=16 {
            world.files.add(&long.repeat(depth), Content::Directory);
        }
        world.mount("ext4", Device::new(8, 1), &deep);
        // A line longer than any buffer: what is after the kind does not matter.
        let source = "/dev/".to_owned() + &"x".repeat(60_000);
        world.mount_from("ext4", Device::new(8, 2), &source, "/mnt-long-line");
        world.mount("ext4", Device::new(8, 3), "/z");
    });
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 4}));
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 4}));
    clean(&sim);
}

#[test]
fn one_that_fails_rolls_all_back() {
    let sim = disks(4);
    change(&sim, "/mnt/b", |superblock| superblock.freeze_error = Some(Errno::IO));
    let mut session = start(&sim);
    let reply = ask(&mut session, "fsfreeze-freeze");
    assert_eq!(reply, error("failed to freeze /mnt/b: Input/output error"));
    assert!(none_frozen(&sim));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    clean(&sim);
    change(&sim, "/mnt/b", |superblock| superblock.freeze_error = None);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 4}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 4}));
    clean(&sim);
}

#[test]
fn a_rollback_that_fails_shows_in_the_status() {
    let sim = disks(3);
    change(&sim, "/mnt/a", |superblock| superblock.freeze_error = Some(Errno::IO));
    change(&sim, "/mnt/c", |superblock| superblock.thaw_error = Some(Errno::NOMEM));
    let mut session = start(&sim);
    let reply = ask(&mut session, "fsfreeze-freeze");
    assert_eq!(reply, error("failed to freeze /mnt/a: Input/output error"));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    change(&sim, "/mnt/c", |superblock| superblock.thaw_error = None);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    assert!(none_frozen(&sim));
    clean(&sim);
}

#[test]
fn a_thaw_that_fails_can_be_tried_again() {
    let sim = disks(3);
    change(&sim, "/mnt/b", |superblock| superblock.thaw_error = Some(Errno::IO));
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}));
    for restarted in [false, true] {
        let reply = ask(&mut session, "fsfreeze-thaw");
        assert_eq!(reply, error("failed to thaw /mnt/b: Input/output error"));
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
        assert_eq!(frozen(&sim, "/mnt/a"), None);
        let refused = ask(&mut session, "shutdown");
        assert_eq!(refused["error"]["class"], "CommandNotFound");
        if !restarted {
            session.restart().expect("a restart");
        }
    }
    change(&sim, "/mnt/b", |superblock| superblock.thaw_error = None);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    assert!(none_frozen(&sim));
    clean(&sim);
}

#[test]
fn what_somebody_else_thawed_is_not_counted() {
    let sim = disks(3);
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}));
    change(&sim, "/mnt/b", |superblock| superblock.frozen = None);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    clean(&sim);
}

#[test]
fn with_nothing_recorded_a_thaw_tries_everything() {
    let sim = disks(2);
    change(&sim, "/mnt/b", |superblock| superblock.frozen = Some(By::Other));
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    assert!(none_frozen(&sim));
    clean(&sim);
}

#[test]
fn the_mark_of_the_reference_means_frozen() {
    let sim = disks(2);
    change(&sim, "/mnt/a", |superblock| superblock.frozen = Some(By::Agent));
    sim.with(|world| world.store.set_mark(Some(b"")));
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
    change(&sim, "/mnt/a", |superblock| superblock.thaw_error = Some(Errno::IO));
    let reply = ask(&mut session, "fsfreeze-thaw");
    assert_eq!(reply["error"]["class"], "GenericError", "{reply}");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    change(&sim, "/mnt/a", |superblock| superblock.thaw_error = None);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    assert!(none_frozen(&sim));
    clean(&sim);
}

#[test]
fn without_a_list_what_cannot_be_looked_at_may_be_frozen() {
    for kind in [Kind::Inspect, Kind::OpenMount] {
        let sim = disks(2);
        change(&sim, "/mnt/a", |superblock| superblock.frozen = Some(By::Agent));
        sim.with(|world| world.store.set_mark(Some(b"")));
        let mut session = start(&sim);
        let fault = Fault { kind: Some(kind), number: 0, errno: Errno::MFILE, lasting: false };
        sim.with(|world| {
            world.faults.clear();
            world.faults.fail(fault);
        });
        ask(&mut session, "fsfreeze-thaw");
        assert_ne!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}), "{kind:?}");
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}), "{kind:?}");
        assert!(none_frozen(&sim));
        clean(&sim);
    }
}

#[test]
fn a_mark_of_another_boot_means_nothing() {
    let sim = disks(2);
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    sim.with(|world| {
        world.store.boot_id = [b'1'; 36];
        world.mounts.superblocks.iter_mut().for_each(|superblock| superblock.frozen = None);
    });
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    clean(&sim);
}

/// Two frozen filesystems, an agent killed, one of the two unmounted, a new agent.
fn one_gone_while_away() -> (Sim, Large) {
    let sim = disks(2);
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    sim.with(|world| world.mounts.list.retain(|mount| mount.point != b"/mnt/a"));
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    (sim, session)
}

#[test]
fn what_is_gone_is_reported_once() {
    let (sim, mut session) = one_gone_while_away();
    let gone = error("failed to thaw /mnt/a: No such device");
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), gone);
    assert_eq!(frozen(&sim, "/mnt/b"), None);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
    clean(&sim);
}

#[test]
fn what_is_gone_does_not_hide_what_cannot_be_looked_at() {
    let (sim, mut session) = one_gone_while_away();
    let fault =
        Fault { kind: Some(Kind::OpenMount), number: 0, errno: Errno::MFILE, lasting: true };
    sim.with(|world| {
        world.faults.clear();
        world.faults.fail(fault);
    });
    session.restart().expect("a restart");
    let stuck = error(&format!("failed to thaw /mnt/b: {SHORT}"));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    sim.with(|world| world.faults.clear());
    ask(&mut session, "fsfreeze-thaw");
    assert_eq!(frozen(&sim, "/mnt/b"), None);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    clean(&sim);
}

#[test]
fn what_is_gone_does_not_keep_the_agent_from_stopping() {
    let (sim, mut session) = one_gone_while_away();
    session.stop();
    assert!(session.send(b"").is_empty() && session.is_over());
    assert_eq!(frozen(&sim, "/mnt/b"), None);
    clean(&sim);
}

#[test]
fn asked_to_stop_it_thaws_first() {
    let sim = disks(2);
    let mut session = start(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    change(&sim, "/mnt/a", |superblock| superblock.thaw_error = Some(Errno::IO));
    session.stop();
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    change(&sim, "/mnt/a", |superblock| superblock.thaw_error = None);
    session.stop();
    assert!(session.send(b"").is_empty() && session.is_over());
    assert!(none_frozen(&sim));
    clean(&sim);
}

#[test]
fn as_many_as_there_is_room_for() {
    for count in [FROZEN_MAX - 1, FROZEN_MAX, FROZEN_MAX + 1] {
        let sim = Sim::new(1);
        sim.with(|world| {
            for minor in 0..count as u32 {
                world.mount("ext4", Device::new(8, minor), &format!("/m{minor}"));
            }
        });
        let mut session = start(&sim);
        let reply = ask(&mut session, "fsfreeze-freeze");
        if count <= FROZEN_MAX {
            assert_eq!(reply, json!({"return": count}));
            assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": count}));
        } else {
            let text = "too many filesystems to freeze: at most 512, nothing was frozen";
            assert_eq!(reply, error(text));
        }
        assert!(none_frozen(&sim));
        clean(&sim);
    }
}
