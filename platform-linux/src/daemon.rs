//! Serving in the background, as the reference does with `-d`: a process of its own, a file with
//! its number, and whoever started it waits until it serves.

use crate::errno::errno;
use crate::fd::Fd;
use crate::platform::{Linux, LogFile};
use crate::sys;
use crate::sys::process::Fork;
use core::ffi::CStr;
use qga_core::Errno;
use qga_core::writer::Writer;
use rustix::fs::{Mode, OFlags};

/// Goes on in a process of its own, which nobody's terminal ends and whose files are for nobody
/// else. What started it ends with 0 as soon as [`serves`] is called, and with 1 when it ends
/// before that. It is told through what this returns. Errors: there can be no pipe, no process.
pub fn detach() -> Result<Fd, Errno> {
    let [hears, tells] = sys::pipe()?;
    // SAFETY: both end by exit.
    if let Fork::Parent(_) = unsafe { sys::process::fork() }? {
        drop(tells);
        // Whoever waits may be interrupted.
        let _ = sys::process::block_signals(0);
        // Why it could not, it has said on the same standard error.
        let served = hears.get(&mut [0]) == Ok(1);
        sys::process::exit(i32::from(!served))
    }
    // As a new process it leads no group of processes, which is all that this could fail for.
    let _ = rustix::process::setsid();
    rustix::process::umask(Mode::from_raw_mode(0o077));
    Ok(tells)
}

/// It serves, or waits for its device: it leaves its directory and its standard descriptors alone,
/// and whoever waits may go.
#[inline(never)]
pub fn serves(linux: &mut Linux) {
    let Some(waits) = linux.started_by.take() else { return };
    let _ = rustix::process::chdir(c"/");
    let nothing = sys::open(c"/dev/null", OFlags::RDWR, 0);
    if let Ok(nothing) = nothing.or_else(|_| sys::open(c"/", OFlags::PATH, 0)) {
        for number in 0..3 {
            let _ = sys::process::duplicate(&nothing, number, false);
        }
    }
    if linux.log.path.is_none() {
        linux.log = LogFile::new(None);
    }
    let _ = waits.put(b"\n");
}

/// Locks the file and puts this process's number into it. The lock lasts as long as the process, or
/// what this returns. Errors: EBUSY when another process has it; why it cannot be made.
pub fn take_pid_file(path: &CStr) -> Result<Fd, Errno> {
    let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = sys::open(path, OFlags::RDWR | OFlags::CREATE | careful, 0o600)?;
    if sys::locks::lock_byte(&file, 0, false)?.is_some() {
        return Err(Errno::BUSY);
    }
    rustix::fs::ftruncate(&file, 0).map_err(errno)?;
    let mut digits = [0; 16];
    let mut out = Writer::new(&mut digits);
    out.unsigned(rustix::process::getpid().as_raw_pid().unsigned_abs().into());
    out.ascii("\n");
    file.put(out.written())?;
    Ok(file)
}
