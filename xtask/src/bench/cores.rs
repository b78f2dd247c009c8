//! Which cores a thread may run on: a core or a set goes in; this thread, and what it starts from
//! then on, runs there.

use std::io::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

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

/// Keeps a core from falling asleep, until dropped: to wake a sleeping core of a virtual machine
/// takes as long as much of an agent's start, and differs from machine to machine.
pub struct Awake {
    ended: Arc<AtomicBool>,
    spinner: Option<JoinHandle<()>>,
}

impl Awake {
    pub fn new(core: usize) -> Awake {
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let spinner = std::thread::spawn(move || {
            // Of the idle class: whatever else wants the core has it at once.
            let parameters = libc::sched_param { sched_priority: 0 };
            // SAFETY: the parameters live across the call, which concerns this thread only.
            let idle = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) };
            if idle != 0 || pin(core).is_err() {
                return;
            }
            while !end.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        Awake { ended, spinner: Some(spinner) }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(spinner) = self.spinner.take() {
            let _ = spinner.join();
        }
    }
}
