//! What an agent holds of a freeze that it took over: nothing that happens to mounts and to the mark since takes it
//! away again. And what its errors name.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::Errno;
use qga_core::platform::Device;
use qga_sim::mounts::By;
use qga_sim::{Fault, Kind};
use serde_json::json;

#[test]
fn detached_behind_the_restart() {
    for restarted in [false, true] {
        let sim = disks(2);
        let mut session = Large::start(&sim).expect("a start");
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
        if restarted {
            session.restart().expect("a restart");
            assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
        }
        assert!(sim.with(|world| world.mounts.detach("/mnt/a")));
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}), "{restarted}");
    }
}

#[test]
fn the_mark_is_removed_behind_the_restart() {
    for restarted in [false, true] {
        let sim = disks(2);
        sim.with(|world| {
            world.mount("ext4", Device::new(9, 1), "/mnt/theirs");
            world.mounts.at("/mnt/theirs").frozen = Some(By::Other);
        });
        let mut session = Large::start(&sim).expect("a start");
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
        if restarted {
            session.restart().expect("a restart");
        }
        sim.with(|world| world.store.set_mark(None));
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}), "{restarted}");
        assert_eq!(frozen(&sim, "/mnt/theirs"), Some(By::Other), "{restarted}");
    }
}

/// What is found late thaws in its turn all the same: first of all what others may lie on.
#[test]
fn what_is_held_stays_held_while_another_is_looked_for() {
    let sim = disks(3);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}));
    sim.with(|world| world.mount("ext4", Device::new(8, 7), "/mnt/a"));
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    sim.with(|world| {
        for point in ["/mnt/b", "/mnt/c"] {
            world.mounts.at(point).thaw_error = Some(Errno::IO);
        }
    });
    let reply = ask(&mut session, "fsfreeze-thaw");
    assert_eq!(reply["error"]["desc"], "failed to thaw /mnt/a: Device or resource busy");
    sim.with(|world| {
        for point in ["/mnt/b", "/mnt/c"] {
            world.mounts.at(point).thaw_error = None;
        }
        assert!(world.mounts.detach("/mnt/a"));
        assert!(world.mounts.detach("/mnt/b"));
        world.mounts.changes.clear();
    });
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}));
    let order: Vec<usize> = sim.with(|world| world.mounts.changes.iter().map(|c| c.1).collect());
    assert!(order.is_sorted(), "{order:?}");
}

/// What it listed beside that nobody knows any more: it is said once.
#[test]
fn the_mark_is_removed_while_another_is_looked_for() {
    let sim = disks(2);
    sim.with(|world| {
        world.mount("ext4", Device::new(9, 1), "/mnt/theirs");
        world.mounts.at("/mnt/theirs").frozen = Some(By::Other);
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    sim.with(|world| world.mount("ext4", Device::new(8, 7), "/mnt/b"));
    session.restart().expect("a restart");
    sim.with(|world| world.store.set_mark(None));
    let reply = ask(&mut session, "fsfreeze-thaw");
    let text = "failed to thaw what the frozen mark lists: No such device";
    assert_eq!(reply["error"]["desc"], text);
    assert_eq!(frozen(&sim, "/mnt/a"), None);
    assert_eq!(frozen(&sim, "/mnt/theirs"), Some(By::Other));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
}

/// Who must not wait for a frozen disk thaws first what it holds, and what may be anything; not what it knows nothing
/// of.
#[test]
fn a_mark_without_a_list_holds_and_one_that_cannot_be_read_does_not() {
    let sim = disks(1);
    sim.with(|world| world.store.set_mark(Some(b"")));
    let mut session = Large::start(&sim).expect("a start");
    assert!(session.agent().holds_frozen());
    let fault = Fault { kind: Some(Kind::OpenMark), number: 0, errno: Errno::IO, lasting: true };
    sim.with(|world| {
        world.faults.clear();
        world.faults.fail(fault);
    });
    session.restart().expect("a restart");
    assert!(session.agent().is_frozen() && !session.agent().holds_frozen());
    sim.with(|world| world.faults.clear());
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
    assert!(!session.agent().holds_frozen());
}

/// The mark cannot be read any more: what it listed is held all the same.
#[test]
fn the_mark_is_unreadable_behind_the_restart() {
    let sim = disks(2);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    session.restart().expect("a restart");
    let number = sim.with(|world| world.faults.count(Kind::OpenMark));
    let errno = Errno::IO;
    let fault = Fault { kind: Some(Kind::OpenMark), number, errno, lasting: true };
    sim.with(|world| world.faults.fail(fault));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!((frozen(&sim, "/mnt/a"), frozen(&sim, "/mnt/b")), (None, None));
}

#[test]
fn what_is_gone_does_not_hide_what_is_stuck() {
    let sim = disks(2);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    sim.with(|world| {
        assert!(world.mounts.detach("/mnt/a"));
        world.mounts.at("/mnt/b").thaw_error = Some(Errno::IO);
    });
    session.restart().expect("a restart");
    for _ in 0..2 {
        let reply = ask(&mut session, "fsfreeze-thaw");
        assert_eq!(reply["error"]["desc"], "failed to thaw /mnt/b: Input/output error");
    }
}

#[test]
fn without_a_mark_the_mount_point_is_not_known() {
    let sim = disks(2);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    sim.with(|world| {
        world.mounts.at("/mnt/b").thaw_error = Some(Errno::IO);
        world.store.set_mark(None);
    });
    let reply = ask(&mut session, "fsfreeze-thaw");
    assert_eq!(reply["error"]["desc"], "failed to thaw (unknown mount point): Input/output error");
}

/// Then it is as without a list: every mount is tried.
#[test]
fn the_mark_is_removed_when_nothing_is_held() {
    let sim = disks(2);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    sim.with(|world| world.mount("ext4", Device::new(9, 7), "/mnt/b"));
    session.restart().expect("a restart");
    let text = "failed to thaw /mnt/b: Device or resource busy";
    assert_eq!(ask(&mut session, "fsfreeze-thaw")["error"]["desc"], text);
    sim.with(|world| {
        world.store.set_mark(None);
        assert!(world.mounts.detach("/mnt/b"));
    });
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    assert_eq!(frozen(&sim, "/mnt/b"), None);
}

#[test]
fn it_holds_without_a_list_after_a_failed_thaw() {
    let sim = disks(2);
    sim.with(|world| {
        for p in ["/mnt/a", "/mnt/b"] {
            world.mounts.at(p).frozen = Some(By::Agent);
        }
        world.mounts.at("/mnt/a").thaw_error = Some(Errno::IO);
        world.store.set_mark(Some(b""));
    });
    let mut session = Large::start(&sim).expect("a start");
    assert!(session.agent().holds_frozen());
    let text = "failed to thaw /mnt/a: Input/output error";
    assert_eq!(ask(&mut session, "fsfreeze-thaw")["error"]["desc"], text);
    assert!(session.agent().is_frozen());
    assert!(session.agent().holds_frozen());
}

/// A mark that could not be opened, once, and is not there: nobody thaws for that what others froze.
#[test]
fn a_mark_that_is_not_there_holds_nothing() {
    let sim = disks(1);
    let fault =
        Fault { kind: Some(Kind::OpenMark), number: 0, errno: Errno::NFILE, lasting: false };
    sim.with(|world| world.faults.fail(fault));
    let session = Large::start(&sim).expect("a start");
    assert!(session.agent().is_frozen() && !session.agent().holds_frozen());
}
