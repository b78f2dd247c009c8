//! Which cores a thread may run on: a core or a set goes in; this thread, and what it starts from
//! then on, runs there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::Result;
use nix::sched::{sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

pub use nix::sched::CpuSet as Cores;

const OURSELVES: Pid = Pid::from_raw(0);

/// The cores that this thread may run on at present.
pub fn allowed() -> Result<Cores> {
    sched_getaffinity(OURSELVES)
}

/// Lets this thread run on these cores only.
pub fn allow(cores: Cores) -> Result<()> {
    sched_setaffinity(OURSELVES, &cores)
}

/// Lets this thread run on one core only. Allocates nothing: it is also called between fork and
/// exec.
pub fn pin(core: usize) -> Result<()> {
    let mut cores = Cores::new();
    cores.set(core)?;
    allow(cores)
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
