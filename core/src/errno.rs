//! Why a platform call failed: the number of errno(3) and its text, as glibc words it, because
//! clients show and match these texts. Numbers are Linux's generic ones; a platform that has others
//! translates.

use crate::text::{Phrase, Phrases};
use core::num::NonZeroU32;

/// An error number of errno(3), positive: so a result that carries nothing else is a number, 0 for
/// success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub NonZeroU32);

macro_rules! errnos {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Errno = Errno::new($number);)*
        }

        /// The texts by their numbers.
        const TEXTS: Phrases = phrases![$($number => $text),*];
    };
}

impl Errno {
    /// The error of a number. 0 is none: it counts as one that has no text.
    pub const fn new(number: u32) -> Self {
        match NonZeroU32::new(number) {
            Some(number) => Errno(number),
            None => Errno(NonZeroU32::MAX),
        }
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0.get()
    }

    /// Whether there was no descriptor left, in the process or in the system.
    pub fn is_short(self) -> bool {
        matches!(self, Errno::MFILE | Errno::NFILE)
    }

    /// The text of strerror(3), or nothing for a number that Linux does not have.
    pub fn text(self) -> Option<Phrase> {
        let text = TEXTS.nth(self.number() as usize);
        if text.is_empty() { None } else { Some(text) }
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
    NOTBLK = 15, "Block device required";
    BUSY = 16, "Device or resource busy";
    EXIST = 17, "File exists";
    XDEV = 18, "Invalid cross-device link";
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
    MLINK = 31, "Too many links";
    PIPE = 32, "Broken pipe";
    DOM = 33, "Numerical argument out of domain";
    RANGE = 34, "Numerical result out of range";
    DEADLK = 35, "Resource deadlock avoided";
    NAMETOOLONG = 36, "File name too long";
    NOLCK = 37, "No locks available";
    NOSYS = 38, "Function not implemented";
    NOTEMPTY = 39, "Directory not empty";
    LOOP = 40, "Too many levels of symbolic links";
    NOMSG = 42, "No message of desired type";
    IDRM = 43, "Identifier removed";
    CHRNG = 44, "Channel number out of range";
    L2NSYNC = 45, "Level 2 not synchronized";
    L3HLT = 46, "Level 3 halted";
    L3RST = 47, "Level 3 reset";
    LNRNG = 48, "Link number out of range";
    UNATCH = 49, "Protocol driver not attached";
    NOCSI = 50, "No CSI structure available";
    L2HLT = 51, "Level 2 halted";
    BADE = 52, "Invalid exchange";
    BADR = 53, "Invalid request descriptor";
    XFULL = 54, "Exchange full";
    NOANO = 55, "No anode";
    BADRQC = 56, "Invalid request code";
    BADSLT = 57, "Invalid slot";
    BFONT = 59, "Bad font file format";
    NOSTR = 60, "Device not a stream";
    NODATA = 61, "No data available";
    TIME = 62, "Timer expired";
    NOSR = 63, "Out of streams resources";
    NONET = 64, "Machine is not on the network";
    NOPKG = 65, "Package not installed";
    REMOTE = 66, "Object is remote";
    NOLINK = 67, "Link has been severed";
    ADV = 68, "Advertise error";
    SRMNT = 69, "Srmount error";
    COMM = 70, "Communication error on send";
    PROTO = 71, "Protocol error";
    MULTIHOP = 72, "Multihop attempted";
    DOTDOT = 73, "RFS specific error";
    BADMSG = 74, "Bad message";
    OVERFLOW = 75, "Value too large for defined data type";
    NOTUNIQ = 76, "Name not unique on network";
    BADFD = 77, "File descriptor in bad state";
    REMCHG = 78, "Remote address changed";
    LIBACC = 79, "Can not access a needed shared library";
    LIBBAD = 80, "Accessing a corrupted shared library";
    LIBSCN = 81, ".lib section in a.out corrupted";
    LIBMAX = 82, "Attempting to link in too many shared libraries";
    LIBEXEC = 83, "Cannot exec a shared library directly";
    ILSEQ = 84, "Invalid or incomplete multibyte or wide character";
    RESTART = 85, "Interrupted system call should be restarted";
    STRPIPE = 86, "Streams pipe error";
    USERS = 87, "Too many users";
    NOTSOCK = 88, "Socket operation on non-socket";
    DESTADDRREQ = 89, "Destination address required";
    MSGSIZE = 90, "Message too long";
    PROTOTYPE = 91, "Protocol wrong type for socket";
    NOPROTOOPT = 92, "Protocol not available";
    PROTONOSUPPORT = 93, "Protocol not supported";
    SOCKTNOSUPPORT = 94, "Socket type not supported";
    OPNOTSUPP = 95, "Operation not supported";
    PFNOSUPPORT = 96, "Protocol family not supported";
    AFNOSUPPORT = 97, "Address family not supported by protocol";
    ADDRINUSE = 98, "Address already in use";
    ADDRNOTAVAIL = 99, "Cannot assign requested address";
    NETDOWN = 100, "Network is down";
    NETUNREACH = 101, "Network is unreachable";
    NETRESET = 102, "Network dropped connection on reset";
    CONNABORTED = 103, "Software caused connection abort";
    CONNRESET = 104, "Connection reset by peer";
    NOBUFS = 105, "No buffer space available";
    ISCONN = 106, "Transport endpoint is already connected";
    NOTCONN = 107, "Transport endpoint is not connected";
    SHUTDOWN = 108, "Cannot send after transport endpoint shutdown";
    TOOMANYREFS = 109, "Too many references: cannot splice";
    TIMEDOUT = 110, "Connection timed out";
    CONNREFUSED = 111, "Connection refused";
    HOSTDOWN = 112, "Host is down";
    HOSTUNREACH = 113, "No route to host";
    ALREADY = 114, "Operation already in progress";
    INPROGRESS = 115, "Operation now in progress";
    STALE = 116, "Stale file handle";
    UCLEAN = 117, "Structure needs cleaning";
    NOTNAM = 118, "Not a XENIX named type file";
    NAVAIL = 119, "No XENIX semaphores available";
    ISNAM = 120, "Is a named type file";
    REMOTEIO = 121, "Remote I/O error";
    DQUOT = 122, "Disk quota exceeded";
    NOMEDIUM = 123, "No medium found";
    MEDIUMTYPE = 124, "Wrong medium type";
    CANCELED = 125, "Operation canceled";
    NOKEY = 126, "Required key not available";
    KEYEXPIRED = 127, "Key has expired";
    KEYREVOKED = 128, "Key has been revoked";
    KEYREJECTED = 129, "Key was rejected by service";
    OWNERDEAD = 130, "Owner died";
    NOTRECOVERABLE = 131, "State not recoverable";
    RFKILL = 132, "Operation not possible due to RF-kill";
    HWPOISON = 133, "Memory page has hardware error";
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.text() {
            Some(text) => text.fmt(f),
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
