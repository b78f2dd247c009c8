# Where the kernel enters the static binary in a build that is measured: the pages of the counters become
# those of a file, shared by every process that runs it, so that nothing has to be written at the end and a
# killed agent has counted too. Without the file it goes on uncounted. Then the binary's own entry.
# @PATH@ is the file's path. System calls: open, mmap, close (Linux, x86-64).
    .intel_syntax noprefix
    .text
    .globl coverage_start
coverage_start:
    mov eax, 2
    lea rdi, [rip + coverage_path]
    mov esi, 2
    xor edx, edx
    syscall
    test eax, eax
    js 1f
    mov r12d, eax
    mov r8d, eax
    mov eax, 9
    lea rdi, [rip + coverage_counters]
    lea rsi, [rip + coverage_counters_end]
    sub rsi, rdi
    mov edx, 3
    mov r10d, 0x11
    xor r9d, r9d
    syscall
    mov eax, 3
    mov edi, r12d
    syscall
1:
    xor edx, edx
    jmp _start
coverage_path:
    .asciz "@PATH@"
    .section .note.GNU-stack, "", @progbits
