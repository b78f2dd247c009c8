//! A named virtio port: by its path, or, where no udev makes links, by its name in sysfs.

use crate::fd::Fd;
use crate::sys;
use crate::sysfs::{Names, text};
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

/// Looks the name up in `/sys/class/virtio-ports/*/name`; the device is called like its directory
/// there.
#[inline(never)]
fn by_name(name: &[u8]) -> Result<Fd, Errno> {
    let class = sys::open(CLASS, OFlags::RDONLY, 0)?;
    let mut ports = Names::new();
    while let Some(port) = ports.next_name(&class) {
        if text(&class, port, c"name", &mut [0; 256]) == name {
            let devices = sys::open(c"/dev", OFlags::RDONLY, 0)?;
            return sys::open_at(&devices, port, PORT, 0);
        }
    }
    ports.ended()?;
    Err(Errno::NOENT)
}
