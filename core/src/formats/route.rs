//! The routing tables, `/proc/net/route` and `/proc/net/ipv6_route`: one line in, a route out.

use super::fields::Fields;
use crate::bytes::number;

/// An IPv4 route. Addresses are in the order of the network; [`super::ip::v4`] writes them.
#[derive(Debug, PartialEq, Eq)]
pub struct V4<'l> {
    /// The name of the interface.
    pub interface: &'l [u8],
    /// Where it leads; zeroes for everywhere.
    pub destination: [u8; 4],
    /// By way of whom; zeroes for nobody.
    pub gateway: [u8; 4],
    /// `RTF_` of linux/route.h.
    pub flags: u32,
    /// How many use it.
    pub references: u32,
    /// How often it was looked up.
    pub uses: u32,
    /// The smaller the better.
    pub metric: u32,
    /// Which bits of the destination count.
    pub mask: [u8; 4],
    /// The largest packet; 0 for the interface's.
    pub mtu: u32,
    /// The window of TCP; 0 for that of all.
    pub window: u32,
    /// The round trip time to begin with.
    pub irtt: u32,
}

impl<'l> V4<'l> {
    /// Reads one line; nothing for the head of the table, and for what is none of it.
    #[inline(never)]
    pub fn parse(line: &'l [u8]) -> Option<Self> {
        let mut fields = Numbers(Fields::new(line));
        let route = V4 {
            interface: fields.0.word(),
            destination: fields.of_base(16).to_ne_bytes(),
            gateway: fields.of_base(16).to_ne_bytes(),
            flags: fields.of_base(16),
            references: fields.of_base(10),
            uses: fields.of_base(10),
            metric: fields.of_base(10),
            mask: fields.of_base(16).to_ne_bytes(),
            mtu: fields.of_base(10),
            window: fields.of_base(10),
            irtt: fields.of_base(10),
        };
        (!fields.0.failed).then_some(route)
    }
}

/// An IPv6 route. [`super::ip::v6`] writes the addresses.
#[derive(Debug, PartialEq, Eq)]
pub struct V6<'l> {
    /// Where it leads.
    pub destination: [u8; 16],
    /// How many bits of that count.
    pub destination_bits: u32,
    /// From where it leads.
    pub source: [u8; 16],
    /// How many bits of that count.
    pub source_bits: u32,
    /// By way of whom; zeroes for nobody.
    pub next_hop: [u8; 16],
    /// The smaller the better.
    pub metric: u32,
    /// How many use it.
    pub references: u32,
    /// How often it was looked up.
    pub uses: u32,
    /// `RTF_` of linux/ipv6_route.h.
    pub flags: u32,
    /// The name of the interface.
    pub interface: &'l [u8],
}

impl<'l> V6<'l> {
    /// Reads one line; nothing for what is none of the table.
    #[inline(never)]
    pub fn parse(line: &'l [u8]) -> Option<Self> {
        let mut fields = Numbers(Fields::new(line));
        let route = V6 {
            destination: fields.address(),
            destination_bits: fields.of_base(16),
            source: fields.address(),
            source_bits: fields.of_base(16),
            next_hop: fields.address(),
            metric: fields.of_base(16),
            references: fields.of_base(16),
            uses: fields.of_base(16),
            flags: fields.of_base(16),
            interface: fields.0.word(),
        };
        (!fields.0.failed).then_some(route)
    }
}

/// The words of a line that are numbers of 32 bits or addresses.
struct Numbers<'l>(Fields<'l>);

impl Numbers<'_> {
    /// The next word as a number. Some that have no sign are written with one.
    #[inline(never)]
    fn of_base(&mut self, base: u32) -> u32 {
        let text = self.0.word();
        match text {
            [b'-', text @ ..] => self.digits(text, base).wrapping_neg(),
            _ => self.digits(text, base),
        }
    }

    /// The next word as an address of 32 hexadecimal digits.
    #[inline(never)]
    fn address(&mut self) -> [u8; 16] {
        let text = self.0.word();
        self.0.failed |= text.len() != 32;
        let mut address = [0; 16];
        for (byte, digits) in address.iter_mut().zip(text.as_chunks::<2>().0) {
            *byte = self.digits(digits, 16) as u8;
        }
        address
    }

    /// A number of digits alone.
    #[inline(never)]
    fn digits(&mut self, text: &[u8], base: u32) -> u32 {
        let number = number(text, base).and_then(|number| u32::try_from(number).ok());
        self.0.failed |= number.is_none();
        number.unwrap_or(0)
    }
}
