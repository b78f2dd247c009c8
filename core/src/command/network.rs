//! guest-network-get-interfaces, guest-network-get-route: interfaces with their addresses, and where packets go.

use super::listing::left_out;
use crate::bytes::hex;
use crate::errno::Errno;
use crate::formats::{ip, route};
use crate::json::write::Bytes;
use crate::limits::IP_TEXT_BYTES_MAX;
use crate::platform::{Address, Link, Platform, Statistics};
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;
use core::net::IpAddr;
use serde::{Serialize, Serializer};

/// Schema: GuestNetworkInterface (1.1), but for its addresses.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Interface<'l> {
    name: Bytes<'l>,
    hardware_address: Option<Hardware>,
    statistics: Option<Statistics>,
}

/// Six bytes as text: `52:54:00:12:34:56`.
struct Hardware([u8; 6]);

impl Serialize for Hardware {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [b':'; 17];
        for (place, &byte) in text.chunks_mut(3).zip(&self.0) {
            for (place, digit) in place.iter_mut().zip([byte >> 4, byte & 0xF]) {
                *place = hex(digit);
            }
        }
        serializer.serialize_bytes(&text)
    }
}

/// An address as text.
struct Ip(IpAddr);

impl Serialize for Ip {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; IP_TEXT_BYTES_MAX];
        let mut text = Writer::new(&mut text);
        match self.0 {
            IpAddr::V4(address) => ip::v4(&address.octets(), &mut text),
            IpAddr::V6(address) => ip::v6(&address.octets(), &mut text),
        }
        serializer.serialize_bytes(text.written())
    }
}

/// Schema: GuestIpAddress (1.1).
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct IpAddress {
    ip_address: Ip,
    ip_address_type: &'static str,
    prefix: u8,
}

/// What a call of [`interfaces_piece`] writes, in [`Cursor::part`].
const BEGINNING: u8 = 0;
const LINK: u8 = 1;
const ADDRESS: u8 = 2;

/// One interface, or one address of it, at each call. Schema: guest-network-get-interfaces (1.1). Errors: the kernel
/// does not list its interfaces.
pub fn interfaces_piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let list = &mut state.list;
    let failed = |errno| Failed(text!("failed to list the interfaces"), errno);
    match cursor.part {
        BEGINNING => {
            platform.links(&mut list.links).map_err(failed)?;
            list.forget();
            cursor.open("[", out);
            cursor.part = LINK;
        }
        LINK => match platform.next_link(&mut list.links) {
            // Of a list that was begun anew the first ones are known already.
            Ok(Some(link)) if !list.is_new(link.index) => {}
            Ok(Some(link)) => {
                begin(&link, cursor, out);
                (cursor.part, cursor.inner) = (ADDRESS, 0);
                cursor.handle = i64::from(link.index);
                if let Err(errno) = platform.addresses(&mut list.addresses, link.index) {
                    left_out(platform, errno);
                }
            }
            // Interfaces came or went: one that is missing is in the list of now.
            Err(Errno::INTR) => platform.links(&mut list.links).map_err(failed)?,
            Err(errno) if cursor.outer == 0 => return Err(failed(errno)),
            ended => {
                // What has left already cannot be taken back.
                if let Err(errno) = ended {
                    left_out(platform, errno);
                }
                cursor.close("]", out);
                list.close();
                return Ok(false);
            }
        },
        _ => match platform.next_address(&mut list.addresses) {
            Ok(Some(address)) => {
                if cursor.inner == 0 {
                    cursor.open(", \"ip-addresses\": [", out);
                }
                cursor.inner += 1;
                cursor.element(out);
                write(&address, out);
            }
            ended => {
                if let Err(errno) = ended {
                    left_out(platform, errno);
                }
                out.ascii(if cursor.inner > 0 { "]" } else { "" });
                cursor.close("}", out);
                cursor.part = LINK;
            }
        },
    }
    Ok(true)
}

/// Writes all of an interface but its end, where addresses may follow.
fn begin(link: &Link, cursor: &mut Cursor, out: &mut Writer<'_>) {
    cursor.element(out);
    cursor.outer += 1;
    let Link { statistics, hardware, .. } = *link;
    let hardware_address = hardware.map(Hardware);
    // Only a type that no schema has could not be written.
    let _ =
        Interface { name: Bytes(link.name()), hardware_address, statistics }.serialize(&mut *out);
    out.take_back(out.len().saturating_sub(1));
}

/// Writes an address.
fn write(address: &Address, out: &mut Writer<'_>) {
    let Address { ip, prefix_bits: prefix } = *address;
    let ip_address_type = if matches!(ip, IpAddr::V4(_)) { "ipv4" } else { "ipv6" };
    let _ = IpAddress { ip_address: Ip(ip), ip_address_type, prefix }.serialize(out);
}

/// Schema: GuestNetworkRoute (9.1).
#[derive(Serialize)]
struct Route<'l> {
    iface: Bytes<'l>,
    destination: Ip,
    metric: u32,
    gateway: Option<Ip>,
    mask: Option<Ip>,
    irtt: Option<u32>,
    flags: u32,
    refcnt: u32,
    r#use: u32,
    window: Option<u32>,
    mtu: Option<u32>,
    desprefixlen: Option<Digits>,
    source: Option<Ip>,
    srcprefixlen: Option<Digits>,
    nexthop: Option<Ip>,
    version: u8,
}

/// A number that the schema has as a text.
struct Digits(u32);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0; 10];
        let mut text = Writer::new(&mut text);
        text.unsigned(u64::from(self.0));
        serializer.serialize_bytes(text.written())
    }
}

/// One route at each call, those of IPv4 first. Schema: guest-network-get-route (9.1). Errors: this guest has the routing
/// tables neither of IPv4 nor of IPv6.
pub fn route_piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    const OF_IPV6: &[u8] = b"/proc/net/ipv6_route";
    let list = &mut state.list;
    if cursor.outer == 0 {
        if list.open(platform, b"/proc/net/route").is_err() {
            cursor.part = 1;
            let opened = list.open(platform, OF_IPV6);
            opened.map_err(|errno| Failed(text!("failed to read the routing tables"), errno))?;
        }
        cursor.open("[", out);
        cursor.outer = 1;
    }
    let ended = match list.line() {
        Ok(Some(line)) => {
            let route = if cursor.part == 0 { of_ipv4(line) } else { of_ipv6(line) };
            if let Some(route) = route {
                cursor.element(out);
                let _ = route.serialize(out);
            }
            return Ok(true);
        }
        ended => ended.err(),
    };
    if let Some(errno) = ended {
        left_out(platform, errno);
    }
    if cursor.part == 0 {
        cursor.part = 1;
        // A kernel without IPv6 has none.
        match list.open(platform, OF_IPV6) {
            Err(Errno::NOENT) | Ok(()) => {}
            Err(errno) => left_out(platform, errno),
        }
        return Ok(true);
    }
    cursor.close("]", out);
    list.close();
    Ok(false)
}

/// A line of the table of IPv4.
fn of_ipv4(line: &[u8]) -> Option<Route<'_>> {
    let route = route::V4::parse(line)?;
    let ip = |bytes: [u8; 4]| Ip(IpAddr::from(bytes));
    Some(Route {
        iface: Bytes(route.interface),
        destination: ip(route.destination),
        metric: route.metric,
        gateway: Some(ip(route.gateway)),
        mask: Some(ip(route.mask)),
        irtt: Some(route.irtt),
        flags: route.flags,
        refcnt: route.references,
        r#use: route.uses,
        window: Some(route.window),
        mtu: Some(route.mtu),
        desprefixlen: None,
        source: None,
        srcprefixlen: None,
        nexthop: None,
        version: 4,
    })
}

/// A line of that of IPv6.
fn of_ipv6(line: &[u8]) -> Option<Route<'_>> {
    let route = route::V6::parse(line)?;
    let ip = |bytes: [u8; 16]| Ip(IpAddr::from(bytes));
    Some(Route {
        iface: Bytes(route.interface),
        destination: ip(route.destination),
        metric: route.metric,
        gateway: None,
        mask: None,
        irtt: None,
        flags: route.flags,
        refcnt: route.references,
        r#use: route.uses,
        window: None,
        mtu: None,
        desprefixlen: Some(Digits(route.destination_bits)),
        source: Some(ip(route.source)),
        srcprefixlen: Some(Digits(route.source_bits)),
        nexthop: Some(ip(route.next_hop)),
        version: 6,
    })
}
