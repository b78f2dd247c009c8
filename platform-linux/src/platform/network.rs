//! Interfaces and addresses, by rtnetlink(7).

use super::Linux;
use crate::fd::Fd;
use crate::sys::socket;
use qga_core::Errno;
use qga_core::formats::netlink::{self, Content, Request};
use qga_core::lines::retry;
use qga_core::platform::{Address, Dump, Link, Network};

/// As much as the kernel puts into one datagram of a list (NLMSG_GOODSIZE of linux/netlink.h: a page, 8 KiB at most).
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
        self.socket = None;
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

    /// The next message of the list.
    fn next(&mut self) -> Result<Content, Errno> {
        if self.start >= self.end {
            let socket = self.socket.as_ref().ok_or(Errno::BADF)?;
            self.end = retry(|| socket.get(&mut self.datagram))?;
            self.start = 0;
        }
        let unread = self.datagram.get(self.start..self.end).unwrap_or(&[]);
        let message = netlink::message(unread).ok_or(Errno::NOBUFS)?;
        self.start += message.len;
        self.interrupted |= message.interrupted;
        match message.content {
            Content::Done if self.interrupted => Err(Errno::INTR),
            Content::Failed(errno) => Err(errno),
            content => Ok(content),
        }
    }
}

impl Network for Linux {
    const OFFERED: bool = cfg!(feature = "network");
    type Dump = Netlink;

    fn links(&mut self, dump: &mut Netlink) -> Result<(), Errno> {
        // A list that was not read to its end would have to be, first.
        dump.close();
        dump.ask(netlink::GET_LINK, 0)
    }

    fn next_link(&mut self, dump: &mut Netlink) -> Result<Option<Link>, Errno> {
        loop {
            match dump.next()? {
                Content::Link(link) => return Ok(Some(link)),
                Content::Done => return Ok(None),
                _ => {}
            }
        }
    }

    fn addresses(&mut self, dump: &mut Netlink, index: u32) -> Result<(), Errno> {
        dump.of = index;
        dump.ask(netlink::GET_ADDRESS, index)
    }

    fn next_address(&mut self, dump: &mut Netlink) -> Result<Option<Address>, Errno> {
        loop {
            match dump.next()? {
                // A kernel before 4.20 lists those of all interfaces.
                Content::Address(index, address) if index == dump.of => return Ok(Some(address)),
                Content::Done => return Ok(None),
                _ => {}
            }
        }
    }
}
