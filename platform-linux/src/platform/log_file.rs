//! Where the log goes: a line comes in, and whether it was taken goes out. Invariant: nothing here
//! waits for long. Opening a file and writing to it hang for as long as somebody keeps its
//! filesystem frozen, so a copy of the agent does both, the writer, one a line. While one hangs
//! there is no other: what comes then is lost, and counted.

use crate::fd::Fd;
use crate::print::{STDERR, events, offer};
use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::general::{AT_EMPTY_PATH, AT_STATX_DONT_SYNC, S_IFMT, S_IFREG, STATX_TYPE};
use qga_core::Errno;
use rustix::event::PollFlags;
use rustix::fs::OFlags;

/// How long a line waits until it is in the file, or until the one before it is: a client is to be
/// answered within 100 ms.
pub const LINE_MS_MAX: u32 = 50;
/// The same for the opening at the start, which fails where the file cannot be opened.
pub const START_MS_MAX: u32 = 500;

/// Where the log goes.
pub struct LogFile {
    /// The file that is to be it, if it is not standard error.
    pub path: Option<&'static CStr>,
    /// It is still to be opened, or was moved away since: the next line belongs into a new one.
    pub is_old: bool,
    /// Whether what is open is a file, or standard error.
    is_file: bool,
    /// What is open.
    to: Option<Fd>,
    /// The writer that has not answered yet.
    pub writer: Option<Fd>,
    /// How many lines were lost since that was said.
    pub lost: u64,
}

impl LogFile {
    /// Goes to a file, or where there is none to standard error.
    pub fn new(path: Option<&'static CStr>) -> Self {
        let mut to = None;
        if path.is_none() && sys::tty::is_terminal(&STDERR) {
            // It may have less room than a line. Other processes have the same terminal, and wait
            // as they like.
            to = open(c"/proc/self/fd/2").ok();
        }
        let is_file = is_file(&STDERR);
        LogFile { path, is_old: path.is_some(), is_file, to, writer: None, lost: 0 }
    }

    /// Opens the file, if there is to be one, at first or anew: then the old one is closed when the
    /// new one is open. While a line hangs the next one does it. Errors: why that failed.
    pub fn open(&mut self, ms_max: u32) -> Result<(), Errno> {
        self.is_old = self.path.is_some();
        if self.is_old && self.writer.is_none() { self.put(&[], ms_max) } else { Ok(()) }
    }

    /// Has a line written, or nothing but the file opened. Errors: why it is lost.
    #[inline(never)]
    pub fn put(&mut self, line: &[u8], ms_max: u32) -> Result<(), Errno> {
        if self.writer.is_some() {
            return Err(Errno::AGAIN);
        }
        // Where there can be no writer, as when no descriptor is left, it is better to wait than to
        // say nothing.
        if (self.is_file || self.is_old)
            && let Ok((socket, is_writer)) = sys::socket::fork_with_socket()
        {
            if is_writer {
                self.write(line, &socket)
            }
            self.writer = Some(socket);
            return match self.hear(ms_max) {
                // It is written as soon as that can be.
                Err(Errno::AGAIN) => Ok(()),
                heard => heard,
            };
        }
        let taken = offer(self.to.as_ref().unwrap_or(&STDERR), line);
        if taken { Ok(()) } else { Err(Errno::AGAIN) }
    }

    /// Takes over what the writer has done, if there is one. Errors: why its line is lost; EAGAIN
    /// for nothing yet.
    #[inline(never)]
    pub fn hear(&mut self, ms_max: u32) -> Result<(), Errno> {
        let Some(writer) = &self.writer else { return Ok(()) };
        if events(writer, PollFlags::IN, ms_max).is_empty() {
            return Err(Errno::AGAIN);
        }
        let mut failed: Option<Errno> = None;
        let heard = sys::socket::receive_with(writer, &mut failed);
        self.writer = None;
        match heard {
            Ok(None) => {}
            Ok(Some(opened)) => {
                self.is_file = is_file(&opened);
                self.to = Some(opened);
                self.is_old = false;
            }
            // It was killed.
            Err(gone) => failed = Some(gone),
        }
        failed.map_or(Ok(()), Err)
    }

    /// The descriptor of what is open.
    pub fn descriptor(&self) -> i32 {
        self.to.as_ref().unwrap_or(&STDERR).raw()
    }

    /// What the writer does. No signal ends it: all are blocked.
    fn write(&self, line: &[u8], agent: &Fd) -> ! {
        let to = self.to.as_ref().unwrap_or(&STDERR);
        // Somebody else may want the others while this one hangs.
        sys::close_others([to.raw(), agent.raw()], sys::DESCRIPTORS);
        let mut failed: Option<Errno> = None;
        let path = self.path.filter(|_| self.is_old);
        let opened = path.and_then(|path| open(path).map_err(|errno| failed = Some(errno)).ok());
        if !line.is_empty() {
            let written = opened.as_ref().unwrap_or(to).put(line);
            failed = written.err();
        }
        let _ = sys::socket::send_with(agent, &failed, opened.as_ref());
        sys::process::exit(0)
    }
}

/// The device /dev/kmsg.
const KERNEL_LOG: (u32, u32) = (1, 11);

fn open(path: &CStr) -> Result<Fd, Errno> {
    // A FIFO that nobody reads is an error, where open(2) would wait for somebody.
    let how = OFlags::NOCTTY | OFlags::NONBLOCK;
    sys::open(path, OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | how, 0o600)
}

/// Whether it is a file on a disk, or where else it may hang; as the kernel remembers it, without
/// asking there. The kernel's log is written by a writer as well: poll(2) never says that there is
/// room in it, although there always is.
fn is_file(file: &Fd) -> bool {
    let flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
    let stat = sys::statx(file.raw(), c"", flags, STATX_TYPE);
    stat.is_some_and(|stat| {
        u32::from(stat.stx_mode) & S_IFMT == S_IFREG
            || (stat.stx_rdev_major, stat.stx_rdev_minor) == KERNEL_LOG
    })
}
