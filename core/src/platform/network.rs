//! The guest's network interfaces and their addresses.

use crate::bytes::until_nul;
use crate::errno::Errno;

/// Longest name of an interface, without a NUL (IFNAMSIZ of linux/if.h less one).
pub const LINK_NAME_BYTES_MAX: usize = 15;

/// One interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// The number that the guest knows it by.
    pub index: u32,
    /// Its name, filled up with NULs.
    pub name: [u8; LINK_NAME_BYTES_MAX],
    /// Its hardware address, if it has one.
    pub hardware: Option<[u8; 6]>,
    /// What went through it, if that is counted.
    pub statistics: Option<Statistics>,
}

impl Link {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        until_nul(&self.name)
    }
}

/// What went through an interface since it is there, as in GuestNetworkInterfaceStat of the schema:
/// bytes, packets, packets with errors and packets dropped that were received, then the same four
/// of what was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics(pub [u64; 8]);

/// One address of an interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// The address itself.
    pub ip: core::net::IpAddr,
    /// How many of its leading bits are those of its network.
    pub prefix_bits: u8,
}

/// Interfaces, one after the other, and the addresses of one of them.
pub trait Network {
    /// Whether this guest can tell of its interfaces.
    const OFFERED: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        Self::OFFERED
    }

    /// Where a list stands.
    type Dump: Dump;

    /// Patterns of the interfaces that are not shown, as [`crate::formats::glob`] reads them: those
    /// that container runtimes make by the hundred.
    fn excluded(&self) -> &'static [u8] {
        b""
    }

    /// Begins the list of all interfaces. Errors: EMFILE, ENOBUFS, EAFNOSUPPORT; failure leaves
    /// nothing.
    fn links(&mut self, dump: &mut Self::Dump) -> Result<(), Errno> {
        let _ = dump;
        Err(Errno::OPNOTSUPP)
    }

    /// The next interface; `None` after the last one. Errors: EINTR when interfaces came or went
    /// meanwhile, so that one may be missing: the list has ended; ENOBUFS.
    fn next_link(&mut self, dump: &mut Self::Dump) -> Result<Option<Link>, Errno> {
        let _ = dump;
        Err(Errno::OPNOTSUPP)
    }

    /// Begins the list of the addresses of the interface with this number. Errors: as
    /// [`Network::links`].
    fn addresses(&mut self, dump: &mut Self::Dump, index: u32) -> Result<(), Errno> {
        let _ = (dump, index);
        Err(Errno::OPNOTSUPP)
    }

    /// The next of these addresses; `None` after the last one. Errors: as [`Network::next_link`].
    fn next_address(&mut self, dump: &mut Self::Dump) -> Result<Option<Address>, Errno> {
        let _ = dump;
        Err(Errno::OPNOTSUPP)
    }
}

/// Where a list stands.
pub trait Dump: Sized {
    /// Nowhere: all zero.
    const NEW: Self;
    /// Nobody reads it any more: what it holds open is closed.
    fn close(&mut self);
}

impl Dump for () {
    const NEW: Self = ();
    fn close(&mut self) {}
}
