//! What the guest says of itself, as data: names, texts by their paths, interfaces with their
//! addresses.

use qga_core::Errno;
use qga_core::platform::{Address, HEALTH_BYTES, LINK_NAME_BYTES_MAX, Link, Statistics, Usage};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The system.
#[derive(Clone, Debug)]
pub struct System {
    /// The names of uname(2): of the host, the kernel's release, its version, the machine.
    pub names: [Vec<u8>; 4],
    /// Texts by their absolute paths.
    pub texts: BTreeMap<String, Vec<u8>>,
    /// Links by their paths, and where they lead.
    pub links_to: BTreeMap<String, String>,
    /// Texts that cannot be read: who tries hangs.
    pub hanging: BTreeSet<String>,
    /// Texts that cannot be set, and why.
    pub refuses: BTreeMap<String, Errno>,
    /// The texts that were set, in order.
    pub sets: Vec<String>,
    /// Filesystems, by their numbers, that cannot be trimmed.
    pub untrimmable: BTreeSet<usize>,
    /// How full every filesystem is.
    pub usage: Usage,
    /// What every NVMe disk says of its health.
    pub health: [u8; HEALTH_BYTES],
    /// The environment.
    pub environment: BTreeMap<String, &'static [u8]>,
    /// Interfaces, in the kernel's order, and the addresses of each.
    pub links: Vec<(Link, Vec<Address>)>,
    /// Patterns of the interfaces that are not shown.
    pub excluded: &'static [u8],
    /// How many lists of interfaces from now on are cut by somebody who changes them meanwhile.
    pub changes: usize,
}

impl System {
    /// A small guest with two CPUs, two memory blocks and two interfaces.
    pub(crate) fn new() -> Self {
        let names = ["sim", "6.1.0-sim", "#1 SMP", "x86_64"].map(|name| name.into());
        let mut system = System {
            names,
            texts: BTreeMap::new(),
            links_to: BTreeMap::new(),
            hanging: BTreeSet::new(),
            refuses: BTreeMap::new(),
            sets: Vec::new(),
            untrimmable: BTreeSet::new(),
            usage: Usage {
                block_bytes: 4096,
                blocks: 1000,
                free_blocks: 400,
                available_blocks: 350,
            },
            health: std::array::from_fn(|number| number as u8),
            environment: BTreeMap::new(),
            links: Vec::new(),
            excluded: b"",
            changes: 0,
        };
        for (path, text) in TEXTS {
            system.text(path, text);
        }
        system.disk("pci0000:00/0000:00:05.0/virtio2/block/vda", "254:0", 2048);
        system.disk("pci0000:00/0000:00:05.0/virtio2/block/vda/vda1", "254:1", 1024);
        system.text("/sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/serial", "sim-1\n");
        system.link("lo", Some([0; 6]), &[("127.0.0.1", 8), ("::1", 128)]);
        let hardware = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
        system.link("eth0", Some(hardware), &[("10.0.2.15", 24), ("fe80::5054:ff:fe12:3456", 64)]);
        system
    }

    /// Puts a text there.
    pub fn text(&mut self, path: &str, text: &str) {
        self.texts.insert(path.into(), text.into());
    }

    /// Adds an interface. Panics at an address that is none.
    pub fn link(&mut self, name: &str, hardware: Option<[u8; 6]>, addresses: &[(&str, u8)]) {
        let mut bytes = [0; LINK_NAME_BYTES_MAX];
        bytes.iter_mut().zip(name.bytes()).for_each(|(place, byte)| *place = byte);
        let index = self.links.len() as u32 + 1;
        let statistics = Statistics([index, 2, 3, 4, 5, 6, 7, 8].map(u64::from));
        let link = Link { index, name: bytes, hardware, statistics: Some(statistics) };
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        let addresses = addresses.iter();
        let addresses = addresses.map(|&(ip, prefix_bits)| Address { ip: parse(ip), prefix_bits });
        self.links.push((link, addresses.collect()));
    }

    /// Puts a block device there: where sysfs has it below /sys/devices, its number, its sectors.
    /// What is no partition is found in /sys/block, and all by their numbers.
    pub fn disk(&mut self, path: &str, number: &str, sectors: u64) {
        let full = format!("/sys/devices/{path}");
        self.text(&format!("{full}/dev"), &format!("{number}\n"));
        self.text(&format!("{full}/size"), &format!("{sectors}\n"));
        let name = path.rsplit('/').next().unwrap_or(path);
        let parent = path.rsplit('/').nth(1).unwrap_or("");
        self.links_to.insert(format!("/sys/dev/block/{number}"), format!("../../devices/{path}"));
        if name.starts_with(parent) && self.links_to.contains_key(&format!("/sys/block/{parent}")) {
            self.text(&format!("{full}/partition"), "1\n");
        } else {
            self.links_to.insert(format!("/sys/block/{name}"), format!("../devices/{path}"));
        }
    }

    /// Where a link leads.
    pub(crate) fn link_at(&self, path: &str) -> Option<&str> {
        let (folder, name) = path.rsplit_once('/')?;
        self.links_to.get(&format!("{}/{name}", self.resolve(folder))).map(String::as_str)
    }

    /// A path without links and `..` in it.
    pub(crate) fn resolve(&self, path: &str) -> String {
        let mut whole = String::new();
        for word in path.split('/').filter(|word| !word.is_empty()) {
            if word == ".." {
                whole.truncate(whole.rfind('/').unwrap_or(0));
                continue;
            }
            let before = whole.clone();
            whole = format!("{whole}/{word}");
            if let Some(to) = self.links_to.get(&whole) {
                whole = self.resolve(&format!("{before}/{to}"));
            }
        }
        whole
    }

    /// What lies in a directory, if it is one.
    pub(crate) fn entries(&self, path: &[u8]) -> Option<BTreeSet<Vec<u8>>> {
        let path = self.resolve(std::str::from_utf8(path).ok()?);
        let inside = |text: &String| {
            let rest = text.strip_prefix(&path)?.strip_prefix('/')?;
            rest.split('/').next().map(|name| name.as_bytes().to_vec())
        };
        let first = format!("{path}/");
        let texts = self.texts.range(first.clone()..).map(|(path, _)| path);
        let links = self.links_to.range(first.clone()..).map(|(path, _)| path);
        let lies_in = |path: &&String| path.starts_with(&first);
        let paths = texts.take_while(lies_in).chain(links.take_while(lies_in));
        let names: BTreeSet<_> = paths.filter_map(inside).collect();
        (!names.is_empty()).then_some(names)
    }
}

/// The texts of a small guest.
const TEXTS: [(&str, &str); 18] = [
    (
        "/etc/os-release",
        "NAME=\"Simulated Linux\"\nID=sim\nVERSION_ID='1'\nPRETTY_NAME=\"Simulated Linux 1\"\n",
    ),
    ("/proc/loadavg", "0.12 1.50 2.00 1/123 4567\n"),
    ("/proc/stat", "cpu  3 3 3 3 3 3 3 3 3 3\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 2 1 0 4\nintr 1 2\n"),
    ("/proc/diskstats", " 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"),
    (
        "/proc/net/route",
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
         eth0\t00000000\t0202000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
    ),
    (
        "/proc/net/ipv6_route",
        "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 \
         00000000000000000000000000000000 00000100 00000001 00000000 ffffffff     eth0\n",
    ),
    ("/sys/devices/system/cpu/present", "0-1\n"),
    ("/sys/devices/system/cpu/cpu0/topology/core_id", "0\n"),
    ("/sys/devices/system/cpu/cpu1/online", "1\n"),
    ("/sys/devices/system/memory/block_size_bytes", "8000000\n"),
    ("/sys/devices/system/memory/memory0/state", "online\n"),
    ("/sys/devices/system/memory/memory0/removable", "0\n"),
    ("/sys/devices/system/memory/memory1/state", "offline\n"),
    ("/sys/devices/system/memory/memory1/removable", "1\n"),
    ("/sys/power/state", "freeze mem disk\n"),
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nsim:x:1000:100:,,,:/home/sim:/bin/sh\n\
         nobody:x:65534:65534::/nonexistent:\n",
    ),
    ("/etc/group", "root:x:0:\nusers:x:100:\naudio:x:29:other,sim\nsim:x:1000:sim\n"),
    ("/etc/shadow", "root:*:19000:0:99999:7:::\nsim:!:19000:0:99999:7:::\n"),
];
