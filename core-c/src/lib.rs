//! The agent for kernels written in C: a table of functions comes in, bytes for and from the
//! channel go through, and no memory is used but what the caller hands over. The header is
//! `include/qga.h`, written from this crate by `cargo run --manifest-path
//! core-c/header/Cargo.toml`.
//!
//! * [`operations`]: what the kernel can do, as a C table; NULL is "cannot".
//! * [`guest`]: the core's platform traits on such a table.
//! * [`agent`]: the functions that C calls, the verbs of [`qga_core::Agent`].
//!
//! A reachable panic is a link error: the panic handler calls a function that does not exist.

#![no_std]

pub mod agent;
pub mod guest;
pub mod operations;

#[cfg(prove_no_panic)]
unsafe extern "C" {
    /// Does not exist: a panic that can be reached makes the linker of the kernel say so.
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
    loop {
        core::hint::spin_loop();
    }
}
