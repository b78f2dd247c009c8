//! A seccomp filter that kills the process at any call that gets memory or makes a process:
//! installed by the test's helper right before execve(2) of the agent. From seccomp(2) and
//! linux/filter.h.

use std::io;

/// The calls that an agent never makes after its start, outside guest-shutdown: memory, processes,
/// and a second program. execve itself stays allowed, for the start.
pub const FORBIDDEN: &[(&str, libc::c_long)] = &[
    ("mmap", libc::SYS_mmap),
    ("mremap", libc::SYS_mremap),
    ("mprotect", libc::SYS_mprotect),
    ("brk", libc::SYS_brk),
    ("shmat", libc::SYS_shmat),
    ("remap_file_pages", libc::SYS_remap_file_pages),
    ("clone", libc::SYS_clone),
    ("clone3", libc::SYS_clone3),
    ("execveat", libc::SYS_execveat),
    #[cfg(target_arch = "x86_64")]
    ("fork", libc::SYS_fork),
    #[cfg(target_arch = "x86_64")]
    ("vfork", libc::SYS_vfork),
];

/// Where a filter finds things in `struct seccomp_data`, in bytes.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// The only architecture whose numbers stand above (linux/audit.h).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xC000_003E;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xC000_00B7;

/// x86-64's other numbering (x32) has this bit set.
const X32_BIT: u32 = 0x4000_0000;

fn instruction(code: u32, if_true: u8, if_false: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: if_true, jf: if_false, k }
}

/// The program: anything of another architecture or on the list kills, the rest goes on.
fn program() -> Vec<libc::sock_filter> {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let at_least = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    let give = libc::BPF_RET | libc::BPF_K;
    let kill = instruction(give, 0, 0, libc::SECCOMP_RET_KILL_PROCESS);
    let mut program = vec![
        instruction(load, 0, 0, ARCHITECTURE_AT),
        instruction(equal, 1, 0, ARCHITECTURE),
        kill,
        instruction(load, 0, 0, NUMBER_AT),
        instruction(at_least, 0, 1, X32_BIT),
        kill,
    ];
    for &(_, number) in FORBIDDEN {
        program.extend([instruction(equal, 0, 1, number as u32), kill]);
    }
    program.push(instruction(give, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

/// Installs the filter for this process and all that it becomes. Nothing may be allocated
/// afterwards.
pub fn install() -> io::Result<()> {
    let mut filter = program();
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: integers only; then a program that lives for the call, which copies it.
    let results = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program),
        ]
    };
    match results {
        [0, 0] => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
