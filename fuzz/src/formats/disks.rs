//! Paths of disks below /sys, cut up by the standard library, and what an NVMe disk says of itself.

use qga_core::formats::health;
use qga_core::formats::sysfs::{Way, last};
use qga_core::platform::HEALTH_BYTES;
use qga_core::writer::Writer;

/// Numbers between single characters, from the first to the last of a word.
fn numbers(word: &[u8], between: &str, base: u32) -> Option<Vec<u32>> {
    let mut rest = std::str::from_utf8(word).ok()?;
    let mut parts = Vec::new();
    for character in between.chars() {
        let (part, after) = rest.split_once(character)?;
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    let number = |part: &&str| {
        let digits = part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        // What is larger than 64 bits is none; of the others the lowest 32 count.
        digits.then(|| u64::from_str_radix(part, base).ok())?.map(|number| number as u32)
    };
    parts.iter().map(number).collect()
}

fn digits(word: &[u8], name: &str) -> Option<u64> {
    let rest = word.strip_prefix(name.as_bytes())?;
    let text = std::str::from_utf8(rest).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// No path has a NUL in it.
pub fn path(path: &[u8]) {
    let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
    let found = Way::parse(path);
    let mut expected = Way::default();
    let mut at = 0;
    // A slash at the end has nothing after it.
    for word in path.strip_suffix(b"/").unwrap_or(path).split(|&byte| byte == b'/') {
        at += word.len();
        let has_more = at + 1 < path.len();
        if let Some(pci) = numbers(word, "::.", 16) {
            expected.pci = pci.try_into().ok();
            expected.pci_bytes = if has_more || at == path.len() { at } else { at + 1 };
        } else if let Some(scsi) = numbers(word, ":::", 10) {
            expected.scsi = scsi[1..].try_into().ok();
        } else if let Some(ccw) = numbers(word, "..", 16) {
            let subchannel = expected.ccw.map_or(ccw[2], |before| before[2]);
            expected.ccw = Some([ccw[0], ccw[1], subchannel, ccw[2]]);
        } else if let Some(number) = digits(word, "ata") {
            expected.ata = Some(number);
        } else {
            let letters =
                word.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
            let kinds = ["virtio", "usb", "nvme", "mmc"];
            let kind = kinds.into_iter().find(|kind| kind.as_bytes() == &word[..letters]);
            expected.named = kind.or(expected.named);
        }
        at += 1;
    }
    assert_eq!(found, expected);
    let name = path.iter().rposition(|&byte| byte == b'/').map_or(path, |at| &path[at + 1..]);
    assert_eq!(last(path), name);
}

/// A page, filled up with zeros.
pub fn page(bytes: &[u8]) {
    let mut page = [0; HEALTH_BYTES];
    page.iter_mut().zip(bytes).for_each(|(place, &byte)| *place = byte);
    let mut buffer = [0; 2048];
    let mut out = Writer::new(&mut buffer);
    out.ascii("{\"type\": \"nvme\"");
    health::write(&page, &mut out);
    out.ascii("}");
    assert!(!out.is_full() && out.len() < 1024 + 512);
    let value: serde_json::Value = serde_json::from_slice(out.written()).expect("JSON");
    assert_eq!(value.as_object().expect("an object").len(), 26);
    assert_eq!(value["temperature"], u16::from_le_bytes([page[1], page[2]]));
    let number = |at: usize| u64::from_le_bytes(page[at..at + 8].try_into().expect("eight"));
    assert_eq!(value["data-units-read-hi"], number(40));
    assert_eq!(value["media-errors-lo"], number(160));
}
