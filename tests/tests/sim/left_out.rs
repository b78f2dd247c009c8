//! What a freeze leaves out: said in the log where it can be lived with, an error where it cannot;
//! and never because of a race, or of a descriptor too few.

use crate::freeze::{SHORT, ask, disks, frozen};
use crate::guest::Large;
use qga_core::Errno;
use qga_core::platform::{Device, Level};
use qga_sim::files::{Content, Permit};
use qga_sim::mounts::By;
use qga_sim::{Kind, Sim};
use serde_json::{Value, json};

const HIDDEN: &str = "not frozen, hidden by another mount or the unit's sandbox:";
const THEIRS: &str = "frozen or suspended by somebody else, who may end that at any time:";

fn start(sim: &Sim) -> Large {
    Large::start(sim).expect("a start")
}

/// An agent whose freezes fail rather than leave something out.
fn strict(sim: &Sim) -> Large {
    let mut session = Large::unstarted();
    session.sim = sim.clone();
    session.freeze_strict = true;
    session.restart().expect("a start");
    session
}

fn freeze(session: &mut Large) -> Value {
    ask(session, "fsfreeze-freeze")
}

fn error(text: &str) -> Value {
    json!({"error": {"class": "GenericError", "desc": text}})
}

/// The warnings in the log.
fn warned(sim: &Sim) -> Vec<String> {
    let warnings = |line: &&qga_sim::LogLine| line.level == Level::Warning;
    sim.with(|world| world.log.iter().filter(warnings).map(|line| line.text.clone()).collect())
}

/// Nothing is frozen, on record or held, and nothing was done that may not be.
fn clean(sim: &Sim) {
    sim.with(|world| {
        assert_eq!(world.violations, Vec::<String>::new());
        assert_eq!((world.open.filesystems, world.store.mark()), (0, None));
        assert!(!world.mounts.is_frozen_by_agent());
    });
}

/// Hides the filesystem on /mnt/a, each time in another way; what the reason is.
fn hide(sim: &Sim, how: usize) -> &'static str {
    sim.with(|world| match how {
        0 => {
            world.mount("tmpfs", Device::new(0, 90), "/mnt/a");
            "Device or resource busy"
        }
        1 => {
            world.mount("tmpfs", Device::new(0, 90), "/mnt");
            world.mount("ext4", Device::new(8, 1), "/mnt/b");
            "No such file or directory"
        }
        _ => {
            world.files.add("/closed", Content::Directory);
            world.files.add("/closed/a", Content::Directory);
            world.mounts.detach("/mnt/a");
            world.mount("ext4", Device::new(8, 0), "/closed/a");
            world.files.permit("/closed", Permit::Denied);
            "Permission denied"
        }
    })
}

#[test]
fn what_is_hidden_is_in_the_log_before_anything_freezes() {
    for how in 0..3 {
        let sim = disks(2);
        hide(&sim, how);
        let mut session = start(&sim);
        assert_eq!(freeze(&mut session), json!({"return": 1}), "{how}");
        let place = if how == 2 { "/closed/a" } else { "/mnt/a" };
        assert_eq!(warned(&sim), [format!("{HIDDEN} {place}")]);
        assert_eq!(frozen(&sim, "/mnt/b"), Some(By::Agent));
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
        clean(&sim);
    }
}

#[test]
fn where_nothing_is_hidden_nothing_is_said() {
    let sim = disks(3);
    sim.with(|world| {
        world.mount("ext4", Device::new(8, 0), "/mnt/bind");
        world.mount("ext4", Device::new(8, 0), "/mnt/a");
        world.mount("vfat", Device::new(8, 64), "/mnt/cannot");
        world.mounts.at("/mnt/cannot").freeze_error = Some(Errno::OPNOTSUPP);
        world.mount_from("nfs4", Device::new(0, 41), "server:/export", "/mnt/network");
        // What nobody writes to need not be frozen.
        world.mount("squashfs", Device::new(7, 0), "/mnt/image");
        world.mounts.at("/mnt/image").read_only = true;
        world.mount("tmpfs", Device::new(0, 90), "/mnt/image");
        // In user space nothing can freeze, and a server that is gone answers nobody.
        world.mount("fuseblk", Device::new(8, 80), "/mnt/user");
        world.mount("tmpfs", Device::new(0, 90), "/mnt/user");
    });
    for begin in [start, strict] {
        let mut session = begin(&sim);
        assert_eq!(freeze(&mut session), json!({"return": 3}));
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}));
        assert_eq!(warned(&sim), [""; 0]);
    }
    clean(&sim);
}

/// Its place in the order is that of its first mount: what lies on it must freeze before it.
#[test]
fn what_is_covered_in_one_place_is_frozen_through_another_and_in_its_turn() {
    let sim = disks(3);
    sim.with(|world| {
        world.mount("ext4", Device::new(8, 0), "/mnt/bind");
        world.mount("tmpfs", Device::new(0, 90), "/mnt/a");
    });
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session), json!({"return": 3}));
    assert_eq!(warned(&sim), [""; 0]);
    let order = sim.with(|world| world.mounts.changes.clone());
    assert!(order.is_sorted_by(|(_, first), (_, second)| first > second), "{order:?}");
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}));
    clean(&sim);
}

#[test]
fn a_freeze_of_nothing_that_should_have_been_is_an_error() {
    for how in 0..3 {
        let sim = disks(1);
        let why = hide(&sim, how);
        if how == 1 {
            assert!(sim.with(|world| world.mounts.detach("/mnt/b")));
        }
        // What is reached cannot be frozen: that is nothing as well.
        sim.with(|world| {
            world.mount("vfat", Device::new(8, 64), "/cannot");
            world.mounts.at("/cannot").freeze_error = Some(Errno::OPNOTSUPP);
        });
        let mut session = start(&sim);
        let place = if how == 2 { "/closed/a" } else { "/mnt/a" };
        assert_eq!(freeze(&mut session), error(&format!("{HIDDEN} {place}: {why}")));
        assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
        clean(&sim);
    }
}

#[test]
fn a_line_of_the_table_that_comes_cut_is_an_error_unless_another_one_leads_there() {
    for kind in ["ext4", "btrfs", "tmpfs"] {
        let sim = disks(1);
        let device = if kind == "ext4" { Device::new(8, 1) } else { Device::new(0, 50) };
        sim.with(|world| {
            world.mount_from(kind, device, "/dev/pool", "/mnt/long");
            let mount = world.mounts.list.last_mut().expect("a mount");
            mount.root = format!("/{}", "deep/".repeat(5000));
        });
        let mut session = start(&sim);
        let reply = freeze(&mut session);
        assert_eq!(reply, error("failed to open : File name too long"), "{kind}");
        clean(&sim);
        if kind != "tmpfs" {
            sim.with(|world| world.mount_from(kind, device, "/dev/pool", "/mnt/short"));
            assert_eq!(freeze(&mut session), json!({"return": 2}), "{kind}");
            assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
            clean(&sim);
        }
    }
}

#[test]
fn a_strict_agent_freezes_all_or_says_which_it_cannot() {
    for how in 0..3 {
        let sim = disks(3);
        let why = hide(&sim, how);
        let mut session = strict(&sim);
        let place = if how == 2 { "/closed/a" } else { "/mnt/a" };
        assert_eq!(freeze(&mut session), error(&format!("{HIDDEN} {place}: {why}")));
        assert_eq!(sim.with(|world| world.mounts.changes.clone()), []);
        clean(&sim);
    }
    let sim = disks(3);
    sim.with(|world| world.mounts.at("/mnt/b").frozen = Some(By::Other));
    let mut session = strict(&sim);
    let busy = "failed to freeze /mnt/b: Device or resource busy";
    assert_eq!(freeze(&mut session), error(busy));
    assert_eq!(frozen(&sim, "/mnt/b"), Some(By::Other));
    clean(&sim);
    sim.with(|world| world.mounts.at("/mnt/b").frozen = None);
    assert_eq!(freeze(&mut session), json!({"return": 3}));
}

/// A device that is suspended for a snapshot of LVM looks the same to FIFREEZE.
#[test]
fn what_somebody_else_froze_is_in_the_log_after_the_thaw() {
    let sim = disks(3);
    sim.with(|world| world.mounts.at("/mnt/b").frozen = Some(By::Other));
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session), json!({"return": 2}));
    // It is let go in the middle of our freeze.
    sim.with(|world| world.mounts.at("/mnt/b").frozen = None);
    assert_eq!(warned(&sim), [""; 0]);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!(warned(&sim), [format!("{THEIRS} /mnt/b")]);
    clean(&sim);
    // Once, and not of the next freeze.
    assert_eq!(freeze(&mut session), json!({"return": 3}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}));
    assert_eq!(warned(&sim).len(), 1);
}

#[test]
fn where_everything_is_frozen_by_others_that_is_said_at_once() {
    let sim = disks(2);
    sim.with(|world| {
        for point in ["/mnt/a", "/mnt/b"] {
            world.mounts.at(point).frozen = Some(By::Other);
        }
    });
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session), json!({"return": 0}));
    let mut said = warned(&sim);
    said.sort();
    assert_eq!(said, [format!("{THEIRS} /mnt/a"), format!("{THEIRS} /mnt/b")]);
    clean(&sim);
}

/// The descriptor is then the parent's, which must not be frozen in the place of what was
/// unmounted.
#[test]
fn unmounted_between_the_look_and_the_open() {
    let sim = disks(1);
    sim.with(|world| {
        world.mount("ext4", Device::new(8, 9), "/mnt/a/inner");
        world.mounts.vanishing = Some("/mnt/a/inner".to_owned());
    });
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session), json!({"return": 1}));
    assert_eq!(frozen(&sim, "/mnt/a"), Some(By::Agent));
    session.restart().expect("a restart");
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    assert_eq!(frozen(&sim, "/mnt/a"), None);
    clean(&sim);
}

/// The same while an agent takes a freeze over: the parent is nobody's to thaw for it.
#[test]
fn unmounted_between_the_look_and_the_open_of_the_next_agent() {
    let sim = disks(1);
    sim.with(|world| world.mount("ext4", Device::new(8, 9), "/mnt/a/inner"));
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session), json!({"return": 2}));
    sim.with(|world| {
        world.mounts.at("/mnt/a").frozen = Some(By::Other);
        world.mount("ext4", Device::new(8, 9), "/elsewhere");
        world.mounts.vanishing = Some("/mnt/a/inner".to_owned());
    });
    session.restart().expect("a restart");
    assert_eq!(sim.with(|world| world.mounts.vanishing.clone()), None);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "frozen"}));
    assert_eq!(frozen(&sim, "/elsewhere"), Some(By::Agent));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!(frozen(&sim, "/elsewhere"), None);
    clean(&sim);
}

#[test]
fn too_few_descriptors_freeze_nothing_and_say_which_limit() {
    let sim = disks(26);
    let mut session = start(&sim);
    // The filesystems, the table, and the mark in each place.
    let enough = 26 + 1 + sim.with(|world| world.store.places.len());
    for most in 0..enough {
        sim.with(|world| world.faults.limit_descriptors(most));
        let reply = freeze(&mut session);
        let text = reply["error"]["desc"].as_str().unwrap_or_default();
        assert!(text.ends_with(SHORT), "{most}: {reply}");
        assert_eq!(sim.with(|world| world.mounts.changes.clone()), []);
        clean(&sim);
    }
    sim.with(|world| world.faults.limit_descriptors(enough));
    assert_eq!(freeze(&mut session), json!({"return": 26}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 26}));
}

/// As many as can be held run again, and let go what the next ones need.
#[test]
fn with_fewer_descriptors_after_a_restart_one_thaw_frees_all() {
    for killed_in_the_freeze in [false, true] {
        for most in 3..33 {
            let sim = disks(26);
            let mut session = start(&sim);
            assert_eq!(freeze(&mut session), json!({"return": 26}));
            sim.with(|world| {
                world.mounts.changes.clear();
                world.faults.limit_descriptors(most);
                if killed_in_the_freeze {
                    let mut mark = world.store.mark().expect("a mark").to_vec();
                    let phase = mark.iter().position(|&byte| byte == b'\n').expect("a head") - 1;
                    mark[phase] = b'f';
                    world.store.set_mark(Some(&mark));
                }
            });
            session.restart().expect("a restart");
            if !killed_in_the_freeze {
                let word = if most < 28 { "error" } else { "frozen" };
                assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": word}), "{most}");
                assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 26}), "{most}");
            }
            assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
            let order = sim.with(|world| world.mounts.changes.clone());
            assert!(order.is_sorted() && order.len() == 26, "{most}: {order:?}");
            clean(&sim);
        }
    }
}

#[test]
fn without_any_descriptor_a_thaw_says_so_and_frees_all_later() {
    let sim = disks(3);
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session), json!({"return": 3}));
    sim.with(|world| world.faults.limit_descriptors(2));
    session.restart().expect("a restart");
    let stuck = error(&format!("failed to thaw /mnt/a: {SHORT}"));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    sim.with(|world| world.faults.limit_descriptors(3));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}));
    clean(&sim);
    // With nothing on record a thaw that could look at nothing does not say that there was nothing.
    sim.with(|world| world.faults.limit_descriptors(1));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), stuck);
    sim.with(|world| world.faults.limit_descriptors(0));
    let unread = error(&format!("failed to read the mount table: {SHORT}"));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), unread);
}

/// One that is stuck keeps nothing else from running again, whatever is missing besides.
#[test]
fn one_thaw_frees_all_that_can_be_freed() {
    let sim = disks(6);
    let mut session = start(&sim);
    assert_eq!(freeze(&mut session), json!({"return": 6}));
    sim.with(|world| {
        world.faults.limit_descriptors(4);
        world.mounts.at("/mnt/c").thaw_error = Some(Errno::IO);
        world.mount("tmpfs", Device::new(0, 90), "/mnt/e");
    });
    session.restart().expect("a restart");
    assert!(freeze(&mut session)["error"].is_object());
    assert!(ask(&mut session, "fsfreeze-thaw")["error"].is_object());
    for point in ["/mnt/a", "/mnt/b", "/mnt/d", "/mnt/f"] {
        assert_eq!(frozen(&sim, point), None, "{point}");
    }
    assert_eq!(frozen(&sim, "/mnt/c"), Some(By::Agent));
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "error"}));
    sim.with(|world| {
        assert!(world.mounts.detach("/mnt/e"));
        world.mounts.at("/mnt/c").thaw_error = None;
    });
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    clean(&sim);
    assert_eq!(sim.with(|world| world.faults.count(Kind::Freeze)), 6);
}
