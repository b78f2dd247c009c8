//! From the hypervisor's entry to 64-bit code: the PVH note, page tables, descriptor table, stacks.
//!
//! In: 32-bit protected mode, flat, paging off, EBX the address of the start information (Xen's
//! "x86/HVM direct boot ABI", docs/misc/pvh). Out: [`crate::entry`] called with that address, in
//! 64-bit mode, memory mapped one to one up to 4 GiB in pages of 2 MiB, interrupts off. From 3 GiB
//! on, where devices are, nothing is cached. SSE is on: the compiler uses its registers.

use super::memory::THIRD_LEVEL;
use core::arch::global_asm;

/// The stack: five times what requests of every kind, at all their limits, were seen to take.
pub const STACK_BYTES: usize = 32 * 1024;

/// The stack of what comes at any time, below whose stack pointer the compiler may have put
/// something (System V ABI for AMD64, 3.2.2): the non-maskable interrupt, and the double fault,
/// which writes last words.
const SUDDEN_STACK_BYTES: usize = 1024;

global_asm!(
    r#"
    .section .note.pvh, "a", @note
    .balign 4
    .long 4
    .long 8
    .long 18                        # XEN_ELFNOTE_PHYS32_ENTRY (Xen, public/elfnote.h)
    .asciz "Xen"
    .quad pvh_start

    .section .bss.boot, "aw", @nobits
    .balign 4096
boot_pml4:
    .skip 4096
boot_pd:
    .skip 4 * 4096
boot_stack:
    .skip {stack}
boot_stack_end:
    .skip {sudden_stack}
sudden_stack_end:
boot_task:                          # Intel SDM 3A, 7.7; in one page, by the sizes above
    .skip 104

    .section .data.boot, "aw", @progbits
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF        # 8: code, 64-bit (Intel SDM 3A, 3.4.5)
    .quad 0x00CF93000000FFFF        # 16: data
    .quad 0x0000890000000067        # 24: task state, 104 bytes (7.2.3), its address put in below
    .quad 0
boot_gdt_pointer:
    .word boot_gdt_pointer - boot_gdt - 1
    .long boot_gdt

    .section .text.boot, "ax", @progbits
    .code32
    .global pvh_start
pvh_start:
    cli
    cld
    # 2048 pages of 2 MiB: present, writable, large; from 3 GiB on write-through, cache disabled.
    movl $boot_pd, %edi
    movl $0x83, %eax
2:  cmpl $0xC0000000, %eax
    jb 3f
    orl $0x18, %eax
3:  movl %eax, (%edi)
    movl $0, 4(%edi)
    addl $8, %edi
    addl $0x200000, %eax
    jnc 2b
    movl $boot_pd + 3, %eax
    movl ${pdpt}, %edi
    movl $4, %ecx
4:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    loop 4b
    movl ${pdpt} + 3, boot_pml4
    # Intel SDM 3A, 9.8.5: PAE, the tables, long mode, paging; SSE beside it (9.6).
    movl $0x620, %eax               # CR4: PAE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx          # EFER
    rdmsr
    orl $0x100, %eax                # LME
    wrmsr
    movl %cr0, %eax
    andl $0x9FFFFFFB, %eax          # cached, no emulation of the FPU
    orl $0x80000003, %eax           # PG, MP, PE
    movl %eax, %cr0
    # The task state: interrupt stack 1, at 36. No map of ports: nothing here is less than ring 0.
    movl $sudden_stack_end, boot_task + 36
    movl $boot_task, %eax
    movw %ax, boot_gdt + 24 + 2
    shrl $16, %eax
    movb %al, boot_gdt + 24 + 4
    movb %ah, boot_gdt + 24 + 7
    lgdt boot_gdt_pointer
    ljmp $8, $5f
    .code64
5:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $24, %eax
    ltr %ax
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $boot_stack_end, %esp
    xorl %ebp, %ebp
    movl %ebx, %edi
    call {entry}
    ud2
    "#,
    stack = const STACK_BYTES,
    sudden_stack = const SUDDEN_STACK_BYTES,
    entry = sym crate::entry,
    pdpt = sym THIRD_LEVEL,
    options(att_syntax)
);
