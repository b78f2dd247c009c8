//! Freezing what a client names: nothing else freezes or is spoken of, whatever lies on what,
//! fails, or is killed; and what is no filesystem's first mount is named in the log or is an error.

use crate::freeze::{ask, disks, frozen};
use crate::guest::Large;
use qga_core::limits::FROZEN_MAX;
use qga_core::platform::{Device, Level};
use qga_core::{Errno, Step};
use qga_sim::mounts::{By, Hang, Lies};
use qga_sim::{Fate, Fault, Kind, Sim};
use serde_json::{Value, json};

const HIDDEN: &str = "not frozen, hidden by another mount or the unit's sandbox:";
const UNKNOWN: &str = "not frozen, no filesystem was mounted there first:";
const POINTS: [&str; 4] = ["/mnt/a", "/mnt/b", "/mnt/c", "/mnt/d"];

fn start(sim: &Sim) -> Large {
    Large::start(sim).expect("a start")
}

fn strict(sim: &Sim) -> Large {
    let mut session = Large::unstarted();
    session.sim = sim.clone();
    session.freeze_strict = true;
    session.restart().expect("a start");
    session
}

fn request(names: &[&str]) -> Vec<u8> {
    let arguments = json!({ "mountpoints": names });
    format!("{{\"execute\": \"guest-fsfreeze-freeze-list\", \"arguments\": {arguments}}}\n").into()
}

fn freeze(session: &mut Large, names: &[&str]) -> Value {
    let output = session.send(&request(names));
    serde_json::from_slice(&output).unwrap_or_else(|e| panic!("{e}: {}", output.escape_ascii()))
}

fn thaw(session: &mut Large) -> Value {
    ask(session, "fsfreeze-thaw")
}

fn error(text: &str) -> Value {
    json!({"error": {"class": "GenericError", "desc": text}})
}

/// The places on which the agent has frozen something.
fn by_agent(sim: &Sim) -> Vec<&'static str> {
    let is_ours = |point: &&str| frozen(sim, point) == Some(By::Agent);
    POINTS.into_iter().filter(is_ours).collect()
}

fn warned(sim: &Sim) -> Vec<String> {
    let warnings = |line: &&qga_sim::LogLine| line.level == Level::Warning;
    sim.with(|world| world.log.iter().filter(warnings).map(|line| line.text.clone()).collect())
}

fn clean(sim: &Sim) {
    sim.with(|world| {
        assert_eq!(world.violations, Vec::<String>::new());
        assert_eq!((world.open.filesystems, world.open.marks, world.open.tables), (0, 0, 0));
        assert_eq!(world.store.mark(), None);
        assert!(!world.mounts.is_frozen_by_agent());
    });
}

#[test]
fn what_is_named_freezes_and_nothing_else() {
    for workers in [false, true] {
        let sim = disks(4);
        sim.with(|world| world.workers.offered = workers);
        let mut session = start(&sim);
        for names in [&["/mnt/c"][..], &["/mnt/d", "/mnt/a", "/mnt/d"], &POINTS] {
            let mut sorted = names.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(freeze(&mut session, names), json!({"return": sorted.len()}));
            assert_eq!(by_agent(&sim), sorted);
            assert_eq!(thaw(&mut session), json!({"return": sorted.len()}));
            clean(&sim);
        }
        assert_eq!(warned(&sim), [""; 0]);
        // Nothing is none, and no list is everything.
        assert_eq!(freeze(&mut session, &[]), json!({"return": 0}));
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
        clean(&sim);
        assert_eq!(ask(&mut session, "fsfreeze-freeze-list"), json!({"return": 4}));
        assert_eq!(by_agent(&sim), POINTS);
        let refused = freeze(&mut session, &["/mnt/a"]);
        assert_eq!(refused["error"]["class"], "CommandNotFound");
        assert_eq!(thaw(&mut session), json!({"return": 4}));
    }
}

/// A filesystem is known by its first mount, letter for letter: a later one of it, a path that
/// leads there too, and what is not local are nothing.
#[test]
fn what_is_no_first_mount_is_named_in_the_log_or_an_error() {
    let sim = disks(2);
    sim.with(|world| {
        world.mount("ext4", Device::new(8, 0), "/mnt/bind");
        world.mount_from("nfs4", Device::new(0, 41), "server:/export", "/mnt/network");
    });
    let names = ["/mnt/bind", "/mnt/a/", "/nope", "/mnt/b", "/mnt/network", "mnt/a", ""];
    let unknown: Vec<&str> = names.into_iter().filter(|name| *name != "/mnt/b").collect();
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session, &names), json!({"return": 1}));
    assert_eq!(by_agent(&sim), ["/mnt/b"]);
    let expected: Vec<String> = unknown.iter().map(|name| format!("{UNKNOWN} {name}")).collect();
    assert_eq!(warned(&sim), expected);
    assert_eq!(thaw(&mut session), json!({"return": 1}));
    assert_eq!(freeze(&mut session, &unknown), json!({"return": 0}));
    clean(&sim);
    drop(session);
    for name in unknown {
        let mut session = strict(&sim);
        let said = format!("{UNKNOWN} {name}: No such file or directory");
        assert_eq!(freeze(&mut session, &["/mnt/b", name, "/mnt/a"]), error(&said));
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
        clean(&sim);
    }
}

#[test]
fn names_are_decoded_and_may_be_odd() {
    let sim = Sim::new(1);
    let points = ["/a b\\c\td\ne", "/\u{e9}\u{20ac}\u{1f600}", "/\"'"];
    sim.with(|world| {
        for (minor, point) in (0..).zip(points) {
            world.mount("ext4", Device::new(8, minor), point);
        }
    });
    let mut session = start(&sim);
    for point in points {
        assert_eq!(freeze(&mut session, &[point]), json!({"return": 1}), "{point}");
        assert_eq!(frozen(&sim, point), Some(By::Agent));
        assert_eq!(thaw(&mut session), json!({"return": 1}));
    }
    let escaped = r#"{"execute":"guest-fsfreeze-freeze-list","arguments":{"mountpoints":['\/\u00e9\u20AC\ud83d\ude00']}}"#;
    assert_eq!(session.send(escaped.as_bytes()), b"{\"return\": 1}\n");
    assert_eq!(frozen(&sim, points[1]), Some(By::Agent));
    assert_eq!(thaw(&mut session), json!({"return": 1}));
    clean(&sim);
}

/// As many as can freeze may be named, and no more.
#[test]
fn as_many_as_can_freeze() {
    let sim = disks(2);
    let names = vec!["/mnt/b"; FROZEN_MAX];
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session, &names), json!({"return": 1}));
    assert_eq!(thaw(&mut session), json!({"return": 1}));
    let names = vec!["/mnt/b"; FROZEN_MAX + 1];
    let said = "too many filesystems to freeze: at most 512, nothing was frozen";
    assert_eq!(freeze(&mut session, &names), error(said));
    clean(&sim);
    // The last of them is told apart from the others.
    let mut names = vec!["/mnt/a"; FROZEN_MAX];
    names[FROZEN_MAX - 1] = "/nope";
    assert_eq!(freeze(&mut session, &names), json!({"return": 1}));
    assert_eq!(warned(&sim), [format!("{UNKNOWN} /nope")]);
    assert_eq!(thaw(&mut session), json!({"return": 1}));
}

/// What is hidden, busy or cannot freeze is nobody's business unless it was asked for.
#[test]
fn nothing_is_said_of_what_was_not_named() {
    let sim = disks(4);
    sim.with(|world| {
        world.mount("tmpfs", Device::new(0, 90), "/mnt/a");
        world.mounts.at("/mnt/b").frozen = Some(By::Other);
        world.mounts.at("/mnt/c").freeze_error = Some(Errno::IO);
    });
    for begin in [start, strict] {
        let mut session = begin(&sim);
        assert_eq!(freeze(&mut session, &["/mnt/d"]), json!({"return": 1}));
        assert_eq!(by_agent(&sim), ["/mnt/d"]);
        assert_eq!(thaw(&mut session), json!({"return": 1}));
        assert_eq!(warned(&sim), [""; 0]);
    }
    // What was named and is hidden is an error when nothing else was, and else a warning.
    let said = format!("{HIDDEN} /mnt/a: Device or resource busy");
    assert_eq!(freeze(&mut start(&sim), &["/mnt/a"]), error(&said));
    assert_eq!(freeze(&mut strict(&sim), &["/mnt/d", "/mnt/a"]), error(&said));
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session, &["/mnt/d", "/mnt/a"]), json!({"return": 1}));
    assert_eq!(warned(&sim).last(), Some(&format!("{HIDDEN} /mnt/a")));
    assert_eq!(thaw(&mut session), json!({"return": 1}));
    let failed = freeze(&mut session, &["/mnt/c", "/mnt/d"]);
    assert_eq!(failed, error("failed to freeze /mnt/c: Input/output error"));
    assert_eq!(frozen(&sim, "/mnt/b"), Some(By::Other));
    clean(&sim);
}

/// Named by its first mount, it is frozen through another one where that is covered.
#[test]
fn covered_where_it_was_mounted_first() {
    let sim = disks(2);
    sim.with(|world| {
        world.mount("ext4", Device::new(8, 0), "/mnt/bind");
        world.mount("tmpfs", Device::new(0, 90), "/mnt/a");
    });
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session, &["/mnt/a"]), json!({"return": 1}));
    assert_eq!(frozen(&sim, "/mnt/bind"), Some(By::Agent));
    assert_eq!(warned(&sim), [""; 0]);
    assert_eq!(thaw(&mut session), json!({"return": 1}));
    assert_eq!(freeze(&mut session, &["/mnt/bind"]), json!({"return": 0}));
    clean(&sim);
}

/// What lies below freezes only if it was named, and then after what lies on it.
#[test]
fn of_a_stack_only_what_was_named() {
    for lower_first in [false, true] {
        let sim = disks(3);
        let (lower, upper) = if lower_first { (0, 1) } else { (1, 0) };
        sim.with(|world| {
            let (lower, upper) = (Device::new(8, lower), Device::new(8, upper));
            world.mounts.lies.push((upper, Lies::File(lower)));
        });
        let (lower, upper) = (POINTS[lower as usize], POINTS[upper as usize]);
        let mut session = start(&sim);
        for names in [&[upper][..], &[lower], &[lower, upper], &["/mnt/c", upper]] {
            assert_eq!(freeze(&mut session, names), json!({"return": names.len()}));
            let mut sorted = names.to_vec();
            sorted.sort_unstable();
            assert_eq!(by_agent(&sim), sorted);
            assert_eq!(thaw(&mut session), json!({"return": names.len()}));
            clean(&sim);
        }
    }
}

/// Every call failing, and the agent or its worker killed after each: nothing that was not named is
/// ever frozen, and the next agent makes everything run.
#[test]
fn whatever_fails_or_is_killed_nothing_else_freezes() {
    let named = ["/mnt/b", "/mnt/d"];
    // The root in memory is no superblock of a disk: the disks are told by their places.
    let sim = disks(4);
    let numbers = sim.with(|world| {
        let number = |point: &str| {
            let mounts = &world.mounts.list;
            mounts.iter().find(|mount| mount.point == point.as_bytes()).expect("it").superblock
        };
        POINTS.map(number)
    });
    assert_eq!(numbers.map(|number| number - numbers[0]), [0, 1, 2, 3]);
    let other = |sim: &Sim| {
        let changes = sim.with(|world| world.mounts.changes.clone());
        changes.into_iter().any(|(freezes, superblock)| {
            freezes && superblock != numbers[1] && superblock != numbers[3]
        })
    };
    let begun = |workers: bool| {
        let sim = disks(4);
        sim.with(|world| world.workers.offered = workers);
        let session = start(&sim);
        sim.with(|world| world.faults.clear());
        (sim, session)
    };
    for strike in 0..3 {
        let (sim, mut session) = begun(strike == 2);
        assert_eq!(freeze(&mut session, &named), json!({"return": 2}));
        let calls = sim.with(|world| match strike {
            2 => world.workers.calls,
            _ => world.faults.calls(),
        });
        assert!(calls > 20, "only {calls} calls");
        for at in 0..calls {
            let (sim, mut session) = begun(strike == 2);
            sim.with(|world| {
                let errno = Errno::IO;
                match strike {
                    0 => world.faults.cut_after(at),
                    1 => world.faults.fail(Fault { kind: None, number: at, errno, lasting: false }),
                    _ => world.workers.stops_at = Some((at, Fate::Killed)),
                }
                world.workers.strikes = 1;
            });
            session.send(&request(&named));
            assert!(!other(&sim), "strike {strike} at {at}");
            sim.with(|world| {
                world.faults.clear();
                world.workers.stops_at = None;
            });
            session.restart().expect("a start");
            let _ = thaw(&mut session);
            assert_eq!(by_agent(&sim), [""; 0], "strike {strike} at {at}");
            clean(&sim);
        }
    }
}

/// The names stand in the request, which is gone when somebody syncs: a freeze of them does not
/// wait for an earlier one that hangs.
#[test]
fn it_does_not_wait_for_what_hangs() {
    let sim = disks(2);
    sim.with(|world| {
        world.workers.offered = true;
        world.mounts.at("/mnt/a").hangs = Some(Hang::Look);
    });
    let mut session = start(&sim);
    session.put(&request(&["/mnt/a"]));
    while session.step() != Step::Wait {}
    let sync = "{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 5}}\n";
    assert_eq!(session.send(sync.as_bytes()), b"{\"return\": 5}\n");
    session.put(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
    let mut reply = Vec::new();
    while reply.is_empty() {
        sim.with(|world| world.time.advance(10));
        if session.step() == Step::Transmit {
            reply = session.take(usize::MAX);
        }
    }
    assert_eq!(reply, b"{\"return\": 0}\n");
    let refused = freeze(&mut session, &["/mnt/b"]);
    assert!(refused["error"]["desc"].as_str().expect("an error").contains("still hangs"));
    assert_eq!(by_agent(&sim), [""; 0]);
    sim.with(|world| {
        world.mounts.at("/mnt/a").hangs = None;
        world.workers.release();
        world.time.advance(1000);
    });
    session.step();
    assert_eq!(freeze(&mut session, &["/mnt/b"]), json!({"return": 1}));
    assert_eq!(by_agent(&sim), ["/mnt/b"]);
    assert_eq!(thaw(&mut session), json!({"return": 1}));
    assert_eq!(sim.with(|world| world.faults.count(Kind::Thaw)), 1);
}
