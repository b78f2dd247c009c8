//! Filesystems and what they lie on, by ioctl(2).

use super::{call, set};
use crate::fd::Fd;
use linux_raw_sys::general as raw;
use linux_raw_sys::ioctl;
use qga_core::Errno;

/// Freezes the filesystem that a file is on (FIFREEZE).
pub fn freeze(file: &Fd) -> Result<(), Errno> {
    set(file, ioctl::FIFREEZE)
}

/// Thaws it (FITHAW).
pub fn thaw(file: &Fd) -> Result<(), Errno> {
    set(file, ioctl::FITHAW)
}

/// Has the filesystem that a file is on tell its disk of extents of `minimum` bytes and more that
/// it does not use: how many bytes these were, and how small the smallest could be (FITRIM).
pub fn trim(file: &Fd, minimum: u64) -> Result<[u64; 2], Errno> {
    // `struct fstrim_range`: from the start on, to the end.
    let mut range = [0, u64::MAX, minimum];
    let (fd, pointer) = (file.raw() as usize, &raw mut range as usize);
    // SAFETY: the kernel reads its structure from a variable, and writes it there, which lives
    // until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, ioctl::FITRIM as usize, pointer, 0) }?;
    let [_, bytes, minimum] = range;
    Ok([bytes, minimum])
}

/// The number of the filesystem that the file of a loop device is on, as the kernel writes it
/// (LOOP_GET_STATUS64).
pub fn loop_file(device: &Fd) -> Result<u32, Errno> {
    const LOOP_GET_STATUS64: usize = 0x4C05;
    // `struct loop_info64`, which begins with it.
    let mut status = [0u64; 29];
    let (fd, pointer) = (device.raw() as usize, &raw mut status as usize);
    // SAFETY: the kernel writes its structure into a variable that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, LOOP_GET_STATUS64, pointer, 0) }?;
    let [on, ..] = status;
    Ok(on as u32)
}

/// What the controller of an NVMe disk tells of its health, in 512 bytes (NVME_IOCTL_ADMIN_CMD of
/// linux/nvme_ioctl.h).
pub fn nvme_health(disk: &Fd, page: &mut [u8; 512]) -> Result<(), Errno> {
    const NVME_IOCTL_ADMIN_CMD: usize = 0xC048_4E41;
    /// Get Log Page, of all namespaces; the page, and how many words of it, less one.
    const GET_LOG_PAGE: u32 = 0x02;
    const ALL: u32 = u32::MAX;
    const HEALTH: u32 = 0x02;
    const WORDS: u32 = 512 / 4 - 1;
    // `struct nvme_admin_cmd`, in words of 32 bits: the address of the page at 6, its length at 9,
    // the command's own words from 10 on.
    let mut command = [0u32; 18];
    let address = page.as_mut_ptr() as u64;
    (command[0], command[1]) = (GET_LOG_PAGE, ALL);
    (command[6], command[7]) = (address as u32, (address >> 32) as u32);
    (command[9], command[10]) = (512, WORDS << 16 | HEALTH);
    let (fd, pointer) = (disk.raw() as usize, &raw mut command as usize);
    // SAFETY: the kernel reads its structure from a variable, and writes as many bytes as that says
    // to the page, which both live until the call returns.
    match unsafe { call(raw::__NR_ioctl, fd, NVME_IOCTL_ADMIN_CMD, pointer, 0) }? {
        0 => Ok(()),
        // The status that the controller answers.
        _ => Err(Errno::IO),
    }
}
