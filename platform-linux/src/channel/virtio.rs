//! A named virtio port: by its path, or, where no udev makes links, by its name in sysfs.

use crate::fd::Fd;
use crate::print::one_of;
use crate::sys;
use core::ffi::CStr;
use qga_core::Errno;
use rustix::fs::OFlags;

const LINKS: &[u8] = b"/dev/virtio-ports/";
const CLASS: &CStr = c"/sys/class/virtio-ports";

/// Opens the port.
pub fn open(path: &CStr) -> Result<Fd, Errno> {
    let opened = sys::open(path, PORT, 0);
    if let Err(Errno::NOENT) = opened
        && let Some(name) = path.to_bytes().strip_prefix(LINKS)
    {
        return by_name(name);
    }
    opened
}

/// How a port is opened.
const PORT: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Looks the name up in `/sys/class/virtio-ports/*/name`; the device is called like its directory there.
#[inline(never)]
fn by_name(name: &[u8]) -> Result<Fd, Errno> {
    let class = sys::open(CLASS, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
    let mut room = [0u8; 1024];
    loop {
        let len = sys::read_directory(&class, &mut room)?;
        let mut entries = room.get(..len as usize).unwrap_or(&[]);
        if entries.is_empty() {
            return Err(Errno::NOENT);
        }
        while let Some((port, rest)) = entry(entries) {
            entries = rest;
            if has_name(&class, port, name) {
                let devices = sys::open(c"/dev", OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
                return sys::open_at(&devices, port, PORT, 0);
            }
        }
    }
}

/// Splits the first entry's name off a directory's (getdents64(2)): its length stands at byte 16, in two
/// bytes, the name begins at byte 19 and ends with a NUL.
fn entry(entries: &[u8]) -> Option<(&CStr, &[u8])> {
    let len = u16::from_ne_bytes(*entries.get(16..)?.first_chunk()?);
    let (this, rest) = entries.split_at_checked(usize::from(len))?;
    let name = this.get(19..)?.as_ptr();
    // SAFETY: the kernel ends each name with a NUL inside its entry, and a CStr of `'_` keeps that borrowed.
    Some((unsafe { CStr::from_ptr(name.cast()) }, rest))
}

/// Whether the port's file `name` in `class` says `name`.
fn has_name(class: &Fd, port: &CStr, name: &[u8]) -> bool {
    let mut text = [0u8; 256];
    let port = sys::open_at(class, port, OFlags::RDONLY | OFlags::DIRECTORY, 0);
    let file = port.and_then(|port| sys::open_at(&port, c"name", OFlags::RDONLY, 0));
    file.and_then(|file| file.get(&mut text)).is_ok() && one_of(&text, 0) == name
}
