//! guest-get-fsinfo: what is mounted, how full it is, and on which disks it lies.

use super::listing::left_out;
use crate::bytes::{copy, until_nul};
use crate::disk::{SysPath, address, slaves, there};
use crate::elements::Elements;
use crate::errno::Errno;
use crate::formats::sysfs::last;
use crate::lines::Lines;
use crate::list::{List, is_new};
use crate::mountinfo::{Mount, unescape};
use crate::platform::{Below, Device, Folder, Platform, Usage};
use crate::task::Risks;
use crate::writer::Writer;

/// Makes the list of all filesystems with a device, each superblock once (of the first 500, which
/// can be kept in mind), where it was mounted first: as they freeze. Schema: guest-get-fsinfo
/// (2.2), GuestFilesystemInfo. Errors: the mount table cannot be read.
pub fn fsinfo<P: Platform>(
    platform: &mut P,
    list: &mut List<P>,
    risks: Risks,
) -> Result<(), Errno> {
    let [line, known, elements] = list.rooms();
    let mut elements = Elements::new(elements);
    known.fill(0);
    let mut lines = Lines::new(platform.text(b"/proc/self/mountinfo")?, b'\n', line);
    while let Some(line) = lines.line() {
        let Some(mount) = Mount::parse(line) else { continue };
        if mount.device.major() == 0 && mount.kind != b"btrfs" {
            continue;
        }
        if mount.cut {
            left_out(platform, Errno::NAMETOOLONG);
        } else if is_new(known, mount.device.word()) {
            filesystem(platform, risks, mount, &mut elements)?;
        }
    }
    lines.ended()
}

/// One filesystem.
#[inline(never)]
fn filesystem<P: Platform>(
    platform: &mut P,
    risks: Risks,
    mount: Mount<'_>,
    elements: &mut Elements<'_>,
) -> Result<(), Errno> {
    let Mount { device, kind, .. } = mount;
    let source = unescape(mount.source);
    let path = unescape(mount.mountpoint);
    elements.out.ascii("{");
    elements.out.key("mountpoint");
    elements.string(platform, path);
    elements.make_room(platform);
    elements.out.key("type");
    elements.string(platform, kind);
    elements.make_room(platform);
    // Whatever is wrong with it, the others are told of all the same.
    let usage = risks.risk(platform, device.0, |platform| platform.usage(path));
    if let Some(usage) = there(usage, platform) {
        write(usage, &mut elements.out);
    }
    let mut on = Below::default();
    let has_device = device.major() != 0;
    if has_device {
        let _ = on.add(device);
    } else {
        members(platform, source, &mut on);
    }
    elements.out.key("disk");
    elements.out.ascii("[");
    let mut name = [0; NAME_BYTES];
    disks(platform, risks, &mut on, elements, &mut name);
    elements.out.ascii("]");
    // What the kernel calls it; without sysfs, or of a btrfs, what it was mounted as.
    let known = until_nul(&name);
    let name = if has_device && !known.is_empty() { known } else { last(source) };
    elements.out.key("name");
    elements.string(platform, name);
    elements.out.ascii("}");
    elements.end(platform)
}

/// How full it is: what root alone may use is not counted as room for the others.
#[inline(never)]
fn write(usage: Usage, out: &mut Writer<'_>) {
    let Usage { block_bytes, blocks, free_blocks, available_blocks } = usage;
    let used = blocks.saturating_sub(free_blocks);
    let bytes = |blocks: u64| Some(blocks.saturating_mul(block_bytes));
    let members = [bytes(used), bytes(used.saturating_add(available_blocks)), bytes(blocks)];
    out.numbers("used-bytes total-bytes total-bytes-privileged", &members);
}

/// Where sysfs knows a device by its number.
#[inline(never)]
fn by_number(device: Device, path: &mut Writer<'_>) {
    path.ascii("/sys/dev/block/");
    path.unsigned(device.major().into());
    path.ascii(":");
    path.unsigned(device.minor().into());
}

/// Adds the devices of a btrfs, one of which it is mounted as.
#[inline(never)]
fn members<P: Platform>(platform: &mut P, source: &[u8], on: &mut Below) {
    let mut to = [0; 256];
    // A name of the device mapper is a link to the device.
    let name = match platform.link(source, &mut to) {
        Ok(len) => last(to.get(..len).unwrap_or(&[])),
        Err(_) => last(source),
    };
    let Some(mut folder) = there(platform.folder(b"/sys/fs/btrfs"), platform) else { return };
    while let Some(filesystem) = folder.next_name() {
        let mut path = SysPath::EMPTY;
        let mut path = path.writer();
        path.ascii("/sys/fs/btrfs/");
        path.raw(filesystem);
        let mut others = Below::default();
        let mut is_it = false;
        slaves(platform, &mut path, "/devices", &mut |_, device, number| {
            is_it |= device == name;
            let _ = others.add(number);
        });
        if is_it {
            *on = others;
            return;
        }
    }
    there(folder.ended(), platform);
}

/// Room for the name of a block device (`DISK_NAME_LEN` of linux/blkdev.h), or of a partition.
const NAME_BYTES: usize = 64;

/// Writes where each of the disks is that these devices lie on: which those are is found out on the
/// way. Into `name` goes what the first device is called.
#[inline(never)]
fn disks<P: Platform>(
    platform: &mut P,
    risks: Risks,
    on: &mut Below,
    elements: &mut Elements<'_>,
    name: &mut [u8; NAME_BYTES],
) {
    let mut number = 0;
    let mut any = false;
    while let Some(&device) = on.devices.get(number) {
        number += 1;
        let (mut link, mut path) = (SysPath::EMPTY, SysPath::EMPTY);
        let mut link = link.writer();
        by_number(device, &mut link);
        let Some(path) = path.of_link(platform, link.written()) else { continue };
        if number == 1 {
            copy(name, last(path.written()));
        }
        if !path.is_virtual() {
            if any {
                elements.out.ascii(", ");
            }
            any = true;
            address(platform, risks, path.written(), elements);
            continue;
        }
        // A partition has none of its own.
        for name in ["/slaves", "/../slaves"] {
            slaves(platform, &mut link, name, &mut |_, _, number| {
                let _ = on.add(number);
            });
        }
    }
}
