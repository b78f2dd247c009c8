//! Disks of every kind that QEMU has, and what lies on them: what our agent and Debian's qemu-ga
//! say of them in the same machine, member by member.

use qga_tests::machine::machine;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use xtask::vm::{AGENT_PORT, Builder, RunAs, Vm};
use xtask::{command, install};

const REFERENCE_PORT: &str = "org.qemu.guest_agent.1";
const PATIENCE: Duration = Duration::from_secs(60);

/// Controllers, each at a place of its own.
const CONTROLLERS: &[&str] = &[
    "pcie-root-port,id=root-port,addr=0x6,chassis=1,slot=1",
    "virtio-scsi-pci,id=virtio,addr=0x10",
    "lsi53c895a,id=lsi,addr=0x11",
    "am53c974,id=am53c974,addr=0x12",
    "pvscsi,id=pvscsi,addr=0x13",
    "piix3-ide,id=ide-of-old,addr=0x14",
    "qemu-xhci,id=usb,addr=0x15",
    "sdhci-pci,id=sd,addr=0x19",
];

const MODULES: &[&str] = &[
    "crc32c_generic",
    "ext4",
    "btrfs",
    "dm_mod",
    "raid1",
    "sd_mod",
    "sr_mod",
    "nvme",
    "ahci",
    "ata_piix",
    "virtio_scsi",
    "sym53c8xx",
    "am53c974",
    "vmw_pvscsi",
    "xhci_pci",
    "usb_storage",
    "sdhci_pci",
    "mmc_block",
    "loop",
];

/// What lies on a disk before the machine boots.
#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Nothing,
    Ext4,
    /// Two partitions, ext4 on the first.
    Partitions,
    /// A part of the only btrfs there is.
    Btrfs,
}

/// What the reference says of where a disk is.
enum Theirs {
    Same,
    /// Another place than ours.
    Place([u64; 3]),
    /// It knows nothing of the driver: -1 for the PCI device, type `unknown`, place 0, 0, 0.
    Unknown,
}

struct Disk {
    serial: &'static str,
    /// QEMU's device, but for its drive.
    device: &'static str,
    holds: Holds,
    /// Bus and slot of the controller on PCI, and its function.
    pci: [u64; 3],
    bus_type: &'static str,
    /// Bus, target and unit: those with which libvirt gives QEMU such a disk
    /// (`qemuBuildDeviceAddressDriveProps`).
    place: [u64; 3],
    theirs: Theirs,
}

/// The disks that have a file; [`EMPTY`] is one more.
const DISKS: &[Disk] = &[
    Disk {
        serial: "virtio",
        device: "virtio-blk-pci,addr=0x16,serial=virtio",
        holds: Holds::Partitions,
        pci: [0, 0x16, 0],
        bus_type: "virtio",
        place: [0; 3],
        theirs: Theirs::Same,
    },
    Disk {
        serial: "btrfs-1",
        device: "virtio-blk-pci,addr=0x17,serial=btrfs-1",
        holds: Holds::Btrfs,
        pci: [0, 0x17, 0],
        bus_type: "virtio",
        place: [0; 3],
        theirs: Theirs::Same,
    },
    // Behind a bridge.
    Disk {
        serial: "btrfs-2",
        device: "virtio-blk-pci,bus=root-port,serial=btrfs-2",
        holds: Holds::Btrfs,
        pci: [1, 0, 0],
        bus_type: "virtio",
        place: [0; 3],
        theirs: Theirs::Same,
    },
    Disk {
        serial: "nvme",
        device: "nvme,addr=0x18,serial=nvme",
        holds: Holds::Ext4,
        pci: [0, 0x18, 0],
        bus_type: "nvme",
        place: [0; 3],
        theirs: Theirs::Same,
    },
    // The reference says the logical unit only: two disks that differ in the target alone are the
    // same to it.
    Disk {
        serial: "virtio-scsi",
        device: "scsi-hd,bus=virtio.0,scsi-id=3,lun=1,serial=virtio-scsi",
        holds: Holds::Ext4,
        pci: [0, 0x10, 0],
        bus_type: "scsi",
        place: [0, 3, 1],
        theirs: Theirs::Place([0, 0, 1]),
    },
    Disk {
        serial: "lsi",
        device: "scsi-hd,bus=lsi.0,scsi-id=2,serial=lsi",
        holds: Holds::Nothing,
        pci: [0, 0x11, 0],
        bus_type: "scsi",
        place: [0, 0, 2],
        theirs: Theirs::Same,
    },
    // Libvirt's address of it has the same members as that of `lsi`.
    Disk {
        serial: "am53c974",
        device: "scsi-hd,bus=am53c974.0,scsi-id=4,serial=am53c974",
        holds: Holds::Ext4,
        pci: [0, 0x12, 0],
        bus_type: "scsi",
        place: [0, 0, 4],
        theirs: Theirs::Unknown,
    },
    // Libvirt's address of it has the same members as that of `virtio-scsi`.
    Disk {
        serial: "pvscsi",
        device: "scsi-hd,bus=pvscsi.0,scsi-id=5,serial=pvscsi",
        holds: Holds::Partitions,
        pci: [0, 0x13, 0],
        bus_type: "scsi",
        place: [0, 5, 0],
        theirs: Theirs::Unknown,
    },
    Disk {
        serial: "ide",
        device: "ide-hd,bus=ide-of-old.1,unit=1,serial=ide",
        holds: Holds::Ext4,
        pci: [0, 0x14, 0],
        bus_type: "ide",
        place: [1, 0, 1],
        theirs: Theirs::Same,
    },
    Disk {
        serial: "sata",
        device: "ide-hd,bus=ide.2,serial=sata",
        holds: Holds::Nothing,
        pci: [0, 0x1f, 2],
        bus_type: "sata",
        place: [0, 0, 2],
        theirs: Theirs::Same,
    },
    // The kernel shows no serial numbers of CD drives below /sys.
    Disk {
        serial: "",
        device: "ide-cd,bus=ide.4,serial=cd",
        holds: Holds::Ext4,
        pci: [0, 0x1f, 2],
        bus_type: "sata",
        place: [0, 0, 4],
        theirs: Theirs::Same,
    },
    Disk {
        serial: "usb",
        device: "usb-storage,bus=usb.0,serial=usb",
        holds: Holds::Ext4,
        pci: [0, 0x15, 0],
        bus_type: "usb",
        place: [0; 3],
        theirs: Theirs::Unknown,
    },
    // QEMU gives this number to each.
    Disk {
        serial: "0xdeadbeef",
        device: "sd-card",
        holds: Holds::Partitions,
        pci: [0, 0x19, 0],
        bus_type: "sd",
        place: [0; 3],
        theirs: Theirs::Unknown,
    },
];

/// A drive with no disk in it.
const EMPTY: Disk = Disk {
    serial: "",
    device: "scsi-cd,bus=virtio.0,scsi-id=6,serial=empty",
    holds: Holds::Nothing,
    pci: [0, 0x10, 0],
    bus_type: "scsi",
    place: [0, 6, 0],
    theirs: Theirs::Place([0; 3]),
};

/// The machine's own disk, on /data.
const OWN: Disk = Disk {
    serial: "",
    device: "",
    holds: Holds::Ext4,
    pci: [0, 2, 0],
    bus_type: "virtio",
    place: [0; 3],
    theirs: Theirs::Same,
};

/// What the device mapper's devices are called.
const ALIASES: [(&str, &str); 2] = [("/dev/dm-0", "volume"), ("/dev/dm-1", "deep")];

fn all() -> impl Iterator<Item = &'static Disk> {
    DISKS.iter().chain([&EMPTY, &OWN])
}

fn run(program: &str, words: &[&str]) {
    let program = install::find_command(program).unwrap_or_else(|| program.into());
    command::run(Command::new(program).args(words)).unwrap();
}

/// An entry of a partition table (MBR): Linux, and its sectors.
fn partition(first: u32, sectors: u32) -> Vec<u8> {
    [&[0, 0, 0, 0, 0x83, 0, 0, 0][..], &first.to_le_bytes(), &sectors.to_le_bytes()].concat()
}

/// Makes a disk's file.
fn make(disk: &Disk, file: &Path) {
    let name = file.to_str().unwrap();
    let made = File::create(file).unwrap();
    let mebibytes = if disk.holds == Holds::Btrfs { 128 } else { 16 };
    made.set_len(mebibytes << 20).unwrap();
    match disk.holds {
        Holds::Nothing | Holds::Btrfs => {}
        // Blocks as long as those of the disks or longer: a CD's are of 2,048 bytes.
        Holds::Ext4 => run("mkfs.ext4", &["-q", "-F", "-b", "4096", "-m", "5", name]),
        Holds::Partitions => {
            run("mkfs.ext4", &["-q", "-F", "-E", "offset=1048576", name, "8M"]);
            let table = [partition(2048, 8 << 11), partition(10 << 11, 4 << 11)].concat();
            made.write_all_at(&table, 446).unwrap();
            made.write_all_at(&[0x55, 0xAA], 510).unwrap();
        }
    }
}

/// The machine with all disks, whose files go into `folder`.
fn with_disks(builder: Builder, folder: &Path) -> Builder {
    let mut words = Vec::new();
    for device in CONTROLLERS.iter().chain([&EMPTY.device]) {
        words.extend(["-device".to_owned(), (*device).to_owned()]);
    }
    let mut of_btrfs = Vec::new();
    for (number, Disk { device, holds, .. }) in DISKS.iter().enumerate() {
        let file = folder.join(number.to_string());
        make(&DISKS[number], &file);
        let file = file.display().to_string();
        let more = if device.contains("-cd,") { ",readonly=on" } else { "" };
        let drive = format!("if=none,id=drive{number},format=raw,file={file}{more}");
        words.extend(["-drive".to_owned(), drive]);
        words.extend(["-device".to_owned(), format!("{device},drive=drive{number}")]);
        if *holds == Holds::Btrfs {
            of_btrfs.push(file);
        }
    }
    let of_btrfs: Vec<&str> = of_btrfs.iter().map(String::as_str).collect();
    run("mkfs.btrfs", &[&["-q", "-f"][..], &of_btrfs].concat());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let builder = builder.every_driver().memory_mib(384).qemu_arguments(&words);
    MODULES.iter().fold(builder, |builder, name| builder.module(name))
}

fn ask(vm: &mut Vm, port: &str, command: &str) -> Vec<Value> {
    let mut agent = vm.synced(port).unwrap();
    agent.set_timeout(PATIENCE);
    let reply = agent.request(&format!(r#"{{"execute":"{command}"}}"#)).unwrap();
    let mut reply: Value = serde_json::from_str(&reply).unwrap();
    match reply["return"].take() {
        Value::Array(elements) => elements,
        _ => panic!("{port}: {command}: {reply}"),
    }
}

fn place(address: &Value) -> [u64; 3] {
    ["bus", "target", "unit"].map(|name| address[name].as_u64().unwrap())
}

/// Which of the disks an address of ours is about.
fn of(address: &Value) -> &'static Disk {
    let pci = &address["pci-controller"];
    assert_eq!(pci["domain"], 0, "{address}");
    let at = ["bus", "slot", "function"].map(|name| pci[name].as_u64().unwrap());
    let is_it = |disk: &&Disk| {
        disk.pci == at && address["bus-type"] == disk.bus_type && place(address) == disk.place
    };
    all().find(is_it).unwrap_or_else(|| panic!("no disk is there: {address}"))
}

/// What the reference says where we say this.
fn expected_address(ours: &Value) -> Value {
    let disk = of(ours);
    let mut theirs = ours.clone();
    let members = theirs.as_object_mut().unwrap();
    // Ours is from sysfs. The reference asks udev's database, which the machine lacks.
    let serial = members.remove("serial");
    let told = serial.as_ref().and_then(Value::as_str).unwrap_or("");
    assert_eq!(told, disk.serial, "{ours}");
    let place = match disk.theirs {
        Theirs::Same => return theirs,
        Theirs::Place(place) => place,
        Theirs::Unknown => {
            theirs["bus-type"] = json!("unknown");
            theirs["pci-controller"] = json!({"domain": -1, "bus": -1, "slot": -1, "function": -1});
            [0; 3]
        }
    };
    for (name, number) in ["bus", "target", "unit"].iter().zip(place) {
        theirs[*name] = json!(number);
    }
    theirs
}

/// Elements in the order of a member: neither agent promises any.
fn by(member: &str, mut elements: Vec<Value>) -> Vec<Value> {
    let key = |element: &Value| element[member].as_str().unwrap().to_owned();
    elements.sort_by_key(key);
    elements
}

fn names<'e>(member: &str, elements: &'e [Value]) -> Vec<&'e str> {
    elements.iter().map(|element| element[member].as_str().unwrap()).collect()
}

/// Waits until the kernel has found every disk; what it calls each: USB takes its time.
fn devices(vm: &mut Vm) -> impl Fn(&str) -> String + use<> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = ask(vm, AGENT_PORT, "guest-get-disks");
        let addresses: Vec<&Value> = found.iter().filter_map(|disk| disk.get("address")).collect();
        if addresses.len() == all().count() {
            let name = |address: &&Value| {
                (of(address).device, address["dev"].as_str().unwrap().to_owned())
            };
            let found: Vec<_> = addresses.iter().map(name).collect();
            return move |device: &str| {
                let mut of_it = found.iter().filter(|(of, _)| of.starts_with(device));
                let (_, name) = of_it.next().unwrap_or_else(|| panic!("no {device}"));
                assert!(of_it.next().is_none(), "two {device}");
                name.clone()
            };
        }
        assert!(Instant::now() < deadline, "{addresses:?} {}", vm.console());
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Mounts what is on the disks, and what is made of them. A disk is named by how its device begins.
fn mount(vm: &mut Vm, device: &impl Fn(&str) -> String) {
    let mounts = [
        ("virtio-blk-pci,addr=0x16", "1", "-t ext4", "/part"),
        ("nvme", "", "-t ext4", "/nvme"),
        ("scsi-hd,bus=am53c974", "", "-t ext4", "/am53c974"),
        ("sd-card", "p1", "-t ext4", "/sd"),
        ("ide-hd,bus=ide-of-old", "", "-t ext4", "'/with a blank'"),
        ("ide-cd", "", "-t ext4 -o ro", "/cd"),
        ("usb-storage", "", "-t ext4", "/usb"),
    ];
    let mounts = mounts.map(|(on, part, words, point)| {
        format!("mkdir {point}; mount {words} {}{part} {point}", device(on))
    });
    let [raid_1, raid_2] = ["ide-hd,bus=ide.2", "scsi-hd,bus=lsi"].map(device);
    let [btrfs_1, btrfs_2] =
        ["virtio-blk-pci,addr=0x17", "virtio-blk-pci,bus=root-port"].map(device);
    let script = format!(
        "{}
        linear() {{
            size=$(cat /sys/class/block/${{2#/dev/}}/size)
            /sbin/dmsetup create --noudevsync $1 --table \"0 $size linear $2 0\"
        }}
        mkdir /mapped /raid /btrfs /bound
        linear volume {}; mount -t ext4 /dev/dm-0 /mapped
        /sbin/mdadm --create /dev/md0 --run --metadata 1.0 --level 1 --raid-devices 2 {raid_1} \
            {raid_2}
        linear deep /dev/md0; mke2fs /dev/dm-1; mount -t ext4 /dev/dm-1 /raid
        /sbin/mdadm --create /dev/md1 --run --metadata 1.0 --level 1 --raid-devices 1 --force {}
        blockdev --rereadpt /dev/md1; mkdir /raid-part /loop
        mount -t ext4 /dev/md1p1 /raid-part
        dd if=/dev/zero of=/nvme/file bs=1M count=4; losetup /dev/loop0 /nvme/file
        mke2fs /dev/loop0; mount -t ext4 /dev/loop0 /loop
        mount -t btrfs -o ro,device={btrfs_1} {btrfs_2} /btrfs
        mount --bind /nvme /bound
        sync",
        mounts.join("\n"),
        device("scsi-hd,bus=virtio"),
        device("scsi-hd,bus=pvscsi"),
    );
    let said = vm.shell(&format!("set -e\n{script}"));
    said.unwrap_or_else(|error| panic!("{error}\n{}", vm.console()));
}

fn disks_are_the_same(vm: &mut Vm) {
    let theirs = by("name", ask(vm, REFERENCE_PORT, "guest-get-disks"));
    let ours = by("name", ask(vm, AGENT_PORT, "guest-get-disks"));
    assert_eq!(names("name", &ours), names("name", &theirs));
    let mut seen = [0; 4];
    for (ours, mut theirs) in ours.into_iter().zip(theirs) {
        let mut expected = ours.clone();
        if let Some(address) = ours.get("address") {
            expected["address"] = expected_address(address);
            seen[0] += 1;
        }
        // Ours is from sysfs. The reference asks udev's database for it (DM_NAME), too.
        let alias = expected.as_object_mut().unwrap().remove("alias");
        let named = ALIASES.iter().find(|(name, _)| ours["name"] == *name);
        assert_eq!(alias, named.map(|(_, alias)| json!(alias)), "{ours}");
        seen[3] += usize::from(alias.is_some());
        let [smart, was] = [&mut expected, &mut theirs]
            .map(|disk| disk.as_object_mut().unwrap().remove("smart").unwrap_or_default());
        for disk in [&mut expected, &mut theirs] {
            let others = disk["dependencies"].as_array_mut().unwrap();
            others.sort_by_key(Value::to_string);
        }
        assert_eq!(expected, theirs);
        assert_eq!(!smart.is_null(), ours["address"]["bus-type"] == "nvme", "{ours}");
        no_less(&smart, &was);
        seen[1] += usize::from(!smart.is_null());
        seen[2] += usize::from(ours["partition"] == true);
    }
    assert_eq!(seen, [all().count(), 1, 6, 2], "addresses, smart, partitions, aliases");
}

/// The disk has counted on since it was asked for theirs.
fn no_less(ours: &Value, theirs: &Value) {
    let none = Map::new();
    let [members, was] = [ours, theirs].map(|smart| smart.as_object().unwrap_or(&none));
    assert_eq!(members.len(), was.len(), "{ours} {theirs}");
    for (name, value) in members {
        match (value.as_u64(), was[name].as_u64()) {
            (Some(now), Some(was)) => assert!(now >= was, "{name}: {now} after {was}"),
            _ => assert_eq!(value, &was[name], "{name}"),
        }
    }
}

fn filesystems_are_the_same(vm: &mut Vm) {
    let theirs = by("mountpoint", ask(vm, REFERENCE_PORT, "guest-get-fsinfo"));
    let ours = by("mountpoint", ask(vm, AGENT_PORT, "guest-get-fsinfo"));
    // Ours has each filesystem once, as it would freeze it; the reference has one for each mount.
    let (bound, theirs): (Vec<Value>, Vec<Value>) =
        theirs.into_iter().partition(|theirs| theirs["mountpoint"] == "/bound");
    assert_eq!(bound.len(), 1, "{bound:?}");
    let points = [
        "/am53c974",
        "/btrfs",
        "/cd",
        "/data",
        "/loop",
        "/mapped",
        "/nvme",
        "/part",
        "/raid",
        "/raid-part",
        "/sd",
        "/usb",
        "/with a blank",
    ];
    assert_eq!(names("mountpoint", &theirs), points);
    assert_eq!(names("mountpoint", &ours), points);
    for (ours, mut theirs) in ours.into_iter().zip(theirs) {
        let mut expected = ours.clone();
        // A member of later versions.
        let all = expected.as_object_mut().unwrap().remove("total-bytes-privileged");
        assert!(all.unwrap().as_u64() >= ours["total-bytes"].as_u64(), "{ours}");
        let [on, their_on] = [&mut expected, &mut theirs]
            .map(|filesystem| by("dev", filesystem["disk"].as_array().unwrap().clone()));
        let mut on: Vec<Value> = on.iter().map(expected_address).collect();
        let count = match ours["mountpoint"].as_str().unwrap() {
            "/btrfs" => {
                // The reference knows that one only that is mounted.
                assert_eq!(on.len(), 2, "{ours}");
                on.retain(|disk| their_on.contains(disk));
                1
            }
            // A partition of the RAID: the reference does not look at what that lies on.
            "/raid-part" => {
                assert_eq!(ours["disk"][0]["serial"], "pvscsi", "{ours}");
                on.clear();
                0
            }
            "/loop" => 0,
            "/raid" => 2,
            _ => 1,
        };
        assert_eq!(on.len(), count, "{ours} {theirs}");
        (expected["disk"], theirs["disk"]) = (json!(on), json!(their_on));
        assert_eq!(expected, theirs);
    }
}

#[test]
fn disks_and_filesystems_are_those_that_the_reference_sees() {
    let name = "vm_disks::disks_and_filesystems_are_those_that_the_reference_sees";
    let Some(builder) = machine(name).map(Builder::with_shell) else { return };
    install::commands(&[("mkfs.btrfs", "btrfs-progs")]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let builder = with_disks(builder, folder.path()).package("dmsetup").package("mdadm");
    let mut vm = builder.reference(REFERENCE_PORT).run_as(RunAs::Child).boot().unwrap();
    let device = devices(&mut vm);
    mount(&mut vm, &device);
    disks_are_the_same(&mut vm);
    filesystems_are_the_same(&mut vm);
}
