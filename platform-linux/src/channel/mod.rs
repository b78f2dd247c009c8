//! Where requests come from: one channel of three kinds, opened by its own room, read and written
//! here.
//!
//! Every descriptor is non-blocking and every wait is one poll(2) of the channel and the signals,
//! without a timeout: an idle agent does not wake up, with a client attached or not.

mod serial;
mod unix;
mod virtio;

use crate::errno::errno;
use crate::fd::Fd;
use crate::options::{Method, Options};
use crate::signals::Signals;
use crate::sys;
use core::ffi::CStr;
use qga_core::Errno;
use qga_core::phrases;
use qga_core::text::{Phrase, Phrases};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::AsFd;

/// What became of waiting for the channel.
pub enum Moved {
    /// So many bytes were read or written.
    Bytes(usize),
    /// A signal waits.
    Signal,
    /// The client has gone; another may come.
    ClientGone,
    /// A client was turned away.
    Refused(Errno),
    /// The channel is of no use any more.
    Lost(Errno),
}

/// What the channel is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A virtio port. While the hypervisor's side is closed poll(2) reports a hang-up at once and
    /// for ever, so an edge-triggered epoll waits for its opening, the other descriptor.
    Port,
    /// A serial line.
    Serial,
    /// A socket that clients connect to, one after the other. It is the other descriptor.
    Listener,
}

/// The channel.
pub struct Channel {
    kind: Kind,
    /// The device, or the connection while there is one.
    fd: Option<Fd>,
    other: Option<Fd>,
    /// The other side of the port is closed.
    closed: bool,
    /// The last read brought so much that there is likely more: read before waiting.
    eager: bool,
}

/// How often, and how long each time, a reply waits for the other side of a port to be opened.
const PATIENCE: u32 = 16;
const PATIENCE_NS: i64 = 100_000_000;

/// A read of so many bytes is likely not the last of a request.
const EAGER_BYTES: u32 = 4096;

/// Where the channel is.
pub fn path(options: &Options) -> &'static CStr {
    options.text(b'p').unwrap_or(match options.method {
        Method::VirtioSerial => c"/dev/virtio-ports/org.qemu.guest_agent.0",
        Method::IsaSerial => c"/dev/ttyS0",
        Method::UnixListen => c"",
    })
}

/// When each row of [`HINTS`] is said: the error's number, and the methods, a bit each. The first
/// that fits counts.
static HINTS_FOR: [(u8, u8); 10] = [
    (Errno::NOENT.number() as u8, SOCKET),
    (Errno::NOENT.number() as u8, ALL),
    (Errno::BUSY.number() as u8, SOCKET),
    (Errno::BUSY.number() as u8, ALL),
    (Errno::PERM.number() as u8, LINE),
    (Errno::PERM.number() as u8, ALL),
    (Errno::ACCES.number() as u8, ALL),
    (Errno::NOTTY.number() as u8, ALL),
    (Errno::ADDRINUSE.number() as u8, ALL),
    (Errno::NAMETOOLONG.number() as u8, ALL),
];
const LINE: u8 = 1 << Method::IsaSerial as u8;
const SOCKET: u8 = 1 << Method::UnixListen as u8;
const ALL: u8 = !0;

const HINTS: Phrases = phrases![
    "its directory must exist",
    "is it defined in the hypervisor, is its driver loaded, are /dev and /sys mounted? -r waits for it",
    "it lies on a filesystem that cannot be thawed",
    "another agent has it",
    "others may use it: chown root, chmod o-w",
    "run as root",
    "run as root",
    "this is no serial line",
    "another agent listens there, or it is no socket",
    "a socket's path has at most 107 bytes",
];

/// What somebody can do about a channel that cannot be opened; nothing if that is not known.
pub fn hint(method: Method, errno: Errno) -> Phrase {
    let fits = |&(number, methods): &(u8, u8)| {
        u32::from(number) == errno.number() && methods >> method as u8 & 1 != 0
    };
    HINTS_FOR.iter().position(fits).map_or(Phrase::NONE, |at| HINTS.nth(at))
}

impl Channel {
    /// Opens the channel that the options ask for.
    #[inline(never)]
    pub fn open(options: &Options) -> Result<Self, Errno> {
        let path = path(options);
        let (kind, fd, other) = match options.method {
            Method::VirtioSerial => (Kind::Port, Some(virtio::open(path)?), None),
            Method::IsaSerial => (Kind::Serial, Some(serial::open(path)?), None),
            Method::UnixListen => (Kind::Listener, None, Some(unix::listen(path)?)),
        };
        Ok(Channel { kind, fd, other, closed: false, eager: false })
    }

    /// Waits for bytes and reads them into `into`.
    pub fn receive(&mut self, signals: &Signals, into: &mut [u8]) -> Moved {
        // A port whose other side was closed is read before waiting: bytes of a new client can come
        // before the kernel has heard that it is there.
        let mut ready = core::mem::take(&mut self.eager) || self.closed;
        loop {
            if !core::mem::take(&mut ready)
                && let Err(moved) = self.await_bytes(signals)
            {
                return moved;
            }
            let Some(fd) = &self.fd else { continue };
            match fd.get(into) {
                Ok(0) if self.closed => match await_change(signals, fd, &mut self.other, None) {
                    Ok(_) => ready = true,
                    Err(moved) => return moved,
                },
                Ok(0) => return self.client_gone(),
                Ok(len) => {
                    self.eager = len >= EAGER_BYTES;
                    return Moved::Bytes(len as usize);
                }
                Err(Errno::AGAIN) => self.closed = false,
                Err(Errno::INTR) => {}
                Err(errno) => return self.failed(errno),
            }
        }
    }

    /// Writes some of `bytes`, waiting until the client takes them.
    pub fn send(&mut self, signals: &Signals, bytes: &[u8]) -> Moved {
        let mut patience = PATIENCE;
        loop {
            let Some(fd) = &self.fd else { return Moved::ClientGone };
            match fd.put(bytes) {
                Ok(len) => return Moved::Bytes(len as usize),
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return self.failed(errno),
            }
            match poll(signals, Some(fd), PollFlags::OUT, None) {
                Ready::Signal => return Moved::Signal,
                Ready::Timeout => {}
                Ready::Channel(events) if events.contains(PollFlags::OUT) => {}
                // The other side is closed, or opened so lately that the kernel has not heard of
                // it: the request came first, and its reply must not be lost.
                Ready::Channel(_) if self.kind == Kind::Port && patience > 0 => {
                    patience -= 1;
                    let wait = Timespec { tv_sec: 0, tv_nsec: PATIENCE_NS };
                    match await_change(signals, fd, &mut self.other, Some(&wait)) {
                        Ok(true) => {}
                        Ok(false) => patience = 0,
                        Err(moved) => return moved,
                    }
                }
                Ready::Channel(_) => return self.client_gone(),
            }
        }
    }

    /// Its descriptors, -1 where there is none.
    pub fn descriptors(&self) -> [i32; 2] {
        [&self.fd, &self.other].map(|fd| fd.as_ref().map_or(-1, Fd::raw))
    }

    /// Waits until there is something to read, or a client to accept.
    fn await_bytes(&mut self, signals: &Signals) -> Result<(), Moved> {
        let fd = self.fd.as_ref().or(self.other.as_ref());
        match (poll(signals, fd, PollFlags::IN, None), &self.other) {
            (Ready::Signal, _) => return Err(Moved::Signal),
            (Ready::Channel(_), Some(listener)) if self.fd.is_none() => {
                self.fd = unix::accept(listener).map_err(Moved::Refused)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The client closed its side.
    fn client_gone(&mut self) -> Moved {
        match self.kind {
            Kind::Port => self.closed = true,
            Kind::Serial => return Moved::Lost(Errno::IO),
            Kind::Listener => self.fd = None,
        }
        Moved::ClientGone
    }

    fn failed(&mut self, errno: Errno) -> Moved {
        match self.kind {
            Kind::Listener => self.client_gone(),
            _ => Moved::Lost(errno),
        }
    }
}

/// Waits until something about a virtio port has changed, `false` when that took longer than
/// `timeout`.
fn await_change(
    signals: &Signals,
    port: &Fd,
    edge: &mut Option<Fd>,
    timeout: Option<&Timespec>,
) -> Result<bool, Moved> {
    let lost = |error| Moved::Lost(errno(error));
    let edge = match edge {
        Some(edge) => edge,
        None => {
            let created = sys::epoll().map_err(Moved::Lost)?;
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&created, port, EventData::new_u64(0), flags).map_err(lost)?;
            edge.insert(created)
        }
    };
    match poll(signals, Some(edge), PollFlags::IN, timeout) {
        Ready::Signal => return Err(Moved::Signal),
        Ready::Timeout => return Ok(false),
        Ready::Channel(_) => {}
    }
    // Takes the event; the next one comes with the next change.
    let mut event = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let _ = epoll::wait(&*edge, &mut event[..], Some(&now));
    Ok(true)
}

/// What a poll(2) found.
pub enum Ready {
    /// A signal waits.
    Signal,
    /// The channel has these events.
    Channel(PollFlags),
    /// The time is over.
    Timeout,
}

/// Waits for a signal, for `events` of `fd`, or for `timeout`.
pub fn poll(
    signals: &Signals,
    fd: Option<&Fd>,
    events: PollFlags,
    timeout: Option<&Timespec>,
) -> Ready {
    let other = fd.unwrap_or(&signals.fd).as_fd();
    let mut both =
        [PollFd::new(&signals.fd, PollFlags::IN), PollFd::from_borrowed_fd(other, events)];
    let waited = rustix::event::poll(&mut both, timeout);
    if waited.is_err() {
        return Ready::Timeout;
    }
    let [signal, channel] = both;
    let found = channel.revents();
    // Of the signals alone something was found above.
    let waits = !found.is_empty() && (!cfg!(feature = "exec") || fd.is_some());
    if !(signal.revents().is_empty() || signals.take_turn() && waits) {
        return Ready::Signal;
    }
    signals.end_turn();
    if waits { Ready::Channel(found) } else { Ready::Timeout }
}
