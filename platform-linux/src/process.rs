//! The process that the agent is: what it changes about itself before anything else, and what it
//! takes back in programs that it starts.

use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::general::{RLIMIT_CORE, RLIMIT_FSIZE, RLIMIT_NOFILE, SIGCHLD};
use qga_core::Errno;
use rustix::fs::OFlags;

/// The highest signal there is (_NSIG of the kernel).
const SIGNAL_MAX: u32 = 64;

/// What the kernel adds to a process' size when it looks for one to kill because memory is short
/// (proc(5)).
const BADNESS: &CStr = c"/proc/self/oom_score_adj";
/// Never this one: an agent that is killed while the guest's disks are frozen leaves them so.
const NEVER: &[u8] = b"-1000";

/// What programs that the agent starts get back: what stood in [`BADNESS`], ended by zeros, which
/// end a text for the kernel too; nothing when it stands there still.
pub struct Inherited([u8; 8]);

/// Blocks the signals, before anything else that takes time. Errors: they cannot be blocked, and
/// any of them would end an agent that holds filesystems frozen.
pub fn block_signals() -> Result<(), Errno> {
    // All: those of a fault that does happen end the process all the same, sent by somebody they
    // mean nothing.
    sys::process::block_signals(sys::process::ALL_SIGNALS)
}

/// Settles the process, whose signals are blocked.
pub fn settle() -> Inherited {
    // Ignored, as some parents hand it down, the kernel would keep no child's exit status.
    sys::process::default_action(SIGCHLD);
    // The frozen mark is a file, and so is what programs print: those keep the limit as it is here.
    sys::process::set_soft_limit(RLIMIT_FSIZE, u64::MAX);
    // Each handle and each frozen filesystem takes a descriptor, and so does a client: without one
    // nobody is heard.
    sys::process::set_soft_limit(RLIMIT_NOFILE, u64::MAX);
    // What passes through the agent is for nobody else, so its memory goes to no file when it dies.
    sys::process::set_soft_limit(RLIMIT_CORE, 0);
    let mut badness = [0; 8];
    // Where this is not allowed the agent is as likely to be killed as it was.
    let lowered = sys::open(BADNESS, OFlags::RDWR, 0).and_then(|file| {
        file.get(&mut badness)?;
        file.put(NEVER)
    });
    if lowered.is_err() {
        badness = [0; 8];
    }
    // Nor to a debugger of the same user. Last, because it gives the files of /proc/self to root.
    sys::process::set_dumpable(false);
    Inherited(badness)
}

/// A variable of the environment.
///
/// # Safety
/// The list ends with a null pointer, its words with NULs; both live as long as the process, and
/// nobody changes them.
#[inline(never)]
pub unsafe fn variable(mut environment: *const *const u8, name: &str) -> Option<&'static CStr> {
    loop {
        // SAFETY: the caller vouches for it.
        let word = unsafe { environment.read() };
        if word.is_null() {
            return None;
        }
        // SAFETY: as above.
        let text = unsafe { CStr::from_ptr(word.cast()) }.to_bytes();
        if let Some([b'=', value @ ..]) = text.strip_prefix(name.as_bytes()) {
            // SAFETY: the rest of a text that ends with a NUL.
            return Some(unsafe { CStr::from_ptr(value.as_ptr().cast()) });
        }
        environment = environment.wrapping_add(1);
    }
}

impl Inherited {
    /// In a child, before it becomes a program: no signal is ignored, whatever the agent's parent
    /// had ignored, and none is blocked; and it has the usual number of descriptors.
    pub fn hand_on(&self) {
        if self.0 != [0; 8] {
            // An ordinary user with the right to change it could not open the file otherwise.
            sys::process::set_dumpable(true);
            let _ = sys::open(BADNESS, OFlags::RDWR, 0).and_then(|file| file.put(&self.0));
        }
        // As the kernel and systemd begin with: select(2) of an old program knows no higher number.
        sys::process::set_soft_limit(RLIMIT_NOFILE, 1024);
        for signal in 1..=SIGNAL_MAX {
            sys::process::default_action(signal);
        }
        let _ = sys::process::block_signals(0);
    }
}
