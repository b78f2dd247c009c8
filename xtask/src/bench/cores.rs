//! Which cores a thread may run on: a core or a set goes in; this thread, and what it starts from
//! then on, runs there.

use std::io::{Error, Result};

/// A set of cores.
#[derive(Clone, Copy)]
pub struct Cores(libc::cpu_set_t);

/// The cores that this thread may run on at present.
pub fn allowed() -> Result<Cores> {
    // SAFETY: the set is plain bits, zeroed is its empty value, and it lives across the call.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        match libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut cores) {
            0 => Ok(Cores(cores)),
            _ => Err(Error::last_os_error()),
        }
    }
}

/// Lets this thread run on these cores only.
pub fn allow(cores: Cores) -> Result<()> {
    // SAFETY: the set lives across the call.
    match unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &cores.0) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// Lets this thread run on one core only. Allocates nothing: it is also called between fork and
/// exec.
pub fn pin(core: usize) -> Result<()> {
    // SAFETY: zeroed is the empty set, and CPU_SET keeps inside it.
    allow(unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut cores);
        Cores(cores)
    })
}
