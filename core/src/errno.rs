//! Why a platform call failed: the number of errno(3) and its text, as glibc words it, because clients show
//! and match these texts. Numbers are Linux's generic ones; a platform that has others translates.

/// An error number of errno(3), positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub u32);

macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Errno = Errno($number);)*
        }

        /// The texts, one after the other, in the order of their numbers.
        const TEXTS: &str = concat!($($text),*);
        /// Each number, and how long its text is.
        static LENGTHS: &[(u8, u8)] = &[$(($number, $text.len() as u8)),*];
    };
}

impl Errno {
    /// Whether there was no descriptor left, in the process or in the system.
    pub fn is_short(self) -> bool {
        matches!(self, Errno::MFILE | Errno::NFILE)
    }

    /// The text of strerror(3), or nothing for a number that no call of the agent returns.
    pub fn text(self) -> Option<&'static str> {
        // A table of references would take eight times the room.
        let mut start = 0;
        for &(number, length) in LENGTHS {
            let end = start + usize::from(length);
            if u32::from(number) == self.0 {
                return TEXTS.get(start..end);
            }
            start = end;
        }
        None
    }
}

errnos! {
    PERM = 1, "Operation not permitted";
    NOENT = 2, "No such file or directory";
    SRCH = 3, "No such process";
    INTR = 4, "Interrupted system call";
    IO = 5, "Input/output error";
    NXIO = 6, "No such device or address";
    TOOBIG = 7, "Argument list too long";
    NOEXEC = 8, "Exec format error";
    BADF = 9, "Bad file descriptor";
    CHILD = 10, "No child processes";
    AGAIN = 11, "Resource temporarily unavailable";
    NOMEM = 12, "Cannot allocate memory";
    ACCES = 13, "Permission denied";
    FAULT = 14, "Bad address";
    BUSY = 16, "Device or resource busy";
    EXIST = 17, "File exists";
    NODEV = 19, "No such device";
    NOTDIR = 20, "Not a directory";
    ISDIR = 21, "Is a directory";
    INVAL = 22, "Invalid argument";
    NFILE = 23, "Too many open files in system";
    MFILE = 24, "Too many open files";
    NOTTY = 25, "Inappropriate ioctl for device";
    TXTBSY = 26, "Text file busy";
    FBIG = 27, "File too large";
    NOSPC = 28, "No space left on device";
    SPIPE = 29, "Illegal seek";
    ROFS = 30, "Read-only file system";
    PIPE = 32, "Broken pipe";
    DEADLK = 35, "Resource deadlock avoided";
    NAMETOOLONG = 36, "File name too long";
    NOSYS = 38, "Function not implemented";
    LOOP = 40, "Too many levels of symbolic links";
    NODATA = 61, "No data available";
    PROTO = 71, "Protocol error";
    BADMSG = 74, "Bad message";
    OVERFLOW = 75, "Value too large for defined data type";
    OPNOTSUPP = 95, "Operation not supported";
    ADDRINUSE = 98, "Address already in use";
    NETUNREACH = 101, "Network is unreachable";
    CONNRESET = 104, "Connection reset by peer";
    NOBUFS = 105, "No buffer space available";
    NOTCONN = 107, "Transport endpoint is not connected";
    SHUTDOWN = 108, "Cannot send after transport endpoint shutdown";
    TIMEDOUT = 110, "Connection timed out";
    CONNREFUSED = 111, "Connection refused";
    HOSTDOWN = 112, "Host is down";
    HOSTUNREACH = 113, "No route to host";
    STALE = 116, "Stale file handle";
    UCLEAN = 117, "Structure needs cleaning";
    REMOTEIO = 121, "Remote I/O error";
    DQUOT = 122, "Disk quota exceeded";
    NOMEDIUM = 123, "No medium found";
    NOKEY = 126, "Required key not available";
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.text() {
            Some(text) => f.write_str(text),
            None => write!(f, "Unknown error {}", self.0),
        }
    }
}

impl core::error::Error for Errno {}

impl embedded_io::Error for Errno {
    fn kind(&self) -> embedded_io::ErrorKind {
        use embedded_io::ErrorKind as Kind;
        match *self {
            Errno::NOENT => Kind::NotFound,
            Errno::PERM | Errno::ACCES => Kind::PermissionDenied,
            Errno::EXIST => Kind::AlreadyExists,
            Errno::INVAL => Kind::InvalidInput,
            Errno::OPNOTSUPP => Kind::Unsupported,
            Errno::NOMEM => Kind::OutOfMemory,
            Errno::INTR => Kind::Interrupted,
            Errno::TIMEDOUT => Kind::TimedOut,
            _ => Kind::Other,
        }
    }
}
