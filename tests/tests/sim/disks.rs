//! Disks and the filesystems on them, from the guest's data: where each is, what lies on what, and
//! what of it hangs.

use crate::guest::{Large, Small};
use qga_core::limits::ABANDONED_MAX;
use qga_core::platform::Device;
use qga_core::{Errno, Step};
use qga_sim::mounts::Hang;
use qga_sim::power::Program;
use qga_sim::{Fault, Kind, Sim};
use serde_json::{Value, json};

const FSINFO: &[u8] = b"{\"execute\": \"guest-get-fsinfo\"}\n";
const DISKS: &[u8] = b"{\"execute\": \"guest-get-disks\"}\n";

const PING: &[u8] = b"{\"execute\": \"guest-ping\"}\n";
const PONG: &[u8] = b"{\"return\": {}}\n";

fn reply(sim: &Sim, request: &[u8]) -> Value {
    let reply = Large::start(sim).expect("a start").send(request);
    serde_json::from_slice(&reply).unwrap_or_else(|_| panic!("{}", reply.escape_ascii()))
}

fn ask(sim: &Sim, request: &[u8]) -> Vec<Value> {
    let mut reply = reply(sim, request);
    let list = reply["return"].take();
    list.as_array().unwrap_or_else(|| panic!("{reply}")).clone()
}

/// A guest whose disks are of every kind, some of them in others.
fn guest() -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| {
        let system = &mut world.system;
        let pci = "pci0000:00/0000:00";
        system.disk(&format!("{pci}:04.0/virtio1/host2/target2:0:3/2:0:3:1/block/sda"), "8:0", 9);
        let ahci = format!("{pci}:1f.2");
        system.disk(&format!("{ahci}/ata9/host8/target8:0:0/8:0:0:0/block/sdb"), "8:16", 9);
        system.text(&format!("/sys/devices/{ahci}/ata8/host7/x"), "");
        system.text(&format!("/sys/devices/{ahci}/ata10/host9/x"), "");
        system
            .links_to
            .insert(format!("/sys/devices/{ahci}/driver"), "../../../bus/pci/drivers/ahci".into());
        let piix = format!("{pci}:01.1");
        system.disk(&format!("{piix}/ata2/host1/target1:0:1/1:0:1:0/block/sr0"), "11:0", 9);
        system.text(&format!("/sys/devices/{piix}/ata1/host0/x"), "");
        system.links_to.insert(
            format!("/sys/devices/{piix}/driver"),
            "../../../bus/pci/drivers/ata_piix".into(),
        );
        let bridge = format!("{pci}:1e.0/0000:01:02.7");
        system.disk(&format!("{bridge}/nvme/nvme0/nvme0n1"), "259:0", 9);
        system.disk(&format!("{bridge}/nvme/nvme0/nvme0n1/nvme0n1p1"), "259:1", 5);
        let usb = format!("{pci}:05.0/usb2/2-1/2-1:1.0/host5/target5:0:0/5:0:0:0/block/sdc");
        system.disk(&usb, "8:32", 9);
        system.links_to.insert(format!("/sys/devices/{usb}/device"), "../../../5:0:0:0".into());
        system.disk(&format!("{pci}:06.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0"), "179:0", 9);
        let lsi = format!("{pci}:07.0/host6/target6:0:4/6:0:4:0/block/sdd");
        system.disk(&lsi, "8:48", 9);
        system.links_to.insert(
            format!("/sys/devices/{pci}:07.0/driver"),
            "../../../bus/pci/drivers/sym53c8xx".into(),
        );
        system.text(&format!("/sys/devices/{pci}:05.0/usb2/2-1/serial"), "stick\n");
        system.text(
            &format!("/sys/devices/{pci}:06.0/mmc_host/mmc1/mmc1:1/block/mmcblk1/device/type"),
            "SD\n",
        );
        system.disk(&format!("{pci}:06.0/mmc_host/mmc1/mmc1:1/block/mmcblk1"), "179:8", 9);
        system.disk(&format!("{pci}:08.0/host9/target9:0:4/9:0:4:1/block/sde"), "8:64", 9);
        system.disk("css0/0.0.0001/0.0.0602/virtio3/block/vdc", "254:32", 9);
        system.disk("virtual/block/dm-0", "253:0", 7);
        system.disk("virtual/block/md0", "9:0", 8);
        system.disk("virtual/block/loop0", "7:0", 6);
        system.disk("virtual/block/loop1", "7:1", 0);
        system.text("/sys/devices/virtual/block/dm-0/dm/name", "vg-root\n");
        for (upper, lower, path) in [
            ("dm-0", "md0", "virtual/block/md0"),
            ("md0", "sda", "pci0000:00/0000:00:04.0/virtio1/host2/target2:0:3/2:0:3:1/block/sda"),
            ("md0", "vda1", "pci0000:00/0000:00:05.0/virtio2/block/vda/vda1"),
        ] {
            let slave = format!("/sys/devices/virtual/block/{upper}/slaves/{lower}");
            system.links_to.insert(slave, format!("../../../../../devices/{path}"));
        }
        let page = [&[0, 0x80, 0, 10][..], b"  SER-7   "].concat();
        system.texts.insert(format!("/sys/devices/{lsi}/device/vpd_pg80"), page);
        let nvme = format!("/sys/devices/{bridge}/nvme/nvme0/nvme0n1/device/serial");
        system.text(&nvme, "nv-1   \n");
    });
    sim
}

/// Where a disk is, as the schema has it.
fn address(dev: &str, bus: &str, pci: [i32; 4], place: [u32; 3], serial: Option<&str>) -> Value {
    let [domain, pci_bus, slot, function] = pci;
    let mut address = json!({
        "pci-controller": {"domain": domain, "bus": pci_bus, "slot": slot, "function": function},
        "bus-type": bus, "bus": place[0], "target": place[1], "unit": place[2], "dev": dev});
    if let Some(serial) = serial {
        address["serial"] = json!(serial);
    }
    address
}

fn find<'l>(list: &'l [Value], key: &str, wanted: &str) -> &'l Value {
    list.iter()
        .find(|element| element[key] == wanted)
        .unwrap_or_else(|| panic!("{wanted}: {list:?}"))
}

#[test]
fn each_disk_is_where_its_path_says() {
    let disks = ask(&guest(), DISKS);
    let mut expected = vec![
        address("/dev/vda", "virtio", [0, 0, 5, 0], [0, 0, 0], Some("sim-1")),
        address("/dev/sda", "scsi", [0, 0, 4, 0], [0, 3, 1], None),
        address("/dev/sdb", "sata", [0, 0, 31, 2], [0, 0, 1], None),
        address("/dev/sr0", "ide", [0, 0, 1, 1], [1, 0, 1], None),
        address("/dev/nvme0n1", "nvme", [0, 1, 2, 7], [0, 0, 0], Some("nv-1")),
        address("/dev/sde", "scsi", [0, 0, 8, 0], [0, 4, 1], None),
        address("/dev/mmcblk1", "sd", [0, 0, 6, 0], [0, 0, 0], None),
        address("/dev/sdc", "usb", [0, 0, 5, 0], [0, 0, 0], Some("stick")),
        address("/dev/mmcblk0", "mmc", [0, 0, 6, 0], [0, 0, 0], None),
        address("/dev/sdd", "scsi", [0, 0, 7, 0], [0, 0, 4], Some("SER-7")),
        address("/dev/vdc", "virtio", [-1; 4], [0, 0, 0], None),
    ];
    expected[10]["ccw-address"] = json!({"cssid": 0, "ssid": 0, "subchno": 1, "devno": 0x602});
    for address in expected {
        let dev = address["dev"].as_str().expect("a device");
        assert_eq!(find(&disks, "name", dev)["address"], address, "{dev}");
    }
}

#[test]
fn what_lies_on_what_is_told() {
    let disks = ask(&guest(), DISKS);
    let names: Vec<_> = disks.iter().map(|disk| disk["name"].as_str().expect("a name")).collect();
    assert!(!names.contains(&"/dev/loop1"), "it has no file: {names:?}");
    let dependencies = |name: &str| find(&disks, "name", name)["dependencies"].clone();
    assert_eq!(dependencies("/dev/dm-0"), json!(["/dev/md0"]));
    assert_eq!(dependencies("/dev/md0"), json!(["/dev/sda", "/dev/vda1"]));
    assert_eq!(dependencies("/dev/vda1"), json!(["/dev/vda"]));
    assert_eq!(dependencies("/dev/loop0"), json!([]));
    assert_eq!(find(&disks, "name", "/dev/dm-0")["alias"], "vg-root");
    for disk in &disks {
        let name = disk["name"].as_str().expect("a name");
        let is_part = ["/dev/vda1", "/dev/nvme0n1p1"].contains(&name);
        assert_eq!(disk["partition"], is_part, "{name}");
        let has_place =
            !is_part && !["dm-", "md", "loop"].iter().any(|kind| name[5..].starts_with(kind));
        assert_eq!(disk.get("address").is_some(), has_place, "{name}");
        assert_eq!(disk.get("smart").is_some(), name == "/dev/nvme0n1", "{name}");
    }
    let smart = &find(&disks, "name", "/dev/nvme0n1")["smart"];
    assert_eq!(smart.as_object().map(|members| members.len()), Some(26));
    assert_eq!((&smart["type"], &smart["temperature"]), (&json!("nvme"), &json!(0x201)));
    assert_eq!(smart["data-units-read-lo"], 0x2726_2524_2322_2120_u64);
    assert_eq!(smart["number-of-error-log-entries-hi"], 0xBFBE_BDBC_BBBA_B9B8_u64);
}

/// Mounted filesystems, the last one first, each superblock where it was mounted first.
#[test]
fn filesystems_lie_on_their_disks() {
    let sim = guest();
    sim.with(|world| {
        world.mount("ext4", Device::new(253, 0), "/mnt/root");
        world.mount("ext4", Device::new(253, 0), "/mnt/bind");
        world.mount("vfat", Device::new(254, 1), "/mnt/a b");
        world.mount("squashfs", Device::new(7, 0), "/mnt/loop");
        world.mount("ext4", Device::new(99, 9), "/mnt/unknown");
    });
    let list = ask(&sim, FSINFO);
    let names: Vec<_> = list.iter().map(|one| one["mountpoint"].as_str().expect("one")).collect();
    assert_eq!(names, ["/mnt/unknown", "/mnt/loop", "/mnt/a b", "/mnt/root"]);
    let vda1 = address("/dev/vda1", "virtio", [0, 0, 5, 0], [0, 0, 0], Some("sim-1"));
    let expected = json!({"name": "vda1", "mountpoint": "/mnt/a b", "type": "vfat",
        "used-bytes": 600 * 4096, "total-bytes": 950 * 4096, "total-bytes-privileged": 4096 * 1000,
        "disk": [vda1]});
    assert_eq!(list[2], expected);
    let sda = address("/dev/sda", "scsi", [0, 0, 4, 0], [0, 3, 1], None);
    assert_eq!((&list[3]["name"], &list[3]["disk"]), (&json!("dm-0"), &json!([sda, vda1])));
    assert_eq!((&list[1]["name"], &list[1]["disk"]), (&json!("loop0"), &json!([])));
    // Nothing but its mount is known of it.
    assert_eq!((&list[0]["name"], &list[0]["disk"]), (&json!("disk-99-9"), &json!([])));
}

#[test]
fn a_btrfs_lies_on_all_its_devices() {
    let sim = guest();
    sim.with(|world| {
        for (name, number) in [("sda", "8:0"), ("sdb", "8:16")] {
            let path = format!("/sys/fs/btrfs/0123-4567/devices/{name}/dev");
            world.system.text(&path, &format!("{number}\n"));
        }
        world.system.text("/sys/fs/btrfs/features/raid1c34", "0\n");
        world.system.text("/sys/fs/btrfs/89ab/devices/sdc/dev", "8:32\n");
        world.system.links_to.insert("/dev/mapper/pool".into(), "../sdb".into());
        world.mount_from("btrfs", Device::new(0, 40), "/dev/mapper/pool", "/mnt/pool");
    });
    let list = ask(&sim, FSINFO);
    let devices: Vec<_> =
        list[0]["disk"].as_array().expect("disks").iter().map(|disk| &disk["dev"]).collect();
    assert_eq!(devices, ["/dev/sda", "/dev/sdb"]);
    assert_eq!((list.len(), &list[0]["type"]), (1, &json!("btrfs")));
}

/// What does not answer is left out, and the log says so: in a copy of the agent, which is given up
/// after a second, and another one does the rest.
#[test]
fn what_hangs_is_left_out_of_the_list() {
    let sim = guest();
    sim.with(|world| {
        world.mount("ext4", Device::new(254, 1), "/mnt/a");
        world.mount("ext4", Device::new(8, 0), "/mnt/dead");
        world.mount("ext4", Device::new(8, 16), "/mnt/c");
        world.mounts.at("/mnt/dead").hangs = Some(Hang::Look);
    });
    let list = ask(&sim, FSINFO);
    let sized: Vec<_> = list.iter().map(|one| one.get("used-bytes").is_some()).collect();
    assert_eq!(sized, [true, false, true]);
    assert_eq!(list[1]["disk"][0]["dev"], "/dev/sda", "where it is says sysfs");
    sim.with(|world| {
        assert_eq!(world.tasks.begun, 2);
        assert!(world.log.iter().any(|line| line.text.contains("does not answer")));
        // Now a second one, and the serial number of a disk.
        world.mounts.at("/mnt/c").hangs = Some(Hang::Look);
        let serial = "/sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/vda1/../serial";
        world.system.hanging.insert(serial.into());
    });
    let list = ask(&sim, FSINFO);
    assert_eq!(list.len(), 3, "{list:?}");
    assert!(list.iter().all(|one| one.get("used-bytes").is_none()), "{list:?}");
    assert!(list.iter().all(|one| one["disk"][0]["dev"].is_string()), "{list:?}");
    sim.with(|world| assert_eq!(world.tasks.begun, 5));
    // What should never hang does: there is an error, and the agent goes on.
    sim.with(|world| world.system.hanging.insert("/sys/block/vda/size".into()));
    let mut session = Large::start(&sim).expect("a start");
    let said = session.send(DISKS).escape_ascii().to_string();
    assert!(said.contains("failed to list the disks: Connection timed out"), "{said}");
    assert_eq!(session.send(PING), PONG);
}

/// A disk that stays dead costs its second once: those who ask later are not kept waiting, no more
/// copies are left behind, and once it answers again everything is told.
#[test]
fn a_disk_that_stays_dead_is_not_asked_for_ever() {
    let sim = guest();
    sim.with(|world| {
        world.mount("ext4", Device::new(8, 0), "/mnt/dead");
        world.mount("ext4", Device::new(8, 16), "/mnt/c");
        world.mounts.at("/mnt/dead").hangs = Some(Hang::Look);
    });
    let mut session = Large::start(&sim).expect("a start");
    let mut sized = || -> Vec<bool> {
        let reply: Value = serde_json::from_slice(&session.send(FSINFO)).expect("JSON");
        let list = reply["return"].as_array().unwrap_or_else(|| panic!("{reply}")).clone();
        list.iter().map(|one| one.get("used-bytes").is_some()).collect()
    };
    for _ in 0..20 {
        assert_eq!(sized(), [true, false]);
    }
    sim.with(|world| {
        assert_eq!((world.tasks.abandoned, world.tasks.begun), (1, 21));
        // Others die beside it, one after the other.
        for number in 0..6 {
            let point = format!("/mnt/{number}");
            world.mount("ext4", Device::new(99, number), &point);
            world.mounts.at(&point).hangs = Some(Hang::Look);
        }
    });
    for _ in 0..20 {
        sized();
    }
    assert!(sim.with(|world| world.tasks.abandoned) <= ABANDONED_MAX);
    sim.with(|world| {
        world.mounts.superblocks.iter_mut().for_each(|one| one.hangs = None);
        world.tasks.release();
    });
    assert!(sized().iter().all(|sized| *sized));
}

/// Two partitions of a disk that does not say its serial number count as one disk.
#[test]
fn partitions_hang_as_their_disk() {
    let sim = guest();
    sim.with(|world| {
        let disk = "pci0000:00/0000:00:05.0/virtio2/block/vda";
        world.system.disk(&format!("{disk}/vda2"), "254:2", 1024);
        for part in ["vda1", "vda2"] {
            world.system.hanging.insert(format!("/sys/devices/{disk}/{part}/../serial"));
        }
        world.mount("ext4", Device::new(254, 1), "/mnt/a");
        world.mount("ext4", Device::new(254, 2), "/mnt/b");
    });
    let list = ask(&sim, FSINFO);
    assert!(list.iter().all(|one| one["used-bytes"].is_u64()), "{list:?}");
    assert!(list.iter().all(|one| one["disk"][0].get("serial").is_none()), "{list:?}");
    assert_eq!(sim.with(|world| world.tasks.begun), 2);
}

/// A guest-sync while a copy hangs is answered at once, the copy is given up, and no late reply
/// follows.
#[test]
fn a_sync_ends_what_hangs() {
    let sim = guest();
    sim.with(|world| world.system.hanging.insert("/sys/block/vda/size".into()));
    let mut session = Large::start(&sim).expect("a start");
    session.put(DISKS);
    while session.step() != Step::Wait {}
    assert!(sim.with(|world| world.tasks.wanted));
    let said = session.send(b"{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 7}}\n");
    assert_eq!(said.escape_ascii().to_string(), "{\\\"return\\\": 7}\\n");
    assert!(!sim.with(|world| world.tasks.wanted), "nobody waits for it any more");
    assert_eq!(session.send(PING), PONG);
}

/// A shutdown that goes on alone is not given up for a list.
#[test]
fn a_shutdown_under_way_comes_first() {
    let sim = guest();
    sim.with(|world| {
        let late = Program { runs_ms: Some(5000), ..Program::ending("/sbin/poweroff", 1) };
        world.machine.programs.push(late);
        world.machine.reboot_error = Some(Errno::PERM);
    });
    let mut session = Large::start(&sim).expect("a start");
    session.put(b"{\"execute\": \"guest-shutdown\"}\n");
    while session.step() != Step::Wait {}
    session.disconnect();
    for request in [FSINFO, DISKS] {
        let said = session.send(request).escape_ascii().to_string();
        assert!(said.contains("guest-shutdown is under way"), "{said}");
    }
    assert_eq!(sim.with(|world| world.tasks.begun), 0);
}

/// A client that goes while the list is made, or while it leaves, leaves nothing behind.
#[test]
fn nothing_stays_when_the_client_goes() {
    for steps in 0..12 {
        let sim = guest();
        let mut session = Small::start(&sim).expect("a start");
        session.put(DISKS);
        for _ in 0..steps {
            session.step();
            session.take(500);
        }
        session.disconnect();
        while session.step() == Step::Continue {}
        let left = sim.with(|world| (world.tasks.wanted, world.open.texts));
        assert_eq!(left, (false, 0), "after {steps} steps");
        assert_eq!(session.send(PING), PONG);
    }
}

/// Each call failing, and the copy dying at each: a whole list, an error, or a line in the log.
#[test]
fn a_call_that_fails_is_answered_or_logged() {
    for request in [FSINFO, DISKS] {
        let new = || {
            let sim = guest();
            sim.with(|world| {
                world.mount("ext4", Device::new(253, 0), "/mnt/root");
                world.mount_from("btrfs", Device::new(0, 40), "/dev/sdb", "/mnt/pool");
                world.system.text("/sys/fs/btrfs/0123/devices/sdb/dev", "8:16\n");
            });
            sim
        };
        let whole = reply(&new(), request);
        let mut calls = 0;
        for number in 0.. {
            let sim = new();
            let mut session = Large::start(&sim).expect("a start");
            let fault = Fault { kind: None, number, errno: Errno::IO, lasting: false };
            sim.with(|world| {
                world.faults.clear();
                world.faults.fail(fault);
            });
            let reply: Value = serde_json::from_slice(&session.send(request)).expect("JSON");
            let (all, log, open) =
                sim.with(|world| (world.faults.calls(), world.log.clone(), world.open.texts));
            assert_eq!(open, 0);
            if number >= all {
                break;
            }
            calls += 1;
            let is_logged = log.iter().any(|line| line.text.contains("is not whole"));
            let is_error = reply["error"]["desc"].is_string();
            // Not everybody may ask for it.
            let healthless = sim.with(|world| {
                let mut trace = world.faults.trace().iter();
                trace.any(|call| call.kind == Kind::Health && call.failed.is_some())
            });
            assert!(
                reply == whole || is_logged || is_error || healthless,
                "call {number}: {reply}, log {log:?}"
            );
        }
        assert!(calls > 50, "only {calls} calls failed");
        for number in 0..calls as u64 {
            let sim = new();
            sim.with(|world| world.tasks.dies_at = Some(number));
            let reply = reply(&sim, request);
            assert!(reply == whole || reply["error"]["desc"].is_string(), "{number}: {reply}");
        }
    }
}

/// Thousands of each, in a window of 4 KiB as in a large one.
#[test]
fn thousands_come_whole_in_every_window() {
    let sim = Sim::new(1);
    sim.with(|world| {
        for number in 0..3000 {
            let path = format!("pci0000:00/0000:00:05.0/virtio2/block/vd{number}x");
            world.system.disk(&path, &format!("250:{number}"), 8);
        }
        for number in 0..400 {
            world.mount("ext4", Device::new(250, number), &format!("/mnt/{number}\u{fc}"));
        }
    });
    for (request, count) in [(DISKS, 3002), (FSINFO, 400)] {
        let large = Large::start(&sim).expect("a start").send(request);
        let small = Small::start(&sim).expect("a start").send(request);
        assert!(large == small);
        let list: Value = serde_json::from_slice(&large).expect("JSON");
        assert_eq!(list["return"].as_array().map(Vec::len), Some(count));
    }
}

/// Names of any length, each of whose characters is escaped to six bytes, come whole.
#[test]
fn long_names_come_whole() {
    let sim = guest();
    let long = "\u{fc}".repeat(120);
    let place = format!("/mnt/{}", "\u{fc}".repeat(900));
    sim.with(|world| {
        let system = &mut world.system;
        system.text("/sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/serial", &long);
        system.text("/sys/devices/virtual/block/dm-0/dm/name", &long);
        system.health = [255; 512];
        world.mount("ext4", Device::new(254, 1), &place);
        world.mount_from("btrfs", Device::new(0, 40), &format!("/dev/{long}"), "/mnt/b");
    });
    let disks = ask(&sim, DISKS);
    assert_eq!(find(&disks, "name", "/dev/vda")["address"]["serial"], long.as_str());
    assert_eq!(find(&disks, "name", "/dev/dm-0")["alias"], long.as_str());
    let smart = &find(&disks, "name", "/dev/nvme0n1")["smart"];
    assert_eq!(smart["number-of-error-log-entries-hi"], u64::MAX);
    let filesystems = ask(&sim, FSINFO);
    assert_eq!(find(&filesystems, "mountpoint", &place)["disk"][0]["serial"], long.as_str());
    assert_eq!(find(&filesystems, "mountpoint", "/mnt/b")["name"], long.as_str());
}

/// A list that would be longer than clients take ends before, and the log says so.
#[test]
fn a_list_too_long_is_cut_and_that_is_said() {
    let sim = Sim::new(1);
    sim.with(|world| {
        for number in 0..60_000 {
            let path = format!("pci0000:00/0000:00:05.0/virtio2/block/vd{number}x");
            world.system.disk(&path, &format!("250:{number}"), 8);
        }
    });
    let reply = Large::start(&sim).expect("a start").send(DISKS);
    assert!((9 << 20..10 << 20).contains(&reply.len()), "{} bytes", reply.len());
    serde_json::from_slice::<Value>(&reply).expect("JSON");
    assert!(sim.with(|world| {
        world.log.iter().any(|line| line.text.contains("is not whole: File too large"))
    }));
}
