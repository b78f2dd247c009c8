//! The standard descriptors: what a parent has left open of them comes in, all three open go out.
//! Invariant: no file that the agent opens later can take the place of one.

use crate::fd::Fd;
use crate::sys;
use qga_core::Errno;
use rustix::fs::OFlags;

/// Opens what is closed of standard input, output and error. Process 1 has none of them where there
/// is no console, and the channel would take their place: a log line would go to the hypervisor.
/// What is opened takes nothing, so that a log that nobody reads takes no memory.
pub fn fill_standard() -> Result<(), Errno> {
    for number in 0..3 {
        // SAFETY: only asked whether it is open, and not closed here.
        let standard = unsafe { Fd::from_raw(number) };
        let open = rustix::io::fcntl_getfd(&standard).is_ok();
        standard.keep_open();
        if !open {
            // The lowest free number is taken, and all below are open.
            sys::open(c"/", OFlags::PATH, 0)?.keep_open();
        }
    }
    Ok(())
}
