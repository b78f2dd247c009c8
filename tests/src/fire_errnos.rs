//! Which errors a system call of the agent can give: the call's name in, names of errors out. From
//! the manual pages of each call, without those that only a wrong program gets (EFAULT, EINVAL).

/// The calls that cannot fail, or have no way to say so.
pub const CANNOT_FAIL: [&str; 11] = [
    "clock_gettime",
    "execve",
    "exit_group",
    "geteuid",
    "getpid",
    "madvise",
    "prctl",
    "rt_sigaction",
    "rt_sigtimedwait",
    "setitimer",
    "umask",
];

/// The errors of one call; nothing where the call is not known here.
pub fn of(call: &str) -> Option<&'static [&'static str]> {
    Some(match call {
        // ENOENT from a filesystem in user space that has lost what is open.
        "read" => &["ENOENT", "EIO", "EINTR", "EAGAIN", "ENOMEM", "ECONNRESET"],
        "write" => &[
            "EIO",
            "EINTR",
            "EAGAIN",
            "ENOMEM",
            "ENOSPC",
            "EDQUOT",
            "EFBIG",
            "EPIPE",
            "ECONNRESET",
        ],
        "open" | "openat" => &[
            "EACCES", "EIO", "EINTR", "ELOOP", "EMFILE", "ENFILE", "ENOENT", "ENOMEM", "ENOSPC",
            "EROFS", "EDQUOT",
        ],
        "clock_settime" => &["EPERM"],
        "close_range" => &["ENOSYS", "ENOMEM"],
        "close" => &["EIO", "EINTR", "ENOSPC", "EDQUOT"],
        "lseek" => &["EOVERFLOW", "ESPIPE", "ENXIO"],
        "fsync" | "fdatasync" => &["EIO", "ENOSPC", "EDQUOT", "EINTR"],
        "ftruncate" => &["EIO", "EINTR", "EFBIG", "EROFS"],
        "poll" | "ppoll" => &["EINTR", "ENOMEM"],
        "fcntl" => &["EBADF", "ENOLCK"],
        "readlink" | "readlinkat" => &["EACCES", "EIO", "ENOENT", "ENOMEM"],
        "stat" | "lstat" | "fstat" | "newfstatat" | "statx" => {
            &["EACCES", "EIO", "ELOOP", "ENOENT", "ENOMEM", "ENOTDIR"]
        }
        "getdents64" => &["EIO", "ENOENT", "ENOMEM"],
        "statfs" | "fstatfs" => &["EACCES", "EIO", "EINTR", "ENOMEM", "ENOSYS"],
        "access" | "faccessat" | "faccessat2" => &["EACCES", "EIO", "ENOMEM", "EROFS"],
        "rename" | "renameat" | "renameat2" => {
            &["EACCES", "EIO", "ENOMEM", "ENOSPC", "EDQUOT", "EROFS"]
        }
        "unlink" | "unlinkat" => &["EACCES", "EBUSY", "EIO", "ENOENT", "ENOMEM", "EROFS"],
        "mkdir" | "mkdirat" => &["EACCES", "EEXIST", "ENOSPC", "EROFS"],
        "rt_sigprocmask" => &["EPERM"],
        "signalfd4" => &["EMFILE", "ENFILE", "ENODEV", "ENOMEM"],
        "socket" => &["EACCES", "EAFNOSUPPORT", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"],
        "bind" => &["EACCES", "EADDRINUSE", "EIO", "ENOENT", "ENOMEM", "ENOSPC", "EROFS"],
        "listen" => &["EADDRINUSE", "ENOBUFS"],
        "accept4" => {
            &["EAGAIN", "ECONNABORTED", "EINTR", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPERM"]
        }
        "getsockopt" => &["ENOBUFS", "ENOMEM"],
        "connect" => &["EACCES", "EAGAIN", "ECONNREFUSED", "EINTR", "ENOENT"],
        "pipe2" => &["EMFILE", "ENFILE"],
        // What only a start in the background calls.
        "setsid" => &["EPERM"],
        "chdir" => &["EACCES", "EIO", "ENOMEM"],
        "dup3" => &["EBUSY", "EINTR", "EMFILE"],
        "fork" => &["EAGAIN", "ENOMEM"],
        "splice" => &["EAGAIN", "ENOMEM", "ENOSPC"],
        "wait4" => &["ECHILD"],
        "memfd_create" => &["EMFILE", "ENFILE", "ENOMEM"],
        "ioctl" => &["EIO", "EINTR", "ENOTTY"],
        "prlimit64" => &["EPERM"],
        _ => return None,
    })
}
