//! Pages of memory that hold nothing any more, or what is in the program's file.

use core::ffi::c_void;
use rustix::mm::Advice;

/// The unit in which memory is given back.
const PAGE_BYTES: usize = 4096;

/// Gives the whole pages in `memory` back to the system (madvise(2)): they come back as zeros when
/// they are touched again. Its content must not matter any more.
pub fn give_back(memory: &mut [u8]) {
    let start = memory.as_mut_ptr();
    let skip = start.align_offset(PAGE_BYTES);
    if let Some(len) = memory.len().checked_sub(skip) {
        // SAFETY: whole pages inside bytes that are borrowed here alone, and any byte may be zero.
        let _ = unsafe {
            let whole = len / PAGE_BYTES * PAGE_BYTES;
            rustix::mm::madvise(start.wrapping_add(skip).cast(), whole, Advice::LinuxDontNeed)
        };
    }
}

/// Lets go of the program text that lies around `function`, mapped apart from all else (link.ld),
/// until somebody calls what is there: it is read from the file again.
pub fn let_go(function: *const ()) {
    /// What link.ld puts apart begins at a multiple of this, and so does what comes after it.
    const APART_BYTES: usize = 64 * 1024;
    let start = (function.addr() / APART_BYTES * APART_BYTES) as *mut c_void;
    // SAFETY: the program's own text, which nobody writes to. That there is none at its end is an
    // error that stops nothing.
    let _ = unsafe { rustix::mm::madvise(start, APART_BYTES, Advice::LinuxDontNeed) };
}
