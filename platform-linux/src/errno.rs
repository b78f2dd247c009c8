//! The kernel's error numbers as the core's.

use core::num::NonZeroU32;
use qga_core::Errno;

/// The core's number for rustix's.
pub fn errno(error: rustix::io::Errno) -> Errno {
    // SAFETY: rustix' errors are numbers that the kernel has given, of which none is 0.
    Errno(unsafe { NonZeroU32::new_unchecked(error.raw_os_error() as u32) })
}
