//! guest-get-disks: the disks and partitions that there are, and what they lie on.

use crate::disk::{SysPath, address, attribute, dev, slaves, there};
use crate::elements::Elements;
use crate::errno::Errno;
use crate::formats::health;
use crate::list::List;
use crate::platform::{Folder, HEALTH_BYTES, Platform};
use crate::response::Cursor;
use crate::task::Risks;
use crate::writer::Writer;

/// Makes the list of all disks that have a size, and of their partitions. Schema: guest-get-disks
/// (5.2), GuestDiskInfo. Errors: /sys/block is there and cannot be read.
pub fn disks<P: Platform>(platform: &mut P, list: &mut List<P>, risks: Risks) -> Result<(), Errno> {
    let [.., elements] = list.rooms();
    let mut elements = Elements::new(elements);
    let mut folder = match platform.folder(b"/sys/block") {
        Err(Errno::NOENT) => return Ok(()),
        folder => folder?,
    };
    while let Some(name) = folder.next_name() {
        let mut path = SysPath::EMPTY;
        let mut path = path.writer();
        path.ascii("/sys/block/");
        path.raw(name);
        disk(platform, risks, name, &mut path, &mut elements)?;
    }
    folder.ended()
}

/// One disk, by its name and its path, and its partitions.
#[inline(never)]
fn disk<P: Platform>(
    platform: &mut P,
    risks: Risks,
    name: &[u8],
    path: &mut Writer<'_>,
    elements: &mut Elements<'_>,
) -> Result<(), Errno> {
    let mut text = [0; 64];
    // A loop device without a file, a drive without a disk; or it has just gone.
    if attribute(platform, path, "/size", &mut text).is_none_or(|size| size == b"0") {
        return Ok(());
    }
    begin(name, "{\"partition\": false", elements);
    elements.out.ascii(", \"dependencies\": [");
    let mut others = Cursor::new();
    slaves(platform, path, "/slaves", &mut |platform, slave, _| {
        elements.make_room(platform);
        others.element(&mut elements.out);
        dev(slave, &mut elements.out);
    });
    elements.out.ascii("]");
    let mut sys = SysPath::EMPTY;
    if let Some(sys) = sys.of_link(platform, path.written())
        && !sys.is_virtual()
    {
        elements.out.key("address");
        let (way, key) = address(platform, risks, sys.written(), elements);
        if way.named == Some("nvme") {
            smart(platform, risks, name, key, elements);
        }
    }
    if let Some(alias) = attribute(platform, path, "/dm/name", &mut [0; 256]) {
        elements.out.key("alias");
        elements.string(platform, alias);
    }
    elements.out.ascii("}");
    elements.end(platform)?;
    partitions(platform, name, path, elements)
}

/// The beginning of an element, up to where the disk's dependencies stand.
fn begin(name: &[u8], kind: &str, elements: &mut Elements<'_>) {
    elements.out.ascii(kind);
    elements.out.key("name");
    dev(name, &mut elements.out);
}

/// The partitions of a disk: folders in its own that say which one they are.
#[inline(never)]
fn partitions<P: Platform>(
    platform: &mut P,
    disk: &[u8],
    path: &mut Writer<'_>,
    elements: &mut Elements<'_>,
) -> Result<(), Errno> {
    let Some(mut folder) = there(platform.folder(path.written()), platform) else { return Ok(()) };
    let len = path.len();
    while let Some(name) = folder.next_name() {
        if !name.starts_with(disk) {
            continue;
        }
        path.ascii("/");
        path.raw(name);
        let is_one = attribute(platform, path, "/partition", &mut [0; 24]).is_some();
        path.rewind(len);
        if is_one {
            begin(name, "{\"partition\": true", elements);
            elements.out.ascii(", \"dependencies\": [");
            dev(disk, &mut elements.out);
            elements.out.ascii("]}");
            elements.end(platform)?;
        }
    }
    folder.ended()
}

/// What an NVMe disk says of its health, as a member. Schema: GuestDiskSmart (7.1).
#[inline(never)]
fn smart<P: Platform>(
    platform: &mut P,
    risks: Risks,
    name: &[u8],
    key: u64,
    elements: &mut Elements<'_>,
) {
    let mut path = SysPath::EMPTY;
    let mut path = path.writer();
    path.ascii("/dev/");
    path.raw(name);
    let mut page = [0; HEALTH_BYTES];
    let health = risks.risk(platform, key, |platform| platform.health(path.written(), &mut page));
    // It is for who may ask, and not every controller knows it.
    if health.is_ok() {
        elements.write_down(platform);
        elements.out.key("smart");
        elements.out.ascii("{\"type\": \"nvme\"");
        health::write(&page, &mut elements.out);
        elements.out.ascii("}");
    }
}
