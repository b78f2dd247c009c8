//! The places of the mark: full, covered, holding what no agent wrote, failing in the middle; and a
//! second agent.

use crate::freeze::{ask, disks, frozen, frozen_disks};
use crate::guest::Large;
use qga_core::Errno;
use qga_core::internals::mark::{HEAD_BYTES, MAGIC};
use qga_sim::mounts::By;
use qga_sim::store::PLACES;
use qga_sim::{Fault, Kind, Sim};
use serde_json::json;

/// In which places a mark is in force.
fn marked(sim: &Sim) -> [bool; PLACES] {
    sim.with(|world| std::array::from_fn(|place| world.store.mark_in(place).is_some()))
}

fn none_is_left(sim: &Sim) {
    assert_eq!(marked(sim), [false; PLACES]);
    sim.with(|world| {
        assert!(!world.mounts.is_frozen_by_agent());
        assert_eq!((world.open.marks, world.open.filesystems), (0, 0));
    });
}

/// A place without a file left, without a byte left at any moment of the list, with a folder of the
/// mark's name, or none at all: the other one has the mark.
#[test]
fn one_place_that_cannot_take_the_mark() {
    let whole = {
        let (sim, _session) = frozen_disks(3);
        sim.with(|world| world.store.mark_in(0).expect("a mark").len())
    };
    for place in 0..PLACES {
        let errors = [Errno::NOSPC, Errno::EXIST, Errno::OPNOTSUPP, Errno::ROFS];
        let cannot = errors.map(|errno| (Some(errno), usize::MAX));
        let full = (0..whole).map(|bytes| (None, bytes));
        for (create_error, bytes_max) in cannot.into_iter().chain(full) {
            let sim = disks(3);
            sim.with(|world| {
                let place = &mut world.store.places[place];
                (place.create_error, place.bytes_max) = (create_error, bytes_max);
            });
            let mut session = Large::start(&sim).expect("a start");
            let what = format!("place {place}: {create_error:?}, {bytes_max} bytes");
            assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}), "{what}");
            assert_eq!(marked(&sim), [place != 0, place != 1], "{what}");
            session.restart().expect("a restart");
            assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}), "{what}");
            assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}), "{what}");
            none_is_left(&sim);
        }
    }
}

#[test]
fn no_place_that_can_take_the_mark() {
    for (errors, text) in [
        ([Errno::OPNOTSUPP; 2], Errno::OPNOTSUPP),
        ([Errno::OPNOTSUPP, Errno::NOSPC], Errno::NOSPC),
        ([Errno::NOSPC, Errno::OPNOTSUPP], Errno::NOSPC),
    ] {
        let sim = disks(2);
        sim.with(|world| {
            for (place, errno) in world.store.places.iter_mut().zip(errors) {
                place.create_error = Some(errno);
            }
        });
        let mut session = Large::start(&sim).expect("a start");
        let reply = ask(&mut session, "fsfreeze-freeze");
        let said = reply["error"]["desc"].as_str().expect("an error");
        assert!(said.contains("frozen mark") && said.ends_with(&text.to_string()), "{said}");
        none_is_left(&sim);
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    }
}

/// An old mark in a place that takes no new one would speak for the new freeze: it goes, or nothing
/// is frozen.
#[test]
fn an_old_mark_does_not_stay_beside_a_new_one() {
    let sim = disks(1);
    let mut session = Large::start(&sim).expect("a start");
    let old = [MAGIC, b"00000000-0000-0000-0000-000000000000 F\nF 8:7 /x\0"].concat();
    let leave = |sim: &Sim| {
        sim.with(|world| {
            world.store.set_mark_in(0, Some(&old));
            world.store.places[0].create_error = Some(Errno::NOSPC);
        });
    };
    leave(&sim);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 1}));
    assert_eq!(marked(&sim), [false, true]);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    leave(&sim);
    sim.with(|world| {
        let number = world.faults.count(Kind::RemoveMark);
        let kind = Some(Kind::RemoveMark);
        world.faults.fail(Fault { kind, number, errno: Errno::IO, lasting: false });
    });
    let reply = ask(&mut session, "fsfreeze-freeze");
    assert!(reply["error"]["desc"].as_str().is_some_and(|text| text.contains("frozen mark")));
    assert!(!sim.with(|world| world.mounts.is_frozen_by_agent()));
}

#[test]
fn one_place_is_covered_behind_the_freeze() {
    for place in 0..PLACES {
        let (sim, mut session) = frozen_disks(3);
        sim.with(|world| world.store.cover(place));
        session.restart().expect("a restart");
        assert_eq!(marked(&sim), [place != 0, place != 1]);
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}));
        none_is_left(&sim);
        // The next freeze lies in both again.
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}));
        assert_eq!(marked(&sim), [true, true]);
    }
}

/// Killed between two writes of a step, at any of them, and then one place covered: what the other
/// says is enough to thaw all that is the agent's.
#[test]
fn killed_anywhere_and_one_place_covered() {
    let calls = {
        let (sim, mut session) = frozen_disks(3);
        ask(&mut session, "fsfreeze-thaw");
        sim.with(|world| world.faults.calls())
    };
    for at in 0..calls {
        for place in 0..PLACES {
            let sim = disks(3);
            sim.with(|world| world.faults.cut_after(at));
            if let Ok(mut session) = Large::start(&sim) {
                session.send(b"{\"execute\": \"guest-fsfreeze-freeze\"}\n");
                session.send(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
            }
            sim.with(|world| {
                world.faults.clear();
                world.store.cover(place);
            });
            let mut session = Large::start(&sim).expect("a start");
            let ours = sim.with(|world| world.mounts.is_frozen_by_agent());
            let expected = if ours { "frozen" } else { "thawed" };
            let what = format!("killed after call {at}, place {place} covered");
            assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": expected}), "{what}");
            if ours {
                assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}), "{what}");
            }
            none_is_left(&sim);
        }
    }
}

/// The first place is written first, so what it says is never behind: what others have frozen stays
/// theirs although the second place does not know the result yet.
#[test]
fn the_first_place_is_ahead() {
    let (sim, mut session) = frozen_disks(2);
    sim.with(|world| {
        let rows = |state: char, phase: char| {
            let boot = world.store.boot_id;
            let head = [MAGIC, &boot[..], format!(" {phase}\n").as_bytes()].concat();
            assert_eq!(head.len(), HEAD_BYTES);
            [&head[..], format!("{state} 8:0 /mnt/a\0F 8:1 /mnt/b\0").as_bytes()].concat()
        };
        let (first, second) = (rows('-', 'f'), rows('.', 'f'));
        world.store.set_mark_in(0, Some(&first));
        world.store.set_mark_in(1, Some(&second));
        world.mounts.at("/mnt/a").frozen = Some(By::Other);
    });
    session.restart().expect("a restart");
    assert_eq!(frozen(&sim, "/mnt/a"), Some(By::Other));
    assert_eq!(frozen(&sim, "/mnt/b"), None);
    assert_eq!(marked(&sim), [false, false]);
}

/// A mark that cannot be read, one of no agent like this, and one of an earlier boot: each gives
/// way to one that says what is frozen, in whichever place that is.
#[test]
fn a_mark_that_says_more_counts_more() {
    let stale = [MAGIC, b"11111111-1111-1111-1111-111111111111 F\n"].concat();
    for place in 0..PLACES {
        for other in [None, Some(&b""[..]), Some(&stale[..])] {
            let (sim, mut session) = frozen_disks(2);
            sim.with(|world| world.mounts.at("/mnt/b").frozen = Some(By::Other));
            let row = "F 8:0 /mnt/a\0";
            sim.with(|world| {
                let boot = world.store.boot_id;
                let mark = [MAGIC, &boot[..], b" F\n", row.as_bytes()].concat();
                world.store.set_mark_in(place, Some(&mark));
                if let Some(other) = other {
                    world.store.set_mark_in(1 - place, Some(other));
                } else {
                    // The other one, which says the same, cannot be opened.
                    world.store.set_mark_in(1 - place, Some(&mark));
                    let number = world.faults.count(Kind::OpenMark) + 1 - place as u64;
                    let kind = Some(Kind::OpenMark);
                    world.faults.fail(Fault { kind, number, errno: Errno::IO, lasting: false });
                }
            });
            session.restart().expect("a restart");
            assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
            assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
            assert_eq!(frozen(&sim, "/mnt/b"), Some(By::Other));
            none_is_left(&sim);
        }
    }
}

#[test]
fn what_no_agent_wrote_is_as_if_it_were_not_there() {
    for place in 0..PLACES {
        let sim = disks(1);
        sim.with(|world| {
            world.mounts.at("/mnt/a").frozen = Some(By::Other);
            let boot = world.store.boot_id;
            let forged = [MAGIC, &boot[..], b" t\nF 8:0 /mnt/a\0"].concat();
            world.store.set_mark_in(place, Some(&forged));
            world.store.places[place].planted = true;
        });
        let mut session = Large::start(&sim).expect("a start");
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
        assert_eq!(frozen(&sim, "/mnt/a"), Some(By::Other));
    }
}

#[test]
fn a_second_agent_is_turned_away_before_it_asks_for_anything() {
    let (sim, mut session) = frozen_disks(2);
    let calls = sim.with(|world| world.faults.calls());
    assert_eq!(Large::start_beside(&sim).err(), Some(Errno::BUSY));
    assert_eq!(sim.with(|world| world.faults.calls()), calls);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    drop(session);
    assert!(Large::start_beside(&sim).is_ok());
}
