//! Filesystems that are mounted elsewhere, or covered, between a freeze and the next agent's thaw:
//! what is frozen is found wherever it is mounted, and what cannot be reached stays on record. All
//! of it was found by seeds of `cargo xtask sim`.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::platform::Device;
use qga_sim::files::Content;
use qga_sim::mounts::By;
use qga_sim::{Fault, Kind, Sim};
use serde_json::json;

/// Two filesystems frozen, the first mounted at /mnt/bind as well; then `change`, and another
/// agent.
fn frozen_then(change: impl FnOnce(&Sim)) -> (Sim, Large) {
    let sim = disks(2);
    sim.with(|world| world.mount("ext4", Device::new(8, 0), "/mnt/bind"));
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    change(&sim);
    session.restart().expect("a restart");
    (sim, session)
}

fn all_thawed(sim: &Sim, session: &mut Large) {
    assert_eq!(ask(session, "fsfreeze-status"), json!({"return": "thawed"}));
    sim.with(|world| {
        assert!(!world.mounts.is_frozen_by_agent());
        assert_eq!((world.store.mark(), world.open.filesystems), (None, 0));
        assert_eq!(world.violations, Vec::<String>::new());
    });
}

#[test]
fn unmounted_where_it_was_frozen_and_mounted_elsewhere() {
    let (sim, mut session) = frozen_then(|sim| assert!(sim.with(|w| w.mounts.detach("/mnt/a"))));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!(frozen(&sim, "/mnt/bind"), None);
    all_thawed(&sim, &mut session);
}

/// stat(2) knows each subvolume of a btrfs by another number, the mount table knows all of them by
/// one.
#[test]
fn a_subvolume_unmounted_where_it_was_frozen_and_another_one_left() {
    let sim = disks(1);
    sim.with(|world| {
        world.files.add("/dev/pool", Content::Block(Device::new(8, 32)));
        world.mount_from("btrfs", Device::new(0, 50), "/dev/pool", "/mnt/one");
        world.mount_from("btrfs", Device::new(0, 51), "/dev/pool", "/mnt/two");
        world.mount_from("btrfs", Device::new(0, 52), "/dev/pool", "/mnt/covered");
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    sim.with(|world| {
        // What covers it has a device, so it is no subvolume.
        world.mount("ext4", Device::new(8, 7), "/mnt/covered");
        assert!(world.mounts.detach("/mnt/one"));
    });
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!(frozen(&sim, "/mnt/two"), None);
    all_thawed(&sim, &mut session);

    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}));
    assert!(sim.with(|world| world.mounts.detach("/mnt/two")));
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    assert!(ask(&mut session, "fsfreeze-thaw")["error"]["desc"].is_string());
    assert!(sim.with(|world| world.mounts.detach("/mnt/covered")));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    all_thawed(&sim, &mut session);
}

/// A btrfs, its two subvolumes, and something else that stat(2) gives no device number either over
/// the first.
fn pool_frozen_then(change: impl FnOnce(&Sim)) -> (Sim, Large) {
    let sim = disks(1);
    sim.with(|world| {
        for number in [32, 33] {
            let device = Device::new(8, number);
            world.files.add(&format!("/dev/pool-{number}"), Content::Block(device));
        }
        world.mount_from("btrfs", Device::new(0, 50), "/dev/pool-32", "/mnt/one");
        world.mount_from("btrfs", Device::new(0, 51), "/dev/pool-32", "/mnt/two");
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    change(&sim);
    session.restart().expect("a restart");
    (sim, session)
}

#[test]
fn a_btrfs_is_not_what_covers_it() {
    let (sim, mut session) = pool_frozen_then(|sim| {
        sim.with(|world| world.mount("tmpfs", Device::new(0, 90), "/mnt/one"));
    });
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    all_thawed(&sim, &mut session);
    // Nor before a freeze.
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    assert_eq!(frozen(&sim, "/mnt/two"), Some(By::Agent));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
}

#[test]
fn a_btrfs_of_others_over_ours_is_theirs() {
    let (sim, mut session) = pool_frozen_then(|sim| {
        sim.with(|world| {
            world.mount_from("btrfs", Device::new(0, 60), "/dev/pool-33", "/mnt/one");
            world.mounts.at("/mnt/one").frozen = Some(By::Other);
        });
    });
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!(frozen(&sim, "/mnt/two"), None);
    assert_eq!(frozen(&sim, "/mnt/one"), Some(By::Other));
}

#[test]
fn covered_where_it_was_frozen_and_mounted_elsewhere() {
    let (sim, mut session) =
        frozen_then(|sim| sim.with(|world| world.mount("ext4", Device::new(8, 7), "/mnt/a")));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    all_thawed(&sim, &mut session);
}

#[test]
fn covered_everywhere_it_stays_on_record() {
    let cover = |sim: &Sim| sim.with(|world| world.mount("ext4", Device::new(8, 7), "/mnt/b"));
    let (sim, mut session) = frozen_then(cover);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    assert!(ask(&mut session, "fsfreeze-thaw")["error"]["desc"].is_string());
    // The other one runs; this one does not, and nobody says that it does.
    assert_eq!(frozen(&sim, "/mnt/a"), None);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    assert!(sim.with(|world| world.mounts.detach("/mnt/b")));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    all_thawed(&sim, &mut session);
}

/// Start and freeze, as far as the agent lives.
fn freeze(sim: &Sim) {
    if let Ok(mut session) = Large::start(sim) {
        session.send(b"{\"execute\": \"guest-fsfreeze-freeze\"}\n");
    }
}

/// Killed when the first of three was frozen, and again at each call of the recovery. The one that
/// the freeze would have come to last cannot be found then; mounted again and frozen by somebody
/// else it is theirs.
#[test]
fn away_during_the_recovery_and_frozen_by_others_since() {
    let whole = disks(3);
    freeze(&whole);
    let is_freeze = |call: &qga_sim::Call| call.kind == Kind::Freeze;
    let first = whole.with(|world| world.faults.trace().iter().position(is_freeze));
    let first = first.expect("a freeze") as u64;
    for calls in 0.. {
        let sim = disks(3);
        sim.with(|world| world.faults.cut_after(first + 1));
        freeze(&sim);
        assert_eq!(frozen(&sim, "/mnt/c"), Some(By::Agent));
        sim.with(|world| {
            assert!(world.mounts.detach("/mnt/a"));
            world.faults.clear();
            world.faults.cut_after(calls);
        });
        let _ = Large::start(&sim);
        let killed = sim.with(|world| {
            world.mount("ext4", Device::new(8, 0), "/mnt/a");
            world.mounts.at("/mnt/a").frozen = Some(By::Other);
            let killed = world.faults.is_cut();
            world.faults.clear();
            killed
        });
        let session = Large::start(&sim).expect("a start");
        assert!(!session.agent().is_frozen(), "killed after call {calls}");
        assert_eq!(frozen(&sim, "/mnt/a"), Some(By::Other), "killed after call {calls}");
        assert_eq!(frozen(&sim, "/mnt/c"), None, "killed after call {calls}");
        if !killed {
            assert!(calls > 20, "only {calls} calls");
            return;
        }
    }
}

/// Whatever cannot be read while it is looked for elsewhere does not make it gone.
#[test]
fn looking_elsewhere_fails() {
    for kind in [Kind::Mounts, Kind::ReadTable] {
        for &errno in kind.errnos() {
            let (sim, mut session) =
                frozen_then(|sim| assert!(sim.with(|world| world.mounts.detach("/mnt/a"))));
            sim.with(|world| {
                world.faults.clear();
                world.faults.fail(Fault { kind: Some(kind), number: 0, errno, lasting: true });
            });
            session.restart().expect("a restart");
            ask(&mut session, "fsfreeze-thaw");
            let status = ask(&mut session, "fsfreeze-status");
            if errno.number() != 4 {
                assert_eq!(status, json!({"return": "error"}), "{kind:?} {errno}");
            }
            sim.with(|world| world.faults.clear());
            ask(&mut session, "fsfreeze-thaw");
            all_thawed(&sim, &mut session);
        }
    }
}
