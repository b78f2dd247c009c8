//! A named virtio port: by its path, or, where no udev makes links, by its name in sysfs.

use crate::fd::Fd;
use crate::sys;
use core::ffi::CStr;
use qga_core::Errno;
use qga_core::json::write::Writer;
use rustix::fs::OFlags;

const LINKS: &[u8] = b"/dev/virtio-ports/";
const CLASS: &CStr = c"/sys/class/virtio-ports";

/// Opens the port.
pub fn open(path: &CStr) -> Result<Fd, Errno> {
    match (device(path), path.to_bytes().strip_prefix(LINKS)) {
        (Err(Errno::NOENT), Some(name)) => by_name(name),
        (opened, _) => opened,
    }
}

fn device(path: &CStr) -> Result<Fd, Errno> {
    sys::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY, 0)
}

/// Looks the name up in `/sys/class/virtio-ports/*/name`; the device is called like its directory there.
#[inline(never)]
fn by_name(name: &[u8]) -> Result<Fd, Errno> {
    let class = sys::open(CLASS, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    let mut room = [0u8; 1024];
    loop {
        let len = sys::read_directory(&class, &mut room)?;
        let mut entries = room.get(..len).unwrap_or(&[]);
        if entries.is_empty() {
            return Err(Errno::NOENT);
        }
        while let Some((port, rest)) = entry(entries) {
            entries = rest;
            let mut path = PathBytes::default();
            if has_name(&class, joined(&mut path, &[port, b"/name"])?, name) {
                return device(joined(&mut path, &[b"/dev/", port])?);
            }
        }
    }
}

/// Splits the first entry's name off a directory's (getdents64(2)): its length stands at byte 16, in two
/// bytes, the name begins at byte 19 and ends with a NUL.
fn entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = u16::from_ne_bytes(*entries.get(16..)?.first_chunk()?);
    let (this, rest) = entries.split_at_checked(usize::from(len))?;
    Some((this.get(19..)?.split(|&byte| byte == 0).next()?, rest))
}

/// Whether the file `path` in `class` holds `name`.
fn has_name(class: &Fd, path: &CStr, name: &[u8]) -> bool {
    let mut text = [0u8; 256];
    let file = sys::open_at(class, path, OFlags::RDONLY, 0);
    let len = file.ok().and_then(|file| rustix::io::read(&file, &mut text).ok());
    text.get(..len.unwrap_or(0)).unwrap_or(&[]).trim_ascii_end() == name
}

/// Room for a path below /sys/class or /dev.
type PathBytes = [u8; 32];

/// The pieces as one path in `room`.
fn joined<'r>(room: &'r mut PathBytes, pieces: &[&[u8]]) -> Result<&'r CStr, Errno> {
    let mut out = Writer::new(room);
    for piece in pieces {
        out.raw(piece);
    }
    out.raw(b"\0");
    if out.is_full() {
        return Err(Errno::NAMETOOLONG);
    }
    CStr::from_bytes_until_nul(room).map_err(|_| Errno::NAMETOOLONG)
}
