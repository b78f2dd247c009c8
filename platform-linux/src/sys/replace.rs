//! Files in folders that others may change, and the rights of this process: what is called and what
//! it is about come in, descriptors and what has failed go out.

use super::{call, call_fd};
use crate::fd::Fd;
use core::arch::asm;
use core::ffi::CStr;
use linux_raw_sys::general as raw;
use qga_core::Errno;
use rustix::fs::OFlags;

/// Opens what is called `name` in a folder, and is no link nor on another filesystem (openat2(2)).
/// Kernels before 5.6 look at links only.
pub fn open_in(folder: &Fd, name: &CStr, flags: OFlags) -> Result<Fd, Errno> {
    let flags = flags | OFlags::CLOEXEC;
    let resolve = raw::RESOLVE_BENEATH
        | raw::RESOLVE_NO_SYMLINKS
        | raw::RESOLVE_NO_MAGICLINKS
        | raw::RESOLVE_NO_XDEV;
    let how = raw::open_how { flags: flags.bits().into(), mode: 0, resolve: resolve.into() };
    let (at, path) = (folder.raw() as usize, name.as_ptr() as usize);
    let (pointer, len) = (&raw const how as usize, size_of::<raw::open_how>());
    // SAFETY: the name ends with a NUL; the kernel reads a structure of that length, which lives
    // until the call returns.
    match unsafe { call_fd(raw::__NR_openat2, at, path, pointer, len) } {
        Err(Errno::NOSYS) => super::open_at(folder, name, flags | OFlags::NOFOLLOW, 0),
        opened => opened,
    }
}

/// Removes a file from a folder (unlinkat(2)).
pub fn unlink(folder: i32, name: &CStr) -> Result<(), Errno> {
    // SAFETY: the name ends with a NUL.
    unsafe { call(raw::__NR_unlinkat, folder as usize, name.as_ptr() as usize, 0, 0) }.map(drop)
}

/// Gives a file in a folder another name there, unless something has that (linkat(2)).
pub fn link(folder: &Fd, name: &CStr, other: &CStr) -> Result<(), Errno> {
    let result: isize;
    let folder = folder.raw() as usize;
    // SAFETY: the kernel's calling convention, as in `call`; both names end with a NUL.
    unsafe {
        asm!("syscall", inlateout("rax") raw::__NR_linkat as isize => result, in("rdi") folder,
            in("rsi") name.as_ptr(), in("rdx") folder, in("r10") other.as_ptr(), in("r8") 0,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    if result < 0 { Err(Errno::new(result.wrapping_neg() as u32)) } else { Ok(()) }
}

/// The names of a file's extended attributes, each with a NUL after it (flistxattr(2)).
pub fn attributes(file: &Fd, into: &mut [u8]) -> Result<u32, Errno> {
    let (fd, len) = (file.raw() as usize, into.len());
    // SAFETY: the kernel writes at most `len` bytes there.
    unsafe { call(raw::__NR_flistxattr, fd, into.as_mut_ptr() as usize, len, 0) }
}

/// One of them (fgetxattr(2)).
pub fn attribute(file: &Fd, name: &CStr, into: &mut [u8]) -> Result<u32, Errno> {
    let (fd, name, len) = (file.raw() as usize, name.as_ptr() as usize, into.len());
    // SAFETY: the name ends with a NUL; the kernel writes at most `len` bytes there.
    unsafe { call(raw::__NR_fgetxattr, fd, name, into.as_mut_ptr() as usize, len) }
}

/// Sets one (fsetxattr(2)).
pub fn set_attribute(file: &Fd, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    let result: isize;
    // SAFETY: the kernel's calling convention, as in `call`; the name ends with a NUL, and the
    // kernel reads as many bytes as there are.
    unsafe {
        asm!("syscall", inlateout("rax") raw::__NR_fsetxattr as isize => result,
            in("rdi") file.raw() as usize, in("rsi") name.as_ptr(), in("rdx") value.as_ptr(),
            in("r10") value.len(), in("r8") 0, lateout("rcx") _, lateout("r11") _,
            options(nostack));
    }
    if result < 0 { Err(Errno::new(result.wrapping_neg() as u32)) } else { Ok(()) }
}

/// Gives this process the rights of a user, and no others any more (setgroups(2), setresgid(2),
/// setresuid(2)).
pub fn become_user(user: u32, group: u32, groups: &[u32]) -> Result<(), Errno> {
    let (user, group) = (user as usize, group as usize);
    // SAFETY: the kernel reads as many numbers as there are; the program has one thread.
    unsafe {
        call(raw::__NR_setgroups, groups.len(), groups.as_ptr() as usize, 0, 0)?;
        call(raw::__NR_setresgid, group, group, group, 0)?;
        call(raw::__NR_setresuid, user, user, user, 0).map(drop)
    }
}
