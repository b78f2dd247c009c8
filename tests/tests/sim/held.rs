//! What an agent holds of a freeze that it took over: nothing that happens to mounts and to the
//! mark since takes it away again. And what its errors name.

use crate::freeze::{ask, disks, frozen, frozen_disks};
use crate::guest::Large;
use qga_core::Errno;
use qga_core::platform::Device;
use qga_sim::mounts::By;
use qga_sim::{Fault, Kind, Sim};
use serde_json::json;

/// Two filesystems that the agent has frozen, and one that somebody else has.
fn frozen_beside_theirs() -> (Sim, Large) {
    let (sim, session) = frozen_disks(2);
    sim.with(|world| {
        world.mount("ext4", Device::new(9, 1), "/mnt/theirs");
        world.mounts.at("/mnt/theirs").frozen = Some(By::Other);
    });
    (sim, session)
}

/// The text of the error that a thaw gives.
fn refused(session: &mut Large) -> String {
    ask(session, "fsfreeze-thaw")["error"]["desc"].as_str().expect("an error").to_owned()
}

fn fail_to_open_the_mark(sim: &Sim, errno: Errno, lasting: bool) {
    sim.with(|world| {
        let number = world.faults.count(Kind::OpenMark);
        world.faults.fail(Fault { kind: Some(Kind::OpenMark), number, errno, lasting });
    });
}

#[test]
fn detached_behind_the_restart() {
    for restarted in [false, true] {
        let (sim, mut session) = frozen_disks(2);
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
        let (sim, mut session) = frozen_beside_theirs();
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
    let (sim, mut session) = frozen_disks(3);
    sim.with(|world| world.mount("ext4", Device::new(8, 7), "/mnt/a"));
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    sim.with(|world| {
        for point in ["/mnt/b", "/mnt/c"] {
            world.mounts.at(point).thaw_error = Some(Errno::IO);
        }
    });
    assert_eq!(refused(&mut session), "failed to thaw /mnt/a: Device or resource busy");
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
    let (sim, mut session) = frozen_beside_theirs();
    sim.with(|world| world.mount("ext4", Device::new(8, 7), "/mnt/b"));
    session.restart().expect("a restart");
    sim.with(|world| world.store.set_mark(None));
    let text = "failed to thaw what the frozen mark lists: No such device";
    assert_eq!(refused(&mut session), text);
    assert_eq!(frozen(&sim, "/mnt/a"), None);
    assert_eq!(frozen(&sim, "/mnt/theirs"), Some(By::Other));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
}

/// Who must not wait for a frozen disk thaws first what it holds, and what may be anything; not
/// what it knows nothing of.
#[test]
fn a_mark_without_a_list_holds_and_one_that_cannot_be_read_does_not() {
    let sim = disks(1);
    sim.with(|world| world.store.set_mark(Some(b"")));
    let mut session = Large::start(&sim).expect("a start");
    assert!(session.agent().holds_frozen());
    fail_to_open_the_mark(&sim, Errno::IO, true);
    session.restart().expect("a restart");
    assert!(session.agent().is_frozen() && !session.agent().holds_frozen());
    sim.with(|world| world.faults.clear());
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 0}));
    assert!(!session.agent().holds_frozen());
}

/// The mark cannot be read any more: what it listed is held all the same.
#[test]
fn the_mark_is_unreadable_behind_the_restart() {
    let (sim, mut session) = frozen_disks(2);
    session.restart().expect("a restart");
    fail_to_open_the_mark(&sim, Errno::IO, true);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!((frozen(&sim, "/mnt/a"), frozen(&sim, "/mnt/b")), (None, None));
}

#[test]
fn what_is_gone_does_not_hide_what_is_stuck() {
    let (sim, mut session) = frozen_disks(2);
    sim.with(|world| {
        assert!(world.mounts.detach("/mnt/a"));
        world.mounts.at("/mnt/b").thaw_error = Some(Errno::IO);
    });
    session.restart().expect("a restart");
    for _ in 0..2 {
        assert_eq!(refused(&mut session), "failed to thaw /mnt/b: Input/output error");
    }
}

#[test]
fn without_a_mark_the_mount_point_is_not_known() {
    let (sim, mut session) = frozen_disks(2);
    sim.with(|world| {
        world.mounts.at("/mnt/b").thaw_error = Some(Errno::IO);
        world.store.set_mark(None);
    });
    assert_eq!(refused(&mut session), "failed to thaw (unknown mount point): Input/output error");
}

/// Then it is as without a list: every mount is tried.
#[test]
fn the_mark_is_removed_when_nothing_is_held() {
    let (sim, mut session) = frozen_disks(2);
    sim.with(|world| world.mount("ext4", Device::new(9, 7), "/mnt/b"));
    session.restart().expect("a restart");
    let text = "failed to thaw /mnt/b: Device or resource busy";
    assert_eq!(refused(&mut session), text);
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
    assert_eq!(refused(&mut session), text);
    assert!(session.agent().is_frozen());
    assert!(session.agent().holds_frozen());
}

/// A mark that could not be opened, once, and is not there: nobody thaws for that what others
/// froze.
#[test]
fn a_mark_that_is_not_there_holds_nothing() {
    let sim = disks(1);
    fail_to_open_the_mark(&sim, Errno::NFILE, false);
    let session = Large::start(&sim).expect("a start");
    assert!(session.agent().is_frozen() && !session.agent().holds_frozen());
}
