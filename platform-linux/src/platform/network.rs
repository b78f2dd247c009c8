//! Interfaces and addresses, by rtnetlink(7).

use super::Linux;
use crate::fd::Fd;
use crate::sys::{pages, socket};
use qga_core::Errno;
use qga_core::formats::netlink::{self, Message, Request};
use qga_core::platform::{Address, Dump, Link, Network};

/// As much as the kernel puts into one datagram of a list (NLMSG_GOODSIZE of linux/netlink.h: a
/// page, 8 KiB at most).
const DATAGRAM_BYTES_MAX: usize = 8192;

/// A list that the kernel makes, datagram by datagram. All zero when new.
pub struct Netlink {
    /// The socket that the list comes through.
    socket: Option<Fd>,
    /// The unread part of the datagram that came last.
    start: usize,
    end: usize,
    /// Whether it was made while something changed.
    interrupted: bool,
    /// Whose addresses it is.
    of: u32,
    datagram: [u8; DATAGRAM_BYTES_MAX],
}

impl Dump for Netlink {
    const NEW: Self = Netlink {
        socket: None,
        start: 0,
        end: 0,
        interrupted: false,
        of: 0,
        datagram: [0; DATAGRAM_BYTES_MAX],
    };

    fn close(&mut self) {
        // A page that was not written to stays so.
        if cfg!(feature = "network") && self.socket.is_some() {
            self.socket = None;
            pages::give_back(&mut self.datagram);
        }
    }
}

impl Netlink {
    /// Asks for a list: of interfaces, or of the addresses of one of them.
    fn ask(&mut self, kind: u16, index: u32) -> Result<(), Errno> {
        (self.start, self.end, self.interrupted) = (0, 0, false);
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(socket::netlink()?),
        };
        socket.put(Request::new(kind, index).bytes()).map(drop)
    }

    /// What the next message of this kind says; nothing when there is no more. Errors: EINTR when
    /// one may be missing, EAGAIN when the kernel says nothing, ENOBUFS when it says more than
    /// there is room for.
    #[inline(never)]
    fn next(&mut self, kind: u16) -> Result<Option<&[u8]>, Errno> {
        // Where the message begins that was found.
        let start = loop {
            if self.start >= self.end {
                let socket = self.socket.as_ref().ok_or(Errno::BADF)?;
                self.end = socket.get(&mut self.datagram)? as usize;
                self.start = 0;
            }
            let start = self.start;
            let unread = self.datagram.get(start..self.end).unwrap_or(&[]);
            let message = Message::first(unread).ok_or(Errno::NOBUFS)?;
            self.start += message.len;
            self.interrupted |= message.interrupted;
            if message.kind == netlink::DONE {
                return if self.interrupted { Err(Errno::INTR) } else { Ok(None) };
            }
            if let Some(errno) = message.failure() {
                return Err(errno);
            }
            if message.kind == kind {
                break start;
            }
        };
        Ok(self.datagram.get(start..self.end).and_then(Message::first).map(|message| message.body))
    }
}

impl Network for Linux {
    const OFFERED: bool = cfg!(feature = "network");
    type Dump = Netlink;

    fn excluded(&self) -> &'static [u8] {
        self.excluded
    }

    fn links(&mut self, dump: &mut Netlink) -> Result<(), Errno> {
        // A list that was not read to its end would have to be, first.
        dump.close();
        dump.ask(netlink::GET_LINK, 0)
    }

    fn next_link(&mut self, dump: &mut Netlink) -> Result<Option<Link>, Errno> {
        match dump.next(netlink::LINK)? {
            Some(body) => netlink::link(body).map(Some).ok_or(Errno::PROTO),
            None => Ok(None),
        }
    }

    fn addresses(&mut self, dump: &mut Netlink, index: u32) -> Result<(), Errno> {
        dump.of = index;
        dump.ask(netlink::GET_ADDRESS, index)
    }

    fn next_address(&mut self, dump: &mut Netlink) -> Result<Option<Address>, Errno> {
        let of = dump.of;
        while let Some(body) = dump.next(netlink::ADDRESS)? {
            match netlink::address(body) {
                // A kernel before 4.20 lists those of all interfaces.
                Some((index, address)) if index == of => return Ok(Some(address)),
                _ => {}
            }
        }
        Ok(None)
    }
}
