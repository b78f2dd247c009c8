//! Where a disk is: the path of its folder below /sys/devices in, what its words say of the way to
//! it out. Each word is a device, the next one lies behind it:
//! `/sys/devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1`.

use super::fields::cut;
use crate::bytes::{decimal, number};

/// What the words of a path say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Way {
    /// Domain, bus, slot and function of the last PCI device.
    pub pci: Option<[u32; 4]>,
    /// How many bytes of the path lead to its folder.
    pub pci_bytes: usize,
    /// The number of the ATA port.
    pub ata: Option<u64>,
    /// SCSI's channel, target and logical unit.
    pub scsi: Option<[u32; 3]>,
    /// Channel subsystem, set, subchannel and device number of s390's channels.
    pub ccw: Option<[u32; 4]>,
    /// What the disk is on, where a word names that: `virtio`, `usb`, `nvme`, `mmc`.
    pub named: Option<&'static str>,
}

/// Numbers of a base between these bytes, each of which ends one, and the last the text.
#[inline(never)]
fn between(mut text: &[u8], ends: &str, base: u32) -> Option<[u32; 4]> {
    let mut numbers = [0; 4];
    for (place, &end) in numbers.iter_mut().zip(ends.as_bytes()) {
        *place = number(cut(&mut text, end), base)? as u32;
    }
    Some(numbers)
}

/// What a disk may be on, as words of its path have it: `virtio3`, `usb2`, `nvme`, `mmc0`.
const NAMED: [&str; 4] = ["virtio", "usb", "nvme", "mmc"];

/// Whether a word is this name, and perhaps a number after it.
fn is_numbered(word: &[u8], name: &str) -> bool {
    let number = word.strip_prefix(name.as_bytes());
    number.is_some_and(|number| number.iter().all(u8::is_ascii_digit))
}

impl Way {
    /// Reads a path.
    #[inline(never)]
    pub fn parse(path: &[u8]) -> Way {
        let mut way = Way::default();
        let mut rest = path;
        while !rest.is_empty() {
            let word = cut(&mut rest, b'/');
            if let Some(pci) = between(word, "::.\0", 16) {
                way.pci = Some(pci);
                // Without the slash that stands after it, if one does.
                way.pci_bytes = path.len() - rest.len() - usize::from(!rest.is_empty());
            } else if let Some([_, scsi @ ..]) = between(word, ":::\0", 10) {
                way.scsi = Some(scsi);
            } else if let Some([cssid, ssid, number, _]) = between(word, "..\0", 16) {
                // First the subchannel, then the device there.
                let subchannel = way.ccw.map_or(number, |[_, _, subchannel, _]| subchannel);
                way.ccw = Some([cssid, ssid, subchannel, number]);
            } else if let Some(ata) = word.strip_prefix(b"ata").and_then(decimal) {
                way.ata = Some(ata);
            } else if let Some(name) = NAMED.iter().find(|name| is_numbered(word, name)) {
                way.named = Some(name);
            }
        }
        way
    }
}

/// The last word of a path.
pub fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}
