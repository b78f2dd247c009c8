//! The kernel's error numbers as the core's.

use qga_core::Errno;

/// The core's number for rustix's.
pub fn errno(error: rustix::io::Errno) -> Errno {
    Errno(error.raw_os_error() as u32)
}
