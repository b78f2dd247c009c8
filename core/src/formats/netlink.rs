//! Messages of rtnetlink(7) about interfaces and their addresses: the bytes of a datagram in, one
//! [`Message`] at a time out, and what it says. The kernel writes them, in its own byte order;
//! nothing is believed of their lengths all the same.

use crate::bytes::{copy, word};
use crate::errno::Errno;
use crate::platform::{Address, Link, Statistics};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A dump that was begun before interfaces or addresses changed, and ends after (NLM_F_DUMP_INTR).
const INTERRUPTED: u16 = 0x10;

/// Something failed (NLMSG_ERROR).
pub const FAILED: u16 = 2;
/// There are no more messages (NLMSG_DONE).
pub const DONE: u16 = 3;
/// An interface (RTM_NEWLINK).
pub const LINK: u16 = 16;
/// An address (RTM_NEWADDR).
pub const ADDRESS: u16 = 20;

/// Asks for all interfaces (RTM_GETLINK).
pub const GET_LINK: u16 = 18;
/// Asks for the addresses of one (RTM_GETADDR).
pub const GET_ADDRESS: u16 = 22;
/// A request for all of what it names (NLM_F_REQUEST, NLM_F_DUMP).
const LIST: u16 = 0x301;

/// A request. Both kinds have the number of the interface at the same place; kernels since 4.20
/// want a whole `struct ifinfomsg`, or a `struct ifaddrmsg`, and nothing after it.
pub struct Request([[u8; 4]; 8], usize);

impl Request {
    /// A request of this kind; of an interface's addresses by its number, of all interfaces by 0.
    pub fn new(kind: u16, index: u32) -> Self {
        let ([a, b], [c, d]) = (kind.to_ne_bytes(), LIST.to_ne_bytes());
        let len: u32 = if kind == GET_LINK { 32 } else { 24 };
        let mut words = [[0; 4]; 8];
        [words[0], words[1], words[5]] = [len.to_ne_bytes(), [a, b, c, d], index.to_ne_bytes()];
        Request(words, len as usize)
    }

    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_flattened().get(..self.1).unwrap_or(&[])
    }
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'m> {
    /// What it is about: [`LINK`], [`ADDRESS`], [`DONE`], [`FAILED`], or something else.
    pub kind: u16,
    /// Whether something changed while the list was made, so that something may be missing in it.
    pub interrupted: bool,
    /// What it says.
    pub body: &'m [u8],
    /// How many bytes it takes; the next one stands after them.
    pub len: usize,
}

impl<'m> Message<'m> {
    /// The message at the beginning of `bytes`; `None` when no whole one is there.
    #[inline(never)]
    pub fn first(bytes: &'m [u8]) -> Option<Self> {
        let len = word(bytes, 0)? as usize;
        let (kind, flags) = (half(bytes, 4)?, half(bytes, 6)?);
        let body = bytes.get(16..len)?;
        Some(Message { kind, interrupted: flags & INTERRUPTED != 0, body, len: aligned(len) })
    }

    /// Why the kernel could not do what it was asked for, if that is what it says.
    pub fn failure(&self) -> Option<Errno> {
        let errno = word(self.body, 0).filter(|_| self.kind == FAILED)?;
        Some(Errno::new(errno.wrapping_neg()))
    }
}

/// Reads an interface: a `struct ifinfomsg` and what comes after it (IFLA_*).
#[inline(never)]
pub fn link(body: &[u8]) -> Option<Link> {
    let mut link = Link { index: word(body, 4)?, ..Link::default() };
    each(body.get(16..)?, &mut |kind, value| match kind {
        1 if !value.is_empty() => {
            let address = link.hardware.insert([0; 6]);
            copy(address, value);
        }
        3 => {
            copy(&mut link.name, value);
        }
        23 => link.statistics = statistics(value),
        _ => {}
    });
    Some(link)
}

/// `struct rtnl_link_stats64`, added up as /proc/net/dev does.
fn statistics(value: &[u8]) -> Option<Statistics> {
    let number = |at: usize| {
        let bytes = value.get(8 * at..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    };
    // What the hardware missed was dropped as well.
    let received_dropped = number(6)?.wrapping_add(number(15)?);
    Some(Statistics([
        number(2)?,
        number(0)?,
        number(4)?,
        received_dropped,
        number(3)?,
        number(1)?,
        number(5)?,
        number(7)?,
    ]))
}

/// Reads an address, and the number of its interface: a `struct ifaddrmsg` and what comes after it
/// (IFA_*). Of a line between two points the near end counts.
#[inline(never)]
pub fn address(body: &[u8]) -> Option<(u32, Address)> {
    let (&[family, prefix_bits, ..], index) = (body.first_chunk::<4>()?, word(body, 4)?);
    let (mut far, mut near) = (None, None);
    each(body.get(8..)?, &mut |kind, value| {
        let ip = match (family, value.len()) {
            (2, 4) => value.first_chunk().map(|&bytes: &[u8; 4]| IpAddr::V4(Ipv4Addr::from(bytes))),
            (10, 16) => {
                value.first_chunk().map(|&bytes: &[u8; 16]| IpAddr::V6(Ipv6Addr::from(bytes)))
            }
            _ => None,
        };
        match kind {
            1 => far = ip,
            2 => near = ip,
            _ => {}
        }
    });
    let ip = near.or(far)?;
    Some((index, Address { ip, prefix_bits }))
}

/// Visits each attribute: its kind and its value.
fn each(mut bytes: &[u8], visit: &mut dyn FnMut(u16, &[u8])) {
    while let (Some(len), Some(kind)) = (half(bytes, 0), half(bytes, 2)) {
        let len = usize::from(len);
        let Some(value) = bytes.get(4..len) else { return };
        visit(kind, value);
        bytes = bytes.get(aligned(len)..).unwrap_or(&[]);
    }
}

/// Where what comes after `len` bytes begins.
const fn aligned(len: usize) -> usize {
    len.saturating_add(3) & !3
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
