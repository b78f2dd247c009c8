//! The system calls that are not rustix's: those that it does not offer to a program without libc
//! (processes, signals, clocks, ...), and those that make a descriptor, which it answers with an
//! assertion that the compiler cannot prove, so that a panic could be reached (docs/decisions.md,
//! "Descriptors"). One architecture each; this is the one that the project builds for.

pub mod clocks;
pub mod disk;
pub mod locks;
pub mod pages;
pub mod process;
pub mod replace;
pub mod socket;
pub mod tty;

use crate::fd::Fd;
use core::arch::asm;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::num::NonZeroU32;
use linux_raw_sys::general as raw;
use qga_core::Errno;
use qga_core::limits::{EXEC_ENTRIES_MAX, FROZEN_MAX, HANDLES_MAX};
use rustix::fs::OFlags;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("write `call` and `_start` (main.rs) for this architecture");

/// A system call with up to four arguments. What these return (descriptors, processes, counts up to
/// 2 GiB) fits into as many bits as an errno has, so that a result travels in registers.
///
/// # Safety
/// What the call does with its arguments must be sound.
unsafe fn call(number: u32, a: usize, b: usize, c: usize, d: usize) -> Result<u32, Errno> {
    let result: isize;
    // SAFETY: the kernel's calling convention: rcx and r11 are lost, memory may change.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b,
            in("rdx") c, in("r10") d, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    counted(result)
}

/// What a system call has returned.
#[inline(always)]
fn counted(result: isize) -> Result<u32, Errno> {
    match result {
        // SAFETY: an error is a number from -1 to -4095.
        ..0 => Err(Errno(unsafe { NonZeroU32::new_unchecked(result.wrapping_neg() as u32) })),
        _ => Ok(result as u32),
    }
}

/// A system call whose result is a new descriptor.
///
/// # Safety
/// As [`call`], and the result must be a descriptor that nobody else has.
unsafe fn call_fd(number: u32, a: usize, b: usize, c: usize, d: usize) -> Result<Fd, Errno> {
    // SAFETY: passed on; descriptors are small non-negative numbers.
    unsafe { call(number, a, b, c, d).map(|fd| Fd::from_raw((fd & 0x7FFF_FFFF) as i32)) }
}

/// Opens a file, relative to the directory `at` (openat(2)). Never inherited by programs.
pub fn open_at(at: &Fd, path: &CStr, flags: OFlags, mode: u32) -> Result<Fd, Errno> {
    open_from(at.raw(), path, flags, mode)
}

/// Opens a file (open(2)). Never inherited by programs.
pub fn open(path: &CStr, flags: OFlags, mode: u32) -> Result<Fd, Errno> {
    open_from(raw::AT_FDCWD, path, flags, mode)
}

fn open_from(at: i32, path: &CStr, flags: OFlags, mode: u32) -> Result<Fd, Errno> {
    let flags = (flags | OFlags::CLOEXEC).bits() as usize;
    // SAFETY: the path ends with a NUL and lives until the call returns.
    unsafe { call_fd(raw::__NR_openat, at as usize, path.as_ptr() as usize, flags, mode as usize) }
}

/// What a link leads to, without a NUL (readlink(2)).
pub fn read_link(path: &CStr, into: &mut [u8]) -> Result<u32, Errno> {
    let (from, len) = (path.as_ptr() as usize, into.len());
    // SAFETY: the path ends with a NUL, and the kernel writes at most `len` bytes.
    unsafe { call(raw::__NR_readlink, from, into.as_mut_ptr() as usize, len, 0) }
}

/// What is known of a file (fstat(2)), no more than is asked for.
pub struct Node {
    /// Its type and rights.
    pub mode: u32,
    /// Its owner.
    pub user: u32,
    /// Its group.
    pub group: u32,
    /// How many names it has.
    pub links: u32,
}

/// Looks at an open file.
pub fn look(file: &Fd) -> Result<Node, Errno> {
    let mut stat = MaybeUninit::<raw::stat>::uninit();
    let pointer = stat.as_mut_ptr() as usize;
    // SAFETY: the kernel writes its `struct stat` into a variable that lives until the call
    // returns.
    unsafe { call(raw::__NR_fstat, file.raw() as usize, pointer, 0, 0) }?;
    // SAFETY: the call has written it.
    let stat = unsafe { stat.assume_init_ref() };
    Ok(Node {
        mode: stat.st_mode,
        user: stat.st_uid,
        group: stat.st_gid,
        links: stat.st_nlink as u32,
    })
}

/// Looks up a path, or the file `at` (statx(2)); nothing where that fails, or cannot be called. Not
/// by rustix, which keeps in mind whether it can be: 150 bytes less.
pub fn statx(at: i32, path: &CStr, flags: u32, mask: u32) -> Option<raw::statx> {
    let mut stat = MaybeUninit::<raw::statx>::uninit();
    let result: isize;
    // SAFETY: the kernel's calling convention, as in `call`; the path ends with a NUL, and the
    // kernel writes its `struct statx` into a variable that lives until the call returns.
    unsafe {
        asm!("syscall", inlateout("rax") raw::__NR_statx as isize => result, in("rdi") at as usize,
            in("rsi") path.as_ptr(), in("rdx") flags as usize, in("r10") mask as usize,
            in("r8") stat.as_mut_ptr(), lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    // SAFETY: then the call has written it.
    (result == 0).then(|| unsafe { stat.assume_init() })
}

/// Whether a user is root or this process's own.
pub fn is_own(user: u32) -> bool {
    user == 0 || user == rustix::process::geteuid().as_raw()
}

/// Reads entries of a directory (getdents64(2)): `struct linux_dirent64`, one after the other.
pub fn read_directory(directory: &Fd, into: &mut [u8]) -> Result<u32, Errno> {
    let (fd, len) = (directory.raw() as usize, into.len());
    // SAFETY: the kernel writes at most `len` bytes there.
    unsafe { call(raw::__NR_getdents64, fd, into.as_mut_ptr() as usize, len, 0) }
}

/// A file in memory (memfd_create(2)), not inherited.
pub fn memory() -> Result<Fd, Errno> {
    let flags = raw::MFD_CLOEXEC;
    // SAFETY: the name ends with a NUL.
    unsafe { call_fd(raw::__NR_memfd_create, c"qga".as_ptr() as usize, flags as usize, 0, 0) }
}

/// Reads from byte `at` of a file on, wherever else it is read and written (pread64(2)).
pub fn read_at(file: &Fd, at: u64, into: &mut [u8]) -> Result<u32, Errno> {
    let (fd, len) = (file.raw() as usize, into.len());
    // SAFETY: the kernel writes at most `len` bytes there.
    unsafe { call(raw::__NR_pread64, fd, into.as_mut_ptr() as usize, len, at as usize) }
}

/// Writes there (pwrite64(2)).
pub fn write_at(file: &Fd, at: u64, bytes: &[u8]) -> Result<u32, Errno> {
    let (fd, len) = (file.raw() as usize, bytes.len());
    // SAFETY: the kernel reads at most `len` bytes there.
    unsafe { call(raw::__NR_pwrite64, fd, bytes.as_ptr() as usize, len, at as usize) }
}

/// A pipe, not inherited: its reading end, its writing end (pipe2(2)).
pub fn pipe() -> Result<[Fd; 2], Errno> {
    let mut ends = [0i32; 2];
    let pointer = &raw mut ends as usize;
    // SAFETY: the kernel writes two numbers into a variable that lives until the call returns.
    unsafe { call(raw::__NR_pipe2, pointer, raw::O_CLOEXEC as usize, 0, 0) }?;
    // SAFETY: they are descriptors that nobody else has.
    Ok(ends.map(|end| unsafe { Fd::from_raw(end & 0x7FFF_FFFF) }))
}

/// Makes a pipe hold so many bytes; how many that are then (fcntl(2), F_SETPIPE_SZ).
pub fn enlarge_pipe(pipe: &Fd, bytes: usize) -> Result<u32, Errno> {
    const F_SETPIPE_SZ: u32 = 1031;
    // SAFETY: no memory is involved.
    unsafe { control(pipe, F_SETPIPE_SZ, bytes) }
}

/// Moves bytes out of a pipe to where a file stands (splice(2)). Never waits.
pub fn splice(pipe: &Fd, file: &Fd, bytes_max: usize) -> Result<u32, Errno> {
    const MOVE_AND_NEVER_WAIT: usize = 1 | 2;
    let result: isize;
    // SAFETY: the kernel's calling convention, as in `call`; no memory is involved.
    unsafe {
        asm!("syscall", inlateout("rax") raw::__NR_splice as isize => result,
            in("rdi") pipe.raw() as usize, in("rsi") 0usize, in("rdx") file.raw() as usize,
            in("r10") 0usize, in("r8") bytes_max, in("r9") MOVE_AND_NEVER_WAIT,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    counted(result)
}

/// Gives back the memory of a file in it that holds what stands before byte `until`; its length
/// stays (fallocate(2)). All of it each time: a page that is given back in two halves stays.
pub fn forget(memory: &Fd, until: u64) -> Result<(), Errno> {
    const KEEP_SIZE_AND_PUNCH_HOLE: usize = 1 | 2;
    let (file, until) = (memory.raw() as usize, until as usize);
    // SAFETY: no memory of this process is involved.
    unsafe { call(raw::__NR_fallocate, file, KEEP_SIZE_AND_PUNCH_HOLE, 0, until) }.map(drop)
}

/// So many bytes of new memory, all zero, that is this process's until it ends (mmap(2)).
pub fn map(bytes: usize) -> Result<&'static mut [u8], Errno> {
    const READ_AND_WRITE: usize = 1 | 2;
    const PRIVATE_AND_ANONYMOUS: usize = 0x02 | 0x20;
    let address: isize;
    // SAFETY: the kernel's calling convention, as in `call`; what is there already stays as it is.
    unsafe {
        asm!("syscall", inlateout("rax") raw::__NR_mmap as isize => address, in("rdi") 0usize,
            in("rsi") bytes, in("rdx") READ_AND_WRITE, in("r10") PRIVATE_AND_ANONYMOUS,
            in("r8") -1isize, in("r9") 0usize, lateout("rcx") _, lateout("r11") _,
            options(nostack));
    }
    if (-4095..0).contains(&address) {
        return counted(address).map(|_| Default::default());
    }
    // SAFETY: so many bytes lie there, which nobody else has.
    Ok(unsafe { core::slice::from_raw_parts_mut(address as *mut u8, bytes) })
}

/// A call of fcntl(2).
///
/// # Safety
/// As [`call`].
#[inline(never)]
unsafe fn control(file: &Fd, command: u32, argument: usize) -> Result<u32, Errno> {
    // SAFETY: passed on.
    unsafe { call(raw::__NR_fcntl, file.raw() as usize, command as usize, argument, 0) }
}

/// Has this process get SIGIO when something can be read, and no read of it wait (fcntl(2),
/// F_SETOWN and O_ASYNC).
pub fn signal_when_readable(file: &Fd) -> Result<(), Errno> {
    let flags = raw::FASYNC | raw::O_NONBLOCK;
    let own = rustix::process::getpid().as_raw_nonzero().get();
    // SAFETY: no memory is involved.
    unsafe { control(file, raw::F_SETOWN, own as usize) }?;
    // SAFETY: as above.
    unsafe { control(file, raw::F_SETFL, flags as usize) }.map(drop)
}

/// Closes a descriptor by its number (close(2)).
pub fn close(number: i32) {
    // SAFETY: no memory is involved; whose it is the caller knows.
    let _ = unsafe { call(raw::__NR_close, number as usize, 0, 0, 0) };
}

/// Closes all descriptors below `end` but these two.
pub fn close_others(keep: [i32; 2], end: i32) {
    for number in 0..end {
        if !keep.contains(&number) {
            close(number);
        }
    }
}

/// Closes all descriptors from `first` on (close_range(2), since 5.9). How far it is left to be
/// done one by one.
pub fn close_from(first: i32) -> i32 {
    // SAFETY: no memory is involved; whose they are the caller knows.
    let closed = unsafe { call(raw::__NR_close_range, first as usize, i32::MAX as usize, 0, 0) };
    if closed.is_ok() { first } else { DESCRIPTORS }
}

/// Where it ends who closes descriptors one by one: after what an agent may hold, and room for what
/// its parent left.
pub const DESCRIPTORS: i32 = 2048;
const _: () = assert!(HANDLES_MAX + FROZEN_MAX + 4 * EXEC_ENTRIES_MAX + 128 < DESCRIPTORS as usize);

/// An epoll instance, not inherited (epoll_create1(2)).
pub fn epoll() -> Result<Fd, Errno> {
    // SAFETY: no memory is involved.
    unsafe { call_fd(raw::__NR_epoll_create1, raw::EPOLL_CLOEXEC as usize, 0, 0, 0) }
}

/// Has a file do one thing (ioctl(2)).
#[inline(never)]
fn set(file: &Fd, request: u32) -> Result<(), Errno> {
    // SAFETY: no request with which this is called has an argument.
    unsafe { call(raw::__NR_ioctl, file.raw() as usize, request as usize, 0, 0) }.map(drop)
}
