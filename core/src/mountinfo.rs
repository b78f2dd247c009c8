//! The mount table, `/proc/pid/mountinfo` of proc(5): its text in, one [`Mount`] a line out, in
//! constant memory however many there are.

use crate::bytes::{decimal, put};
use crate::errno::Errno;
use crate::limits::{MOUNT_LINE_BYTES_MAX, PATH_BYTES_MAX};
use crate::lines::{Lines, kept_bytes};
use crate::platform::{Device, Freeze, Inode};

// The longest path comes whole, even of a line that is cut.
const _: () = assert!(kept_bytes(MOUNT_LINE_BYTES_MAX) > 4 * PATH_BYTES_MAX + 2048);

/// One line of the mount table.
#[derive(Debug, PartialEq, Eq)]
pub struct Mount<'l> {
    /// The number of the mount.
    pub id: u64,
    /// The superblock's number; major 0 when there is no device below it.
    pub device: Device,
    /// Where it is mounted, escaped as in the table: [`unescape`].
    pub mountpoint: &'l mut [u8],
    /// The filesystem's name.
    pub kind: &'l [u8],
    /// What it was mounted from, escaped.
    pub source: &'l mut [u8],
    /// Nothing can be written to the superblock, wherever it is mounted.
    pub read_only: bool,
    /// The line ends before all of this is said.
    pub cut: bool,
}

impl<'l> Mount<'l> {
    /// Reads one line; nothing if it is not one of a mount table.
    pub fn parse(line: &'l mut [u8]) -> Option<Self> {
        let (mut id, mut device, mut mountpoint) = (0, Device(0), &mut [][..]);
        let (mut kind, mut source, mut read_only) = (&[][..], &mut [][..], false);
        let mut number = 0;
        for field in line.split_mut(|&byte| byte == b' ') {
            match number {
                0 => id = decimal(field)?,
                2 => device = Device::parse(field)?,
                4 => mountpoint = field,
                // The options, and any number of fields before the dash.
                5 if *field != *b"-" => continue,
                6 => kind = &*field,
                7 => source = field,
                8 => read_only = matches!(field, [b'r', b'o', ..]),
                _ => {}
            }
            number += 1;
        }
        // A kind is whole when a source comes after it.
        let cut = number < 8;
        let is_one = number > 3 && (cut || mountpoint.first() == Some(&b'/'));
        is_one.then_some(Mount { id, device, mountpoint, kind, source, read_only, cut })
    }
}

/// A mounted local filesystem.
pub struct Local<'l> {
    /// The number in the table, which tells superblocks apart. That of a btrfs has no device, and
    /// stat(2) does not know it: there each subvolume has another one.
    pub superblock: Device,
    /// The number of the mount.
    pub id: u64,
    /// Where it is mounted.
    pub path: &'l [u8],
    /// Nothing can be written to it, by any mount.
    pub read_only: bool,
    /// Its line came cut: the path may be only the beginning, and the filesystem none that is
    /// local.
    pub cut: bool,
}

impl Local<'_> {
    /// Whether a path is on this filesystem. The numbers of btrfs' subvolumes do not say so: there
    /// it must be on this very mount, as far as the kernel (since 5.8) tells.
    pub fn is_on(&self, inode: Inode) -> bool {
        self.superblock == inode.on
            || self.superblock.major() == 0
                && inode.on.major() == 0
                && (inode.mount == 0 || inode.mount == self.id)
    }
}

/// What to do with each mount; `false` to go no further.
pub type Visit<'v, P> = &'v mut dyn FnMut(&mut P, Local<'_>) -> bool;

/// Visits every mount of a local filesystem, in mount order; network and virtual filesystems have
/// no device and are left out. `buffer` holds a line. Errors: the table cannot be read.
pub fn each_local<P: Freeze>(
    platform: &mut P,
    buffer: &mut [u8],
    visit: Visit<'_, P>,
) -> Result<(), Errno> {
    let mut lines = Lines::new(platform.mounts()?, b'\n', buffer);
    while let Some(line) = lines.line() {
        let Some(mount) = local(line) else { continue };
        if !visit(platform, mount) {
            break;
        }
    }
    lines.ended()
}

/// The mount of a line, if it is that of a local filesystem, or cut so that nobody knows.
pub fn local(line: &mut [u8]) -> Option<Local<'_>> {
    let Mount { id, device: superblock, mountpoint, kind, read_only, cut, .. } =
        Mount::parse(line)?;
    if superblock.major() == 0 && kind != b"btrfs" && !cut {
        return None;
    }
    // A filesystem in user space cannot freeze. Its server may hang, or be gone, so that looking at
    // it would wait.
    if kind == b"fuseblk" {
        return None;
    }
    Some(Local { superblock, id, path: unescape(mountpoint), read_only, cut })
}

/// Turns the table's octal escapes (`\040` for a space) into the bytes they stand for, in place.
pub fn unescape(text: &mut [u8]) -> &mut [u8] {
    let (mut read, mut write) = (0, 0);
    while let Some(&byte) = text.get(read) {
        let (byte, used) = match text.get(read..).and_then(octal) {
            Some(escaped) => (escaped, 4),
            None => (byte, 1),
        };
        put(text, &mut write, u32::from(byte));
        read += used;
    }
    text.get_mut(..write).unwrap_or(&mut [])
}

#[inline(never)]
fn octal(text: &[u8]) -> Option<u8> {
    let [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] = text else { return None };
    Some(((a & 3) << 6) + ((b & 7) << 3) + (c & 7))
}
