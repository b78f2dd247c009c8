//! Filesystems on loop devices whose files are on other filesystems, with devices of other kinds in
//! between: what lies on top freezes first and thaws last, however they were mounted and wherever
//! somebody is killed.

use crate::freeze::{ask, frozen};
use crate::guest::Large;
use qga_core::limits::{DEVICES_BELOW_MAX, FREEZE_STEP_MS_MAX, FROZEN_MAX};
use qga_core::platform::Device;
use qga_core::{Errno, Step};
use qga_sim::files::Content;
use qga_sim::mounts::{By, Hang, Lies};
use qga_sim::{Fault, Kind, Sim};
use serde_json::json;

const BOTTOM: Device = Device::new(8, 0);
const MIDDLE: Device = Device::new(7, 0);
const TOP: Device = Device::new(253, 0);
const OTHER: Device = Device::new(8, 16);

/// The file of the middle one is on the bottom one; the top one is made of a partition of a loop
/// device with a file on the middle one.
const LIES: [(Device, Lies); 4] = [
    (MIDDLE, Lies::File(BOTTOM)),
    (TOP, Lies::Made(Device::new(259, 0))),
    (Device::new(259, 0), Lies::Made(Device::new(7, 1))),
    (Device::new(7, 1), Lies::File(MIDDLE)),
];

fn point(device: Device) -> String {
    format!("/mnt/{}-{}", device.major(), device.minor())
}

/// A guest with a filesystem on each of these devices, mounted in this order.
fn mounted(devices: &[Device], lies: &[(Device, Lies)]) -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| {
        world.files.add("/mnt", Content::Directory);
        devices.iter().for_each(|&device| world.mount("ext4", device, &point(device)));
        world.mounts.lies = lies.to_vec();
    });
    sim
}

/// Every order of three levels and one beside them.
fn orders() -> Vec<Vec<Device>> {
    let mut orders = vec![Vec::new()];
    for device in [BOTTOM, MIDDLE, TOP, OTHER] {
        let place = |order: &Vec<Device>, at: usize| {
            let mut order = order.clone();
            order.insert(at, device);
            order
        };
        let places = orders.iter().flat_map(|order| (0..=order.len()).map(|at| place(order, at)));
        orders = places.collect();
    }
    orders
}

/// What was frozen (`true`) or thawed so far, in order.
fn changes(sim: &Sim, frozen: bool) -> Vec<Device> {
    sim.with(|world| {
        let changes = world.mounts.changes.iter().filter(|change| change.0 == frozen);
        changes.map(|change| world.mounts.superblocks[change.1].device).collect()
    })
}

/// Those of the stack, without what has nothing to do with it.
fn stacked(mut devices: Vec<Device>) -> Vec<Device> {
    devices.retain(|device| *device != OTHER);
    devices
}

fn clean(sim: &Sim) {
    sim.with(|world| {
        assert_eq!(world.violations, Vec::<String>::new());
        assert!(!world.mounts.is_frozen_by_agent());
        assert_eq!((world.open.filesystems, world.open.marks, world.open.tables), (0, 0, 0));
        assert_eq!(world.store.mark(), None);
    });
}

#[test]
fn what_lies_on_top_freezes_first_and_thaws_last_whatever_the_mount_order() {
    assert_eq!(orders().len(), 24);
    for order in orders() {
        for (workers, restarts) in [(false, false), (true, false), (false, true), (true, true)] {
            let sim = mounted(&order, &LIES);
            sim.with(|world| world.workers.offered = workers);
            let mut session = Large::start(&sim).expect("a start");
            assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 4}), "{order:?}");
            assert_eq!(stacked(changes(&sim, true)), [TOP, MIDDLE, BOTTOM], "{order:?}");
            if restarts {
                session.restart().expect("a start");
            }
            assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 4}), "{order:?}");
            assert_eq!(stacked(changes(&sim, false)), [BOTTOM, MIDDLE, TOP], "{order:?}");
            clean(&sim);
        }
    }
}

#[test]
fn at_one_height_the_mount_order_counts() {
    let loops = [3, 1, 2].map(|minor| Device::new(7, minor));
    let disks = [5, 4, 6].map(|minor| Device::new(8, minor));
    let sim = mounted(
        &[loops[0], disks[0], loops[1], disks[1], disks[2], loops[2]],
        &loops.map(|device| (device, Lies::File(disks[1]))),
    );
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 6}));
    let expected = [loops[2], loops[1], loops[0], disks[2], disks[1], disks[0]];
    assert_eq!(changes(&sim, true), expected);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 6}));
    clean(&sim);
}

/// The number of a subvolume is not that of any filesystem in the table.
#[test]
fn a_file_on_a_subvolume_may_be_on_any_btrfs() {
    let sim = mounted(&[MIDDLE, OTHER], &[(MIDDLE, Lies::File(Device::new(0, 51)))]);
    sim.with(|world| {
        world.files.add("/dev/pool", Content::Block(BOTTOM));
        world.mount_from("btrfs", Device::new(0, 51), "/dev/pool", "/mnt/subvolume");
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}));
    assert_eq!(changes(&sim, true), [MIDDLE, BOTTOM, OTHER]);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}));
    clean(&sim);
}

#[test]
fn circles_end() {
    let [a, b, c] = [0, 1, 2].map(|minor| Device::new(7, minor));
    let circles: [&[_]; 4] = [
        &[(a, Lies::File(a))],
        &[(a, Lies::File(b)), (b, Lies::File(a))],
        &[(a, Lies::Made(b)), (b, Lies::Made(c)), (c, Lies::Made(a))],
        &[(a, Lies::File(b)), (b, Lies::Made(c)), (c, Lies::File(a))],
    ];
    for lies in circles {
        let sim = mounted(&[a, b, c], lies);
        // There is no right order.
        sim.with(|world| world.mounts.lies_untold = true);
        let mut session = Large::start(&sim).expect("a start");
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}), "{lies:?}");
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}), "{lies:?}");
        clean(&sim);
    }
}

#[test]
fn many_devices_below_are_looked_at_as_far_as_there_is_room() {
    // A chain of loop devices, each mounted after what it lies on.
    let chain: Vec<_> = (0..2 * DEVICES_BELOW_MAX as u32).map(|n| Device::new(7, n)).collect();
    let lies: Vec<_> = chain.windows(2).map(|pair| (pair[1], Lies::File(pair[0]))).collect();
    let sim = mounted(&chain, &lies);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": chain.len()}));
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": chain.len()}));
    clean(&sim);
    // A RAID of many disks, of which the last that is looked at is a loop device.
    let disks = (0..200).map(|n| (TOP, Lies::Made(Device::new(65, n))));
    let mut lies: Vec<_> = disks.collect();
    lies.insert(DEVICES_BELOW_MAX - 3, (TOP, Lies::Made(MIDDLE)));
    lies.push((MIDDLE, Lies::File(BOTTOM)));
    let sim = mounted(&[TOP, BOTTOM], &lies);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    assert_eq!(changes(&sim, true), [TOP, BOTTOM]);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    clean(&sim);
}

/// As many as can be held, three on each other, all mounted the wrong way round: the calls grow
/// with their number.
#[test]
fn as_many_as_there_is_room_for() {
    let calls_of = |count: usize| {
        let devices: Vec<_> = (0..count as u32).map(|n| Device::new(7, n)).collect();
        let third = count / 3 + 1;
        let lies = devices.iter().zip(&devices[third..]);
        let lies: Vec<_> = lies.map(|(upper, lower)| (*upper, Lies::File(*lower))).collect();
        let sim = mounted(&devices, &lies);
        let mut session = Large::start(&sim).expect("a start");
        assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": count}));
        let top = devices[..count - 2 * third].iter().rev();
        let middle = devices[count - 2 * third..count - third].iter().rev();
        let bottom = devices[count - third..].iter().rev();
        assert!(changes(&sim, true).iter().eq(top.chain(middle).chain(bottom)));
        let calls = sim.with(|world| world.faults.calls());
        assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": count}));
        clean(&sim);
        calls
    };
    let (few, many) = (calls_of(FROZEN_MAX / 8), calls_of(FROZEN_MAX));
    assert!(many < 9 * few, "{few} calls for an eighth of what took {many}");
}

#[test]
fn what_cannot_be_learned_counts_as_nothing() {
    let mounts = [TOP, MIDDLE, BOTTOM];
    let asked = {
        let sim = mounted(&mounts, &LIES);
        ask(&mut Large::start(&sim).expect("a start"), "fsfreeze-freeze");
        sim.with(|world| world.faults.count(Kind::Below))
    };
    assert!(asked > 9, "it asks {asked} times");
    for number in 0..asked {
        for lasting in [false, true] {
            let sim = mounted(&mounts, &LIES);
            let kind = Some(Kind::Below);
            let fault = Fault { kind, number, errno: Errno::NOENT, lasting };
            sim.with(|world| world.faults.fail(fault));
            let mut session = Large::start(&sim).expect("a start");
            assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 3}), "{number}");
            assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 3}), "{number}");
            clean(&sim);
        }
    }
}

/// The kernel asks the filesystem of the file, which may hang.
#[test]
fn one_that_hangs_is_named_and_nothing_freezes() {
    let sim = mounted(&[BOTTOM, MIDDLE, TOP], &LIES);
    sim.with(|world| {
        world.workers.offered = true;
        world.mounts.at(&point(MIDDLE)).hangs = Some(Hang::Below);
    });
    let mut session = Large::start(&sim).expect("a start");
    let text = "{\"execute\": \"guest-fsfreeze-freeze\"}\n";
    assert_eq!(session.put(text.as_bytes()), text.len());
    while session.step() == Step::Continue {}
    sim.with(|world| world.time.advance(FREEZE_STEP_MS_MAX));
    while session.step() == Step::Continue {}
    let reply = session.take(usize::MAX).escape_ascii().to_string();
    let text = format!("failed to open {}: Connection timed out", point(MIDDLE));
    assert!(reply.contains(&text), "{reply}");
    assert_eq!(changes(&sim, true), []);
}

#[test]
fn what_is_hidden_is_said_once_however_high_others_lie() {
    let sim = mounted(&[BOTTOM, OTHER, MIDDLE, TOP], &LIES);
    // One at the bottom and one at the top are covered.
    sim.with(|world| {
        for device in [OTHER, TOP] {
            world.mount("tmpfs", Device::new(0, 90), &point(device));
        }
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 2}));
    assert_eq!(changes(&sim, true), [MIDDLE, BOTTOM]);
    for device in [OTHER, TOP] {
        let said = |text: &str| text.contains("hidden") && text.ends_with(&point(device));
        let lines = sim.with(|world| world.log.iter().filter(|line| said(&line.text)).count());
        assert_eq!(lines, 1, "{device:?}");
    }
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    clean(&sim);
}

/// Listed after what lies on it, it would freeze before that.
#[test]
fn what_was_hidden_when_its_turn_was_is_not_frozen_later() {
    let sim = mounted(&[MIDDLE, BOTTOM], &LIES);
    // Twice: it is looked for anywhere else, too.
    for number in [0, 1] {
        let kind = Some(Kind::Inspect);
        let fault = Fault { kind, number, errno: Errno::ACCES, lasting: false };
        sim.with(|world| world.faults.fail(fault));
    }
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 1}));
    assert_eq!(changes(&sim, true), [MIDDLE]);
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
    clean(&sim);
}

/// Killed after every call of a freeze and a thaw of filesystems that were mounted the wrong way
/// round, and the next one after every call of its own: what is thawed is thawed from the bottom.
#[test]
fn killed_anywhere_nothing_thaws_before_what_it_lies_on() {
    let start = || mounted(&[TOP, MIDDLE, BOTTOM], &LIES);
    let live = |sim: &Sim| {
        if let Ok(mut session) = Large::start(sim) {
            session.send(b"{\"execute\": \"guest-fsfreeze-freeze\"}\n");
            session.send(b"{\"execute\": \"guest-fsfreeze-thaw\"}\n");
        }
    };
    let whole = start();
    live(&whole);
    let calls = whole.with(|world| world.faults.calls());
    let mut kills = 0;
    for first in 0..=calls {
        for second in 0.. {
            let sim = start();
            sim.with(|world| world.faults.cut_after(first));
            live(&sim);
            sim.with(|world| world.faults.clear());
            sim.with(|world| world.faults.cut_after(second));
            let recovered = Large::start(&sim).is_ok();
            let ended = recovered && sim.with(|world| !world.faults.is_cut());
            kills += 1;
            judge(&sim, &format!("killed after {first}, then after {second}"));
            if ended {
                break;
            }
        }
    }
    assert!(kills > 1000, "only {kills} kills");
}

/// The last agent says what is true, and thaws.
fn judge(sim: &Sim, when: &str) {
    sim.with(|world| world.faults.clear());
    let mut session = Large::start(sim).expect("a start");
    let ours = [TOP, MIDDLE, BOTTOM].map(|device| frozen(sim, &point(device)) == Some(By::Agent));
    let status = if ours.contains(&true) { "frozen" } else { "thawed" };
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": status}), "{when}");
    if ours.contains(&true) {
        assert!(ask(&mut session, "fsfreeze-thaw")["return"].is_u64(), "{when}");
    }
    clean(sim);
    let mut frozen = Vec::new();
    sim.with(|world| {
        for &(freezes, number) in &world.mounts.changes {
            let device = world.mounts.superblocks[number].device;
            if freezes {
                frozen.push(device);
            } else {
                // The last that froze.
                assert_eq!(frozen.pop(), Some(device), "{when}: {:?}", world.mounts.changes);
            }
        }
    });
}
