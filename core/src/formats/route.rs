//! The routing tables, `/proc/net/route` and `/proc/net/ipv6_route`: one line in, a route out.

use super::fields::Fields;

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
        let fields = &mut Fields::new(line);
        Some(V4 {
            interface: fields.next()?,
            destination: number(fields, 16)?.to_ne_bytes(),
            gateway: number(fields, 16)?.to_ne_bytes(),
            flags: number(fields, 16)?,
            references: number(fields, 10)?,
            uses: number(fields, 10)?,
            metric: number(fields, 10)?,
            mask: number(fields, 16)?.to_ne_bytes(),
            mtu: number(fields, 10)?,
            window: number(fields, 10)?,
            irtt: number(fields, 10)?,
        })
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
        let fields = &mut Fields::new(line);
        Some(V6 {
            destination: address(fields)?,
            destination_bits: number(fields, 16)?,
            source: address(fields)?,
            source_bits: number(fields, 16)?,
            next_hop: address(fields)?,
            metric: number(fields, 16)?,
            references: number(fields, 16)?,
            uses: number(fields, 16)?,
            flags: number(fields, 16)?,
            interface: fields.next()?,
        })
    }
}

/// The next word, which is a number of 32 bits. Some that have no sign are written with one.
#[inline(never)]
fn number(fields: &mut Fields<'_>, base: u32) -> Option<u32> {
    let text = fields.next()?;
    match text.strip_prefix(b"-") {
        Some(text) => Some(digits(text, base)?.wrapping_neg() as u32),
        None => u32::try_from(digits(text, base)?).ok(),
    }
}

/// The next word, which is an address of 32 hexadecimal digits.
#[inline(never)]
fn address(fields: &mut Fields<'_>) -> Option<[u8; 16]> {
    let text = fields.next()?;
    if text.len() != 32 {
        return None;
    }
    let mut address = [0; 16];
    for (byte, digits) in address.iter_mut().zip(text.as_chunks::<2>().0) {
        *byte = self::digits(digits, 16)? as u8;
    }
    Some(address)
}

/// A number of 32 bits and maybe more, of digits alone.
#[inline(never)]
fn digits(text: &[u8], base: u32) -> Option<u64> {
    if text.is_empty() || text.len() > 12 {
        return None;
    }
    text.iter().try_fold(0, |number: u64, &byte| {
        let digit = char::from(byte).to_digit(base)?;
        Some(number.wrapping_mul(u64::from(base)).wrapping_add(u64::from(digit)))
    })
}
