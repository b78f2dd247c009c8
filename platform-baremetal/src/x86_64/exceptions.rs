//! The end of a guest that cannot go on: what the processor has pushed, or why, in; the last words
//! on the first serial line out. Invariant: nothing comes back from an exception.

use super::power;
use super::uart::Uart;
use core::arch::naked_asm;

/// Says the last words of a guest that cannot go on, on the first serial line.
pub fn last_words(text: &str, words: &[u64]) {
    let Some(uart) = Uart::find(0) else { return };
    crate::words::write(text, words, |byte| uart.send_waiting(byte));
}

/// What an exception comes to: the guest has a fault that it cannot have. It says so and stops.
#[unsafe(naked)]
pub unsafe extern "C" fn fault() {
    naked_asm!("mov rdi, rsp", "and rsp, -16", "call {}", "ud2", sym stop_at_fault)
}

extern "C" fn stop_at_fault(frame: *const u64) -> ! {
    // SAFETY: the processor has pushed at least these three words (SDM 3A, 6.14.2): an error code
    // or the place, then the place or the segment.
    let words = unsafe { [*frame, *frame.wrapping_add(1), *frame.wrapping_add(2)] };
    last_words("exception in the guest; the words on the stack:", &words);
    power::stop()
}
