//! The mount table, `/proc/pid/mountinfo` of proc(5): its text in, one [`Mount`] a line out, in constant
//! memory however many there are.

use crate::errno::Errno;
use crate::frame::shift_down;
use crate::json::text::put;
use crate::limits::{MOUNT_LINE_BYTES_MAX, PATH_BYTES_MAX};
use crate::platform::{Device, Freeze, Inode};
use embedded_io::Read;

/// Lines of a text of any length through a buffer of a fixed one, of two bytes or more. A line that does not fit into
/// it with its end comes cut, to [`kept_bytes`].
pub struct Lines<'b, R> {
    reader: R,
    buffer: &'b mut [u8],
    /// The byte that ends a line.
    end_byte: u8,
    /// The unread part of the buffer.
    start: usize,
    end: usize,
}

impl<'b, R: Read<Error = Errno>> Lines<'b, R> {
    /// The lines that `reader` gives, each ended by `end_byte`, through `buffer`.
    pub fn new(reader: R, end_byte: u8, buffer: &'b mut [u8]) -> Self {
        Lines { reader, buffer, end_byte, start: 0, end: 0 }
    }

    /// The next line, without its end. Errors: those of the reader.
    pub fn line(&mut self) -> Result<Option<&mut [u8]>, Errno> {
        let (mut searched, mut kept) = (0, usize::MAX);
        loop {
            let unread = self.buffer.get(self.start..self.end).unwrap_or(&[]);
            let found = unread.iter().skip(searched).position(|&byte| byte == self.end_byte);
            if let Some(length) = found.map(|at| at + searched) {
                return Ok(self.give(length, kept));
            }
            searched = unread.len();
            if self.start > 0 {
                self.shift();
            }
            let room = self.buffer.len();
            if self.end == room {
                kept = kept_bytes(room);
                (self.end, searched) = (kept, kept);
            }
            let free = self.buffer.get_mut(self.end..).unwrap_or(&mut []);
            match retry(|| self.reader.read(free))? {
                0 if searched == 0 => return Ok(None),
                0 => return Ok(self.give(searched, kept)),
                len => self.end = (self.end + len).min(room),
            }
        }
    }

    /// Gives a line of `length` bytes out, but for what is not kept of it.
    fn give(&mut self, length: usize, kept: usize) -> Option<&mut [u8]> {
        let start = self.start;
        self.start = (start + length + 1).min(self.end);
        self.buffer.get_mut(start..start + length.min(kept))
    }

    /// Moves the unread part to the front.
    fn shift(&mut self) {
        let len = self.end.saturating_sub(self.start);
        shift_down(self.buffer, self.start, self.end);
        self.start = 0;
        self.end = len;
    }
}

/// How much comes of a line that does not fit into `room` bytes: through the last sixteenth goes the rest of it, which
/// is not read byte by byte then, and the longest path that there is comes whole all the same.
pub const fn kept_bytes(room: usize) -> usize {
    room - room.div_ceil(16)
}
const _: () = assert!(kept_bytes(MOUNT_LINE_BYTES_MAX) > 4 * PATH_BYTES_MAX + 2048);

/// Repeats a call that a signal interrupted.
pub fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => continue,
            other => return other,
        }
    }
}

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
    /// Nothing can be written to the superblock, wherever it is mounted.
    pub read_only: bool,
    /// The line ends before all of this is said.
    pub cut: bool,
}

impl<'l> Mount<'l> {
    /// Reads one line; nothing if it is not one of a mount table.
    pub fn parse(line: &'l mut [u8]) -> Option<Self> {
        let (mut id, mut device, mut mountpoint) = (0, Device(0), &mut [][..]);
        let (mut kind, mut read_only) = (&[][..], false);
        let mut number = 0;
        for field in line.split_mut(|&byte| byte == b' ') {
            match number {
                0 => id = decimal(field)?,
                2 => device = self::device(field)?,
                4 => mountpoint = field,
                // The options, and any number of fields before the dash.
                5 if *field != *b"-" => continue,
                6 => kind = &*field,
                8 => read_only = matches!(field, [b'r', b'o', ..]),
                _ => {}
            }
            number += 1;
        }
        // A kind is whole when a source comes after it.
        let cut = number < 8;
        let is_one = number > 3 && (cut || mountpoint.first() == Some(&b'/'));
        is_one.then_some(Mount { id, device, mountpoint, kind, read_only, cut })
    }
}

/// A mounted local filesystem.
pub struct Local<'l> {
    /// The number in the table, which tells superblocks apart. That of a btrfs has no device, and stat(2) does
    /// not know it: there each subvolume has another one.
    pub superblock: Device,
    /// The number of the mount.
    pub id: u64,
    /// Where it is mounted.
    pub path: &'l [u8],
    /// Nothing can be written to it, by any mount.
    pub read_only: bool,
    /// Its line came cut: the path may be only the beginning, and the filesystem none that is local.
    pub cut: bool,
}

impl Local<'_> {
    /// Whether a path is on this filesystem. The numbers of btrfs' subvolumes do not say so: there it must be on
    /// this very mount, as far as the kernel (since 5.8) tells.
    pub fn is_on(&self, inode: Inode) -> bool {
        self.superblock == inode.on
            || self.superblock.major() == 0
                && inode.on.major() == 0
                && (inode.mount == 0 || inode.mount == self.id)
    }
}

/// What to do with each mount; `false` to go no further.
pub type Visit<'v, P> = &'v mut dyn FnMut(&mut P, Local<'_>) -> bool;

/// Visits every mount of a local filesystem, in mount order; network and virtual filesystems have no device and
/// are left out. `buffer` holds a line. Errors: the table cannot be read.
pub fn each_local<P: Freeze>(
    platform: &mut P,
    buffer: &mut [u8],
    visit: Visit<'_, P>,
) -> Result<(), Errno> {
    let mut lines = Lines::new(platform.mounts()?, b'\n', buffer);
    while let Some(line) = lines.line()? {
        let Some(mount) = local(line) else { continue };
        if !visit(platform, mount) {
            break;
        }
    }
    Ok(())
}

/// The mount of a line, if it is that of a local filesystem, or cut so that nobody knows.
pub fn local(line: &mut [u8]) -> Option<Local<'_>> {
    let Mount { id, device: superblock, mountpoint, kind, read_only, cut } = Mount::parse(line)?;
    if superblock.major() == 0 && kind != b"btrfs" && !cut {
        return None;
    }
    Some(Local { superblock, id, path: unescape(mountpoint), read_only, cut })
}

/// `major:minor` in decimal.
pub fn device(text: &[u8]) -> Option<Device> {
    let mut numbers = text.splitn(2, |&byte| byte == b':').map(decimal);
    let (major, minor) = (numbers.next()??, numbers.next()??);
    Some(Device::new(u32::try_from(major).ok()?, u32::try_from(minor).ok()?))
}

/// A number of decimal digits and nothing else.
pub fn decimal(text: &[u8]) -> Option<u64> {
    let (first, rest) = text.split_first()?;
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
    rest.iter()
        .try_fold(digit(first)?, |number, byte| number.checked_mul(10)?.checked_add(digit(byte)?))
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
