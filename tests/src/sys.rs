//! The system calls that std does not wrap and the jail needs: safe signatures in, `io::Error` out.

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const FIFREEZE: libc::c_ulong = 0xC004_5877;
const FITHAW: libc::c_ulong = 0xC004_5878;

fn c(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// unshare(2).
pub fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: takes flags only, and what it separates is the calling thread.
    check(unsafe { libc::unshare(flags) })
}

/// prlimit(2): how many descriptors a process may have open.
pub fn limit_descriptors(pid: u32, most: usize) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most as u64, rlim_max: 1024 };
    // SAFETY: reads one structure that lives for the call, and writes none.
    check(unsafe { libc::prlimit(pid as i32, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) })
}

/// setns(2) into the namespace behind an open file of /proc/PID/ns; the calling thread alone goes
/// there.
pub fn enter_namespace(namespace: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: takes a descriptor that is open.
    check(unsafe { libc::setns(namespace.as_raw_fd(), 0) })
}

/// mount(2).
pub fn mount(from: &Path, at: &Path, kind: &str, flags: libc::c_ulong) -> io::Result<()> {
    let (from, at, kind) = (c(from)?, c(at)?, CString::new(kind)?);
    // SAFETY: three C strings that live for the call, and no data.
    check(unsafe {
        libc::mount(from.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, std::ptr::null())
    })
}

/// mount(2) of what no device holds, with the options that its kind takes.
pub fn mount_with(options: &str, at: &Path, kind: &str) -> io::Result<()> {
    let (at, kind, options) = (c(at)?, CString::new(kind)?, CString::new(options)?);
    let none = c"none".as_ptr();
    // SAFETY: four C strings that live for the call.
    check(unsafe { libc::mount(none, at.as_ptr(), kind.as_ptr(), 0, options.as_ptr().cast()) })
}

/// umount2(2).
pub fn unmount(at: &Path, flags: libc::c_int) -> io::Result<()> {
    let at = c(at)?;
    // SAFETY: a C string that lives for the call.
    check(unsafe { libc::umount2(at.as_ptr(), flags) })
}

/// pivot_root(2).
pub fn pivot_root(new: &Path, old: &Path) -> io::Result<()> {
    let (new, old) = (c(new)?, c(old)?);
    // SAFETY: two C strings that live for the call.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, new.as_ptr(), old.as_ptr()) as i32 })
}

/// fchdir(2).
pub fn change_folder(folder: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: takes a descriptor that is open.
    check(unsafe { libc::fchdir(folder.as_raw_fd()) })
}

/// chroot(2) into an open folder.
pub fn change_root(folder: &impl AsRawFd) -> io::Result<()> {
    change_folder(folder)?;
    // SAFETY: a C string that lives for the call.
    check(unsafe { libc::chroot(c".".as_ptr()) })
}

/// mknod(2) for a character device.
pub fn make_device(path: &Path, major: u32, minor: u32) -> io::Result<()> {
    let path = c(path)?;
    // SAFETY: a C string that lives for the call.
    check(unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(major, minor)) })
}

/// Has the kernel kill this process when its parent ends.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: takes integers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
}

/// Takes a capability away from this process' future programs.
pub fn drop_capability(capability: libc::c_int) -> io::Result<()> {
    // SAFETY: takes integers only.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability) })
}

/// Freezes the filesystem that an open folder lies on.
pub fn freeze(folder: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: FIFREEZE ignores its argument.
    check(unsafe { libc::ioctl(folder.as_raw_fd(), FIFREEZE, 0) })
}

/// Thaws the filesystem that an open folder lies on.
pub fn thaw(folder: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: FITHAW ignores its argument.
    check(unsafe { libc::ioctl(folder.as_raw_fd(), FITHAW, 0) })
}

/// splice(2): moves at most `most` bytes from a pipe to a file; how many.
pub fn splice(pipe: &impl AsRawFd, file: &impl AsRawFd, most: usize) -> io::Result<usize> {
    let (from, to, none) = (pipe.as_raw_fd(), file.as_raw_fd(), std::ptr::null_mut());
    // SAFETY: two open descriptors, and no offsets.
    let moved = unsafe { libc::splice(from, none, to, none, most, 0) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Whether the filesystem that an open folder lies on is frozen.
pub fn is_frozen(folder: &impl AsRawFd) -> bool {
    match freeze(folder) {
        Ok(()) => {
            thaw(folder).expect("what was just frozen thaws");
            false
        }
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => true,
        Err(error) => panic!("FIFREEZE: {error}"),
    }
}

/// Sends a signal to a process of the test's own.
pub fn kill(pid: u32, signal: i32) -> io::Result<()> {
    // Never 0 or 1: the first would mean a whole group, the second everything.
    assert!(pid > 1, "no process of ours: {pid}");
    // SAFETY: takes integers only.
    check(unsafe { libc::kill(pid as i32, signal) })
}

/// Blocks all signals in this thread and its children's threads.
pub fn block_signals() {
    // SAFETY: a signal set is plain memory, filled before use.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
    }
}

/// Waits for one of the blocked signals.
pub fn next_signal() -> i32 {
    // SAFETY: as above; sigwaitinfo accepts no information.
    unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigwaitinfo(&all, std::ptr::null_mut())
    }
}

/// Reaps every child that has ended.
pub fn reap() {
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
}
