//! Pages of memory that hold nothing any more.

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
