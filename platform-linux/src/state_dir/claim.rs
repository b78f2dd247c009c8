//! One directory for one agent: it is looked at, then locked for life. The lock is a record lock
//! (fcntl(2)) on a file that only its owner can open: nobody else can take it, no child inherits
//! it, and it says which process has it.

use super::trust::{HELD, UNTRUSTED, in_memory, open_lock, trusted, writable};
use crate::fd::Fd;
use crate::path::PathBuffer;
use crate::print::{STDERR, line};
use crate::sys;
use core::cell::Cell;
use core::ffi::CStr;
use core::mem::ManuallyDrop;
use linux_raw_sys::general::{S_IFDIR, S_IFREG};
use qga_core::Errno;
use qga_core::error::reason;
use qga_core::text::Phrases;
use qga_core::writer::Writer;
use qga_core::{phrase, phrases};

/// What is said of [`HELD`] and what follows it.
const WHY: Phrases = phrases![
    "in use by the agent with pid",
    "qga.lock is no plain file: remove it",
    "belongs to another user: chown it or use -t",
    "others can write to it: name another with -t",
    "is another user's link",
    "ignored a state file or mark that is not the agent's own",
];

/// Why a directory is not used, or a file in it.
pub struct Refused {
    pub path: &'static CStr,
    /// 0 while there is nothing to say.
    errno: Cell<Option<Errno>>,
    /// The process that has the directory, if one has; 0 where it cannot be seen.
    pid: i32,
}

impl Refused {
    /// Nothing to say.
    pub const fn nothing() -> Self {
        Refused { path: c"", errno: Cell::new(None), pid: 0 }
    }

    /// Whether an agent that lives has a directory.
    pub fn is_held(&self) -> bool {
        self.errno.get() == Some(HELD)
    }

    /// Whether it is more than that nothing is there, or can be written to: somebody must mend it.
    pub fn is_grave(&self) -> bool {
        self.errno.get().is_some_and(|errno| errno.number() >= HELD.number())
    }

    /// Why there is no directory, as a reply can say it.
    pub fn reason(&self) -> Errno {
        self.errno.get().filter(|_| !self.is_grave()).unwrap_or(Errno::PERM)
    }

    /// Forgets what was only not there, or not permitted. What is said later concerns files in
    /// `path`, or in a usual directory.
    pub fn only_untrusted(&mut self, path: Option<&'static CStr>) {
        if !self.is_grave() {
            *self = Refused { path: path.unwrap_or(c"/run/qga"), ..Refused::nothing() };
        }
    }

    /// What is wrong with a directory.
    fn put(&mut self, path: &'static CStr, errno: Errno) {
        self.path = path;
        self.errno.set(Some(errno));
    }

    /// A file in a directory is none that an agent has written.
    pub fn ignored(&self) {
        if self.errno.get().is_none() {
            self.errno.set(Some(UNTRUSTED));
        }
    }

    /// Says it on standard error.
    pub fn explain(&self) {
        let Some(errno) = self.errno.get() else { return };
        line(&STDERR, |out| {
            out.phrase(phrase!("qga: state directory "));
            out.raw(self.path.to_bytes());
            out.ascii(": ");
            match errno.number().checked_sub(HELD.number()) {
                Some(why) => out.phrase(WHY.nth(why as usize)),
                None => reason(out, errno),
            }
            if errno == HELD {
                out.ascii(" ");
                out.unsigned(self.pid.unsigned_abs().into());
            }
        });
    }
}

/// What tells the agents apart that share a usual place: those with different `-t`.
pub struct Key {
    /// Which byte of the lock file is locked.
    number: u64,
    /// The name of a mark that is begun: a point, then that of one in force. Ends with zeros.
    name: [u8; 48],
}

impl Key {
    /// Which byte a worker locks, for as long as it lives, also when it is killed and the kernel
    /// does not let it go.
    pub fn of_workers(&self) -> u64 {
        self.number ^ 1
    }

    /// That of an agent without `-t`.
    pub const NONE: Self = Key {
        number: 0,
        name: *b".qga.state.isfrozen\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    };

    /// The name of a mark that is begun.
    pub fn begun(&self) -> &CStr {
        // SAFETY: the last byte is a NUL, whatever the others are.
        unsafe { CStr::from_ptr((&raw const self.name).cast()) }
    }

    /// The name of a mark in force.
    #[inline(never)]
    pub fn name(&self) -> &CStr {
        // SAFETY: as above, and the first byte is none.
        unsafe { CStr::from_ptr((&raw const self.name).cast::<i8>().wrapping_add(1)) }
    }

    /// Becomes that of the directory of `-t`, from its name, however it was written. Whether that
    /// can be found out.
    pub fn take(&mut self, dir: &Fd, room: &mut PathBuffer) -> bool {
        let mut link = [0; 32];
        let mut out = Writer::new(&mut link);
        out.ascii("/proc/self/fd/");
        out.unsigned(dir.raw().unsigned_abs().into());
        // SAFETY: a number is shorter than the zeros after it.
        let link = unsafe { CStr::from_ptr(link.as_ptr().cast()) };
        let Ok(len) = sys::read_link(link, room.bytes()) else {
            return false;
        };
        // FNV-1a. A place in a file is not negative, and 0 is taken.
        let mut hash = 0xCBF2_9CE4_8422_2325u64;
        for &byte in room.bytes().iter().take(len as usize) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3);
        }
        self.number = hash >> 1 | 1;
        let last = self.name.len() - 1;
        let mut out = Writer::new(&mut self.name[..last]);
        out.ascii(".qga.state.isfrozen.");
        out.unsigned(self.number);
        true
    }
}

/// Takes a directory, if it can be trusted, for this process alone.
pub fn claim(
    refused: &mut Refused,
    path: &'static CStr,
    dir: Result<Fd, Errno>,
    key: &Key,
    lock_file: &mut Option<ManuallyDrop<Fd>>,
    waits: bool,
) -> Option<Fd> {
    let take = || {
        let dir = dir?;
        trusted(&dir, S_IFDIR)?;
        if !in_memory(&dir) {
            // Opening a file for writing there may wait for a thaw that only this agent can do. A
            // usual directory in memory is locked instead; without one nothing can be frozen.
            return writable(&dir).map(|()| dir);
        }
        let lock = open_lock(&dir)?;
        trusted(&lock, S_IFREG)?;
        if let Some(pid) = sys::locks::lock_byte(&lock, key.number, false)? {
            refused.put(path, HELD);
            refused.pid = pid;
            if !waits {
                return Err(HELD);
            }
            refused.explain();
            sys::locks::lock_byte(&lock, key.number, true)?;
            refused.errno.set(None);
        }
        // Closed, it would give the directory up.
        *lock_file = Some(ManuallyDrop::new(lock));
        Ok(dir)
    };
    let taken = take();
    if let Err(errno) = taken
        && refused.errno.get().is_none()
    {
        refused.put(path, errno);
    }
    taken.ok()
}
