//! The system calls that are not rustix's: those that it does not offer to a program without libc
//! (processes, signals, clocks), and those that make a descriptor, which it answers with an
//! assertion that the compiler cannot prove, so that a panic could be reached (docs/decisions.md,
//! "Descriptors"). One architecture each; this is the one that the project builds for.

pub mod pages;
pub mod process;
pub mod replace;
pub mod socket;

use crate::fd::Fd;
use core::arch::asm;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::num::NonZeroU32;
use linux_raw_sys::general as raw;
use linux_raw_sys::ioctl;
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

/// Locks one byte of a file (fcntl(2), F_SETLK and F_SETLKW with F_WRLCK or F_RDLCK), or looks who
/// has (F_GETLK).
#[inline(never)]
fn lock(file: &Fd, number: u64, kind: u32, command: u32) -> Result<Option<i32>, Errno> {
    let mut lock =
        raw::flock { l_type: kind as i16, l_whence: 0, l_start: number as i64, l_len: 1, l_pid: 0 };
    // SAFETY: the kernel reads the structure, or writes into it, which lives until the call
    // returns.
    unsafe { control(file, command, &raw mut lock as usize) }?;
    Ok((lock.l_type != raw::F_UNLCK as i16).then_some(lock.l_pid))
}

/// Locks one byte of a file for this process, and waits for that if it `waits`; the process that
/// has it, if one does, 0 where that cannot be seen.
pub fn lock_byte(file: &Fd, number: u64, waits: bool) -> Result<Option<i32>, Errno> {
    match lock(file, number, raw::F_WRLCK, if waits { raw::F_SETLKW } else { raw::F_SETLK }) {
        Ok(_) => Ok(None),
        // Who has it has given it up since, if nobody does.
        Err(Errno::AGAIN | Errno::ACCES) => {
            lock_holder(file, number).map(|holder| Some(holder.unwrap_or(0)))
        }
        Err(errno) => Err(errno),
    }
}

/// Locks one byte of a file for this process and for any other that shares it.
pub fn share_byte(file: &Fd, number: u64) {
    let _ = lock(file, number, raw::F_RDLCK, raw::F_SETLK);
}

/// Which other process has locked one byte of a file, if one has.
pub fn lock_holder(file: &Fd, number: u64) -> Result<Option<i32>, Errno> {
    lock(file, number, raw::F_WRLCK, raw::F_GETLK)
}

/// The settings of a serial line (TCGETS of ioctl_tty(2)). Errors: ENOTTY.
pub fn line_settings(line: &Fd, settings: &mut raw::termios) -> Result<(), Errno> {
    let (fd, pointer) = (line.raw() as usize, &raw mut *settings as usize);
    // SAFETY: the kernel writes its termios into a variable that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, ioctl::TCGETS as usize, pointer, 0) }.map(drop)
}

/// Whether a file is a terminal (TIOCOUTQ of ioctl_tty(2)).
pub fn is_terminal(file: &Fd) -> bool {
    let mut queued = 0i32;
    let pointer = &raw mut queued as usize;
    // SAFETY: the kernel writes a number into a variable that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, file.raw() as usize, ioctl::TIOCOUTQ as usize, pointer, 0) }
        .is_ok()
}

/// Makes a serial line this process's own: only root can still open it (TIOCEXCL of ioctl_tty(2)),
/// and whoever has it open, this process too, loses it (TIOCVHANGUP). Errors: EPERM for who is not
/// root, and then nobody loses it.
pub fn take_line(line: &Fd) -> Result<(), Errno> {
    set(line, ioctl::TIOCEXCL)?;
    set(line, ioctl::TIOCVHANGUP)
}

/// Has a file do one thing (ioctl(2)).
#[inline(never)]
fn set(file: &Fd, request: u32) -> Result<(), Errno> {
    // SAFETY: no request with which this is called has an argument.
    unsafe { call(raw::__NR_ioctl, file.raw() as usize, request as usize, 0, 0) }.map(drop)
}

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

/// Sets them, and drops input that has come before (TCSETS, TCFLSH).
pub fn set_line_settings(line: &Fd, settings: &raw::termios) -> Result<(), Errno> {
    const INPUT: usize = 0;
    let (fd, pointer) = (line.raw() as usize, &raw const *settings as usize);
    // SAFETY: the kernel reads a termios that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, ioctl::TCSETS as usize, pointer, 0) }?;
    // SAFETY: no memory is involved.
    unsafe { call(raw::__NR_ioctl, fd, ioctl::TCFLSH as usize, INPUT, 0) }.map(drop)
}

/// Seconds and nanoseconds of a clock (clock_gettime(2)).
pub fn clock(clock: u32) -> (u64, u64) {
    let mut now = raw::__kernel_timespec { tv_sec: 0, tv_nsec: 0 };
    let pointer = &raw mut now as usize;
    // SAFETY: the kernel writes one timespec into a variable that lives until it returns.
    let _ = unsafe { call(raw::__NR_clock_gettime, clock as usize, pointer, 0, 0) };
    (now.tv_sec as u64, now.tv_nsec as u64)
}

/// Sets the time of day, in seconds since 1970 and nanoseconds (clock_settime(2)). Errors: EPERM.
pub fn set_clock(seconds: i64, nanoseconds: i64) -> Result<(), Errno> {
    let time = raw::__kernel_timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let (clock, pointer) = (raw::CLOCK_REALTIME as usize, &raw const time as usize);
    // SAFETY: the kernel reads one timespec from a variable that lives until it returns.
    unsafe { call(raw::__NR_clock_settime, clock, pointer, 0, 0) }.map(drop)
}

/// What a hardware clock shows (RTC_RD_TIME of rtc(4)): its `struct rtc_time`.
pub fn rtc_time(rtc: &Fd, shown: &mut [i32; 9]) -> Result<(), Errno> {
    const RTC_RD_TIME: usize = 0x8024_7009;
    let (fd, pointer) = (rtc.raw() as usize, shown.as_mut_ptr() as usize);
    // SAFETY: the kernel writes its structure into a variable that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, RTC_RD_TIME, pointer, 0) }.map(drop)
}

/// Sets a hardware clock (RTC_SET_TIME). Errors: EACCES without the right to.
pub fn set_rtc_time(rtc: &Fd, shown: &[i32; 9]) -> Result<(), Errno> {
    const RTC_SET_TIME: usize = 0x4024_700A;
    let (fd, pointer) = (rtc.raw() as usize, shown.as_ptr() as usize);
    // SAFETY: the kernel reads its structure from a variable that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, RTC_SET_TIME, pointer, 0) }.map(drop)
}

/// Sends this process SIGALRM once, in so many milliseconds, or not at all when there are none
/// (setitimer(2)). The timer is that of CLOCK_MONOTONIC, whatever its name says, and no program
/// inherits it.
pub fn alarm(in_ms: u64) {
    let timer = raw::__kernel_old_itimerval {
        it_interval: raw::__kernel_old_timeval { tv_sec: 0, tv_usec: 0 },
        it_value: raw::__kernel_old_timeval {
            tv_sec: (in_ms / 1000) as i64,
            tv_usec: (in_ms % 1000 * 1000) as i64,
        },
    };
    let pointer = &raw const timer as usize;
    // SAFETY: the kernel reads one itimerval from a variable that lives until it returns.
    let _ = unsafe { call(raw::__NR_setitimer, raw::ITIMER_REAL as usize, pointer, 0, 0) };
}
