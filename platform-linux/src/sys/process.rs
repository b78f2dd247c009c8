//! Processes and signals: numbers of both come in, what became of a process, and descriptors that
//! signals are read from, go out.

use super::{call, call_fd};
use crate::fd::Fd;
use core::ffi::CStr;
use linux_raw_sys::general as raw;
use qga_core::Errno;
use qga_core::platform::Exit;

/// Ends the process.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: ends the process and with it every claim on its memory.
        let _ = unsafe { call(raw::__NR_exit_group, status as usize, 0, 0, 0) };
    }
}

/// Where a process goes on after [`fork`].
pub enum Fork {
    /// In the new process.
    Child,
    /// In the old one, which learns the number of the new.
    Parent(i32),
}

/// Makes a copy of this process. Errors: EAGAIN, ENOMEM.
///
/// # Safety
/// The child must end by [`execve`] or [`exit`].
pub unsafe fn fork() -> Result<Fork, Errno> {
    // SAFETY: a process with one thread; both copies return with the same stack, each in its own
    // memory.
    Ok(match unsafe { call(raw::__NR_fork, 0, 0, 0, 0) }? {
        0 => Fork::Child,
        pid => Fork::Parent(pid as i32),
    })
}

/// Replaces this process by a program; returns only with an error.
///
/// # Safety
/// `arguments` and `environment` end with a null pointer; what they point to ends with a NUL.
pub unsafe fn execve(
    path: &CStr,
    arguments: *const *const u8,
    environment: *const *const u8,
) -> Errno {
    let path = path.as_ptr() as usize;
    // SAFETY: the caller vouches for the lists.
    let failed =
        unsafe { call(raw::__NR_execve, path, arguments as usize, environment as usize, 0) };
    failed.err().unwrap_or(Errno::NOSYS)
}

/// Waits for the end of a child: how it has ended (wait4(2)).
pub fn wait_for(pid: i32) -> Result<Exit, Errno> {
    collect(pid as usize, 0).map(|(_, exit)| exit)
}

/// Waits until a child has ended, or for so many milliseconds (rt_sigtimedwait(2)): SIGCHLD, which
/// is blocked, is taken away.
pub fn wait_for_child(ms_max: u64) {
    let set = 1u64 << (raw::SIGCHLD - 1);
    // `struct timespec`: seconds, nanoseconds.
    let time = [ms_max / 1000, ms_max % 1000 * 1_000_000];
    let (set, time) = (&raw const set as usize, &raw const time as usize);
    // SAFETY: the kernel reads variables that live until it returns, and writes nothing.
    let _ = unsafe { call(raw::__NR_rt_sigtimedwait, set, 0, time, 8) };
}

/// Opens what is open as `file` by this number as well, in the place of what was (dup3(2)). Only
/// where asked for programs do not inherit it. Not by rustix, which knows no numbers but the
/// standard ones.
pub fn duplicate(file: &Fd, number: i32, closes: bool) -> Result<(), Errno> {
    let flags = if closes { raw::O_CLOEXEC } else { 0 };
    let from = file.raw() as usize;
    // SAFETY: no memory is involved; whose the number is the caller knows.
    unsafe { call(raw::__NR_dup3, from, number as usize, flags as usize, 0) }.map(drop)
}

/// Collects a child that has ended, any one: its number, and how it ended (wait4(2)). Nothing if
/// none has yet. Errors: ECHILD when there is none.
pub fn wait() -> Result<Option<(i32, Exit)>, Errno> {
    const NO_HANG: usize = 1;
    let (pid, exit) = collect(usize::MAX, NO_HANG)?;
    Ok((pid != 0).then_some((pid, exit)))
}

fn collect(whom: usize, options: usize) -> Result<(i32, Exit), Errno> {
    let mut status = 0i32;
    let pointer = &raw mut status as usize;
    // SAFETY: the kernel writes the status into a variable that lives until the call returns.
    let pid = unsafe { call(raw::__NR_wait4, whom, pointer, options, 0) }?;
    // wait(2): the signal in the low seven bits, else what it returned in the next byte.
    let exit = match status & 0x7F {
        0 => Exit::Status((status >> 8) as u8),
        signal => Exit::Signal(signal as u8),
    };
    Ok((pid as i32, exit))
}

/// Sets a limit of this process, as far as the administrator allows (prlimit(2)).
pub fn set_soft_limit(which: u32, wanted: u64) {
    // `struct rlimit64`: the soft limit, then the hard one, which it cannot exceed.
    let mut limit = [0u64; 2];
    let pointer = &raw mut limit as usize;
    let which = which as usize;
    // SAFETY: the kernel writes two words into a variable that lives until the call returns.
    if unsafe { call(raw::__NR_prlimit64, 0, which, 0, pointer) }.is_ok() {
        let [_, hard] = limit;
        limit = [wanted.min(hard), hard];
        // SAFETY: the kernel reads the same.
        let _ = unsafe { call(raw::__NR_prlimit64, 0, which, &raw const limit as usize, 0) };
    }
}

/// Whether this process can be looked into by others of its user, and its memory be written to a
/// file when it dies (PR_SET_DUMPABLE of prctl(2)).
pub fn set_dumpable(dumpable: bool) {
    let (what, dumpable) = (linux_raw_sys::prctl::PR_SET_DUMPABLE, usize::from(dumpable));
    // SAFETY: no memory is involved.
    let _ = unsafe { call(raw::__NR_prctl, what as usize, dumpable, 0, 0) };
}

/// Has this process killed when the one that it is a copy of ends (PR_SET_PDEATHSIG of prctl(2)).
pub fn end_with_parent() {
    let (what, signal) = (linux_raw_sys::prctl::PR_SET_PDEATHSIG, raw::SIGKILL);
    // SAFETY: no memory is involved.
    let _ = unsafe { call(raw::__NR_prctl, what as usize, signal as usize, 0, 0) };
}

/// Sends a signal by number, real-time ones too (kill(2)).
pub fn kill(pid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: no memory is involved.
    unsafe { call(raw::__NR_kill, pid as usize, signal as usize, 0, 0) }.map(drop)
}

/// The set of all signals.
pub const ALL_SIGNALS: u64 = !0;

/// Stops a process without its knowing, or lets it go on (ptrace(2)). It goes on at the latest when
/// this one ends.
pub fn hold(pid: i32, hold: bool) {
    const SEIZE: usize = 0x4206;
    const INTERRUPT: usize = 0x4207;
    const DETACH: usize = 17;
    let requests: &[usize] = if hold { &[SEIZE, INTERRUPT] } else { &[DETACH] };
    for &request in requests {
        // SAFETY: no memory is involved.
        let _ = unsafe { call(raw::__NR_ptrace, request, pid as usize, 0, 0) };
    }
}

/// Makes `set` the blocked signals (rt_sigprocmask(2)).
pub fn block_signals(set: u64) -> Result<(), Errno> {
    let pointer = &raw const set as usize;
    // SAFETY: the kernel reads eight bytes of a variable that lives until it returns.
    unsafe { call(raw::__NR_rt_sigprocmask, raw::SIG_SETMASK as usize, pointer, 0, 8) }.map(drop)
}

/// Has a signal do what it does by default, whatever the parent of this process had it do
/// (rt_sigaction(2)).
pub fn default_action(signal: u32) {
    // `struct sigaction` of the kernel: handler, flags, restorer, mask. SIG_DFL is zero.
    let action = [0usize; 4];
    let pointer = &raw const action as usize;
    // SAFETY: the kernel reads four words of a variable that lives until it returns; no handler is
    // installed.
    let _ = unsafe { call(raw::__NR_rt_sigaction, signal as usize, pointer, 0, 8) };
}

/// A descriptor from which blocked signals of `set` are read (signalfd(2)).
pub fn signalfd(set: u64) -> Result<Fd, Errno> {
    let pointer = &raw const set as usize;
    // SFD_CLOEXEC and SFD_NONBLOCK are the same numbers by definition (linux/signalfd.h).
    let flags = (raw::O_CLOEXEC | raw::O_NONBLOCK) as usize;
    // SAFETY: the kernel reads eight bytes of a variable that lives until it returns.
    unsafe { call_fd(raw::__NR_signalfd4, usize::MAX, pointer, 8, flags) }
}
