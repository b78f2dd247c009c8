//! From the hypervisor's entry to Rust: the head of the image, stack, an empty .bss, exceptions.
//!
//! In: EL1, translation off, interrupts masked, X0 the address of the device tree (Linux,
//! Documentation/arch/arm64/booting.rst). Out: [`crate::entry`] called with that address.
//! Interrupts stay masked for good: a pending one ends WFI all the same (Arm ARM, D1.6.2), so that
//! no handler is needed.

use core::arch::global_asm;

/// The stack: five times what requests of every kind, at all their limits, were seen to take.
pub const STACK_BYTES: usize = 32 * 1024;

global_asm!(
    r#"
    .section .text.boot, "ax", @progbits
    .global image_start
image_start:
    b 1f
    nop
    .quad 0                         // no offset from a boundary of 2 MiB
    .quad image_bytes
    .quad 0b1010                    // little-endian, pages of 4 KiB, anywhere in memory
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long 0
1:  msr daifset, #0b1111
    mov x1, #3 << 20                // CPACR_EL1.FPEN: the compiler uses the vector registers
    msr cpacr_el1, x1
    isb
    adrp x1, bss_begin
    add x1, x1, :lo12:bss_begin
    adrp x2, bss_end
    add x2, x2, :lo12:bss_end
2:  cmp x1, x2
    b.hs 3f
    stp xzr, xzr, [x1], #16
    b 2b
3:  adrp x1, boot_stack_end
    add x1, x1, :lo12:boot_stack_end
    mov sp, x1
    adrp x1, boot_vectors
    add x1, x1, :lo12:boot_vectors
    msr vbar_el1, x1
    isb
    mov x29, xzr
    mov x30, xzr
    bl {entry}
    b .

    // Arm ARM, D1.10.2: 16 entries of 128 bytes. Each means a fault that the guest cannot have.
    .balign 2048
boot_vectors:
    .rept 16
    .balign 128
    mrs x0, esr_el1
    mrs x1, elr_el1
    mrs x2, far_el1
    b {fault}
    .endr

    .section .bss.boot, "aw", @nobits
    .balign 16
    .skip {stack}
boot_stack_end:
    "#,
    stack = const STACK_BYTES,
    entry = sym crate::entry,
    fault = sym fault,
);

extern "C" fn fault(syndrome: u64, place: u64, address: u64) -> ! {
    let words = [syndrome, place, address];
    super::last_words("exception in the guest; ESR, ELR, FAR:", &words);
    super::power::stop()
}
