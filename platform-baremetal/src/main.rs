//! The image `qga-baremetal`: the library's boot code, and what a program without an operating
//! system must have: memory functions, and a panic handler that is never linked.

#![no_std]
#![no_main]

use qga_baremetal as _;
// Linked for its symbols: the compiler calls them.
#[cfg(target_arch = "x86_64")]
use qga_mem as _;

#[cfg(prove_no_panic)]
unsafe extern "C" {
    /// Does not exist: a panic that can be reached makes the linker say so.
    fn a_panic_is_reachable() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(prove_no_panic)]
    // SAFETY: never linked.
    unsafe {
        a_panic_is_reachable()
    }
    #[cfg(not(prove_no_panic))]
    {
        qga_baremetal::arch::last_words("panic", &[]);
        qga_baremetal::arch::power::stop()
    }
}

#[cfg(not(prove_no_panic))]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
