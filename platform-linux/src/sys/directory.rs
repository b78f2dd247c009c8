//! Directories: an open one in, the names in it out.

use super::call;
use crate::fd::Fd;
use core::ffi::CStr;
use linux_raw_sys::general as raw;
use qga_core::Errno;

/// Some entries at a time.
const ENTRIES_BYTES: usize = 1024;

/// Gives each name in a directory to `visit`, until that says `false` (getdents64(2)).
pub fn each_entry(directory: &Fd, visit: &mut dyn FnMut(&CStr) -> bool) -> Result<(), Errno> {
    let mut room = [0u8; ENTRIES_BYTES];
    loop {
        let (fd, into) = (directory.raw() as usize, room.as_mut_ptr() as usize);
        // SAFETY: the kernel writes at most as many bytes as there is room for.
        let len = unsafe { call(raw::__NR_getdents64, fd, into, ENTRIES_BYTES, 0) }?;
        let mut entries = room.get(..len).unwrap_or(&[]);
        if entries.is_empty() {
            return Ok(());
        }
        while let Some((name, rest)) = entry(entries) {
            if !visit(name) {
                return Ok(());
            }
            entries = rest;
        }
    }
}

/// Splits the name of the first entry off, a `struct linux_dirent64`: its length stands at byte 16, in two bytes, the
/// name begins at byte 19 and ends with a NUL.
fn entry(entries: &[u8]) -> Option<(&CStr, &[u8])> {
    let len = u16::from_ne_bytes(*entries.get(16..)?.first_chunk()?);
    let (this, rest) = entries.split_at_checked(usize::from(len))?;
    let name = this.get(19..)?.as_ptr();
    // SAFETY: the kernel ends each name with a NUL inside its entry, and a CStr of `'_` keeps that borrowed.
    Some((unsafe { CStr::from_ptr(name.cast()) }, rest))
}
