//! What an agent takes over where looking at it fails or finds it elsewhere: which filesystem is
//! reported, and what is only not known is no error.

use crate::freeze::{SHORT, ask, disks, frozen, frozen_disks};
use crate::guest::Large;
use qga_core::Errno;
use qga_core::internals::mark::MAGIC;
use qga_core::limits::PATH_BYTES_MAX;
use qga_core::platform::Device;
use qga_sim::files::Content;
use qga_sim::mounts::By;
use qga_sim::{Fault, Kind, Sim};
use serde_json::{Value, json};

fn fail(sim: &Sim, kind: Kind, number: u64, errno: Errno, lasting: bool) {
    sim.with(|world| {
        world.faults.clear();
        world.faults.fail(Fault { kind: Some(kind), number, errno, lasting });
    });
}

/// Filesystems frozen, then `change`, and another agent.
fn frozen_then(count: usize, change: impl FnOnce(&Sim)) -> (Sim, Large) {
    let (sim, mut session) = frozen_disks(count);
    change(&sim);
    session.restart().expect("a restart");
    (sim, session)
}

fn status(session: &mut Large) -> Value {
    ask(session, "fsfreeze-status")["return"].clone()
}

fn stuck(text: &str) -> Value {
    let text = format!("failed to thaw {text}");
    json!({"error": {"class": "GenericError", "desc": text}})
}

#[test]
fn without_the_mount_table_nothing_is_gone() {
    for errno in [Errno::MFILE, Errno::NODEV] {
        let (sim, mut session) = frozen_then(2, |sim| fail(sim, Kind::Mounts, 0, errno, true));
        assert_eq!(status(&mut session), "error");
        let text = if errno == Errno::NODEV { "Device or resource busy" } else { SHORT };
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck(&format!("/mnt/a: {text}")));
        sim.with(|world| world.faults.clear());
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    }
}

#[test]
fn what_cannot_be_looked_at_is_looked_for_elsewhere() {
    let (sim, mut session) = frozen_then(2, |sim| {
        sim.with(|world| world.mount("ext4", Device::new(8, 0), "/mnt/elsewhere"));
        fail(sim, Kind::Inspect, 0, Errno::ACCES, false);
    });
    assert_eq!(status(&mut session), "frozen");
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));

    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    fail(&sim, Kind::Inspect, 0, Errno::ACCES, true);
    session.restart().expect("a restart");
    assert_eq!(status(&mut session), "error");
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck("/mnt/a: Permission denied"));
    sim.with(|world| world.faults.clear());
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
}

#[test]
fn a_place_that_is_gone_itself_is_looked_for_elsewhere() {
    let (_, mut session) = frozen_then(2, |sim| {
        sim.with(|world| {
            world.mount("ext4", Device::new(8, 0), "/mnt/elsewhere");
            assert!(world.mounts.detach("/mnt/a"));
            world.files.remove("/mnt/a");
        });
    });
    assert_eq!(status(&mut session), "frozen");
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
}

#[test]
fn the_first_that_cannot_be_looked_at_is_reported() {
    for gone in [false, true] {
        let (sim, mut session) = frozen_then(3, |sim| {
            if gone {
                // The second of the three; the others fail.
                assert!(sim.with(|world| world.mounts.detach("/mnt/b")));
            }
            fail(sim, Kind::OpenMount, 0, Errno::MFILE, true);
        });
        assert_eq!(status(&mut session), "error");
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck(&format!("/mnt/a: {SHORT}")));
        sim.with(|world| world.faults.clear());
    }
}

/// The agent is killed when the third of three was frozen: whether the second was is not known, and
/// the first was not.
#[test]
fn what_was_never_frozen_may_be_gone() {
    for at in 0..100 {
        let sim = disks(3);
        sim.with(|world| world.faults.cut_after(at));
        let mut session = match Large::start(&sim) {
            Ok(session) => session,
            Err(_) => continue,
        };
        session.send(b"{\"execute\": \"guest-fsfreeze-freeze\"}\n");
        let done = sim.with(|world| world.mounts.changes.len());
        if done != 1 {
            continue;
        }
        sim.with(|world| {
            world.faults.clear();
            assert!(world.mounts.detach("/mnt/a"));
        });
        // The third cannot be thawed at once, so that the client hears what else there is to say.
        sim.with(|world| world.mounts.at("/mnt/c").thaw_error = Some(Errno::IO));
        session.restart().expect("a restart");
        assert_eq!(status(&mut session), "error", "killed after call {at}");
        sim.with(|world| world.mounts.at("/mnt/c").thaw_error = None);
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
        assert_eq!(status(&mut session), "thawed");
        assert_eq!(frozen(&sim, "/mnt/c"), None);
        return;
    }
    panic!("no call after which one of three was frozen");
}

#[test]
fn the_longest_path_on_the_longest_number_is_taken_over() {
    let part = format!("/{}", "x".repeat(254));
    let path = format!("{}/{}", part.repeat(16), "y".repeat(14));
    assert_eq!(path.len(), PATH_BYTES_MAX);
    let sim = Sim::new(1);
    sim.with(|world| {
        for depth in 1..=16 {
            world.files.add(&part.repeat(depth), Content::Directory);
        }
        world.mount("ext4", Device::new(u32::MAX, u32::MAX), &path);
        world.mount("ext4", Device::new(8, 1), "/mnt");
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    session.restart().expect("a restart");
    assert_eq!(status(&mut session), "frozen");
    // The row after it is where it is thought to be.
    sim.with(|world| world.mounts.at("/mnt").thaw_error = Some(Errno::IO));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck("/mnt: Input/output error"));
    sim.with(|world| world.mounts.at("/mnt").thaw_error = None);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
}

/// The mark as an agent left it that was killed: state and number of each row, and its path.
fn left(sim: &Sim, rows: &[(char, u32, &str)]) {
    let boot = sim.with(|world| world.store.boot_id);
    let mut mark = [MAGIC, &boot[..], b" f\n"].concat();
    for (state, minor, path) in rows {
        mark.extend(format!("{state} 8:{minor} {path}\0").bytes());
    }
    sim.with(|world| world.store.set_mark(Some(&mark)));
}

/// The third is gone; the second, of which it is not known whether it was frozen, is covered.
#[test]
fn what_is_gone_does_not_hide_what_may_be_frozen() {
    let sim = disks(2);
    left(&sim, &[('.', 0, "/mnt/a"), ('.', 1, "/mnt/b"), ('F', 2, "/mnt/c")]);
    sim.with(|world| {
        world.mounts.at("/mnt/b").frozen = Some(By::Agent);
        world.mount("ext4", Device::new(9, 7), "/mnt/b");
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(status(&mut session), "error");
    let text = "what the frozen mark lists: Device or resource busy";
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck(text));
    assert!(sim.with(|world| world.mounts.detach("/mnt/b")));
    // The one that is gone is said once.
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck("/mnt/c: No such device"));
    assert_eq!(frozen(&sim, "/mnt/b"), None);
    assert_eq!(status(&mut session), "thawed");
}

#[test]
fn what_is_frozen_is_named_before_what_may_be() {
    let sim = disks(3);
    left(&sim, &[('.', 0, "/mnt/a"), ('.', 1, "/mnt/b"), ('F', 2, "/mnt/c")]);
    sim.with(|world| world.mounts.at("/mnt/c").frozen = Some(By::Agent));
    fail(&sim, Kind::OpenMount, 0, Errno::MFILE, true);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(status(&mut session), "error");
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck(&format!("/mnt/c: {SHORT}")));
    sim.with(|world| world.faults.clear());
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
}

/// Of a mark that is longer than what is read at a time a part cannot be read: which row without a
/// result is the last is not known then, and the others' are theirs.
#[test]
fn a_mark_that_cannot_be_read_to_its_end_rules_nothing_in() {
    let deep = |first: u32| format!("/{first}{}", format!("/{}", "d".repeat(240)).repeat(6));
    let paths: Vec<String> = (0..6).map(deep).collect();
    for number in 0..8 {
        let sim = Sim::new(1);
        sim.with(|world| {
            for (minor, path) in (0..).zip(&paths) {
                for (at, _) in path.match_indices('/').skip(1) {
                    world.files.add(&path[..at], Content::Directory);
                }
                world.mount("ext4", Device::new(8, minor), path);
                let by = if minor < 4 { By::Other } else { By::Agent };
                world.mounts.at(path).frozen = Some(by);
            }
        });
        let state = |row| if row == 5 { 'F' } else { '.' };
        let rows: Vec<_> = (0..).zip(&paths).map(|(row, p)| (state(row), row, &**p)).collect();
        left(&sim, &rows);
        fail(&sim, Kind::ReadMark, number, Errno::IO, false);
        let mut session = Large::start(&sim).expect("a start");
        for theirs in &paths[..4] {
            assert_eq!(frozen(&sim, theirs), Some(By::Other), "read {number} fails");
        }
        sim.with(|world| world.faults.clear());
        if session.agent().is_frozen() {
            ask(&mut session, "fsfreeze-thaw");
        }
        for (row, path) in paths.iter().enumerate() {
            let expected = (row < 4).then_some(By::Other);
            assert_eq!(frozen(&sim, path), expected, "{row}, read {number} fails");
        }
        assert_eq!(status(&mut session), "thawed");
    }
}
