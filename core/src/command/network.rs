//! guest-network-get-interfaces, guest-network-get-route: interfaces with their addresses, and
//! where packets go.

use super::listing::left_out;
use crate::bytes::{hex, until_nul};
use crate::errno::Errno;
use crate::formats::{glob, ip, route};
use crate::list::List;
use crate::platform::{Address, Link, Platform};
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;
use core::net::IpAddr;

/// A member that is an address, of IPv4 in four bytes or of IPv6 in sixteen.
#[inline(never)]
fn address(key: &str, bytes: &[u8], out: &mut Writer<'_>) {
    out.key(key);
    out.ascii("\"");
    if let Some(bytes) = bytes.first_chunk() {
        ip::v6(bytes, out);
    } else if let Some(bytes) = bytes.first_chunk() {
        ip::v4(bytes, out);
    }
    out.ascii("\"");
}

/// Nothing of the list has left yet.
fn failed(errno: Errno) -> Failed {
    Failed(text!("failed to list the interfaces"), errno)
}

/// What a call of [`interfaces_piece`] writes, in [`Cursor::part`].
const BEGINNING: u8 = 0;
const LINK: u8 = 1;
const ADDRESS: u8 = 2;

/// One interface, or one address of it, at each call. Schema: guest-network-get-interfaces (1.1).
/// Errors: the kernel does not list its interfaces.
pub fn interfaces_piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let list = &mut state.list;
    match cursor.part {
        BEGINNING => {
            platform.links(&mut list.links).map_err(failed)?;
            list.forget();
            cursor.open("[", out);
            cursor.part = LINK;
        }
        LINK => return link_piece(platform, list, cursor, out),
        _ => address_piece(platform, list, cursor, out),
    }
    Ok(true)
}

/// One interface, up to its addresses, or the end of the list.
fn link_piece<P: Platform>(
    platform: &mut P,
    list: &mut List<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let ended = match platform.next_link(&mut list.links) {
        Ok(Some(link)) => {
            // Of a list that was begun anew the first ones are known already.
            let hidden = glob::any(platform.excluded(), until_nul(&link.name));
            if !hidden && list.is_new(link.index) {
                cursor.element(out);
                cursor.outer += 1;
                begin(&link, out);
                (cursor.part, cursor.inner) = (ADDRESS, 0);
                cursor.handle = i64::from(link.index);
                if let Err(errno) = platform.addresses(&mut list.addresses, link.index) {
                    left_out(platform, errno);
                }
            }
            return Ok(true);
        }
        // Interfaces came or went: one that is missing is in the list of now.
        Err(Errno::INTR) if cursor.begins_again() => match platform.links(&mut list.links) {
            Ok(()) => return Ok(true),
            failed => failed,
        },
        ended => ended.map(|_| ()),
    };
    match ended {
        Err(errno) if cursor.outer == 0 => return Err(failed(errno)),
        // What has left already cannot be taken back.
        Err(errno) => left_out(platform, errno),
        Ok(()) => {}
    }
    cursor.close("]", out);
    list.close();
    Ok(false)
}

/// One address of an interface, or its end.
fn address_piece<P: Platform>(
    platform: &mut P,
    list: &mut List<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) {
    match platform.next_address(&mut list.addresses) {
        Ok(Some(address)) => {
            if cursor.inner == 0 {
                cursor.open(", \"ip-addresses\": [", out);
            }
            cursor.inner += 1;
            cursor.element(out);
            write_address(&address, out);
        }
        Err(Errno::INTR)
            if cursor.begins_again()
                && platform.addresses(&mut list.addresses, cursor.handle as u32).is_ok() =>
        {
            // The first ones are written already.
            for _ in 0..cursor.inner {
                let _ = platform.next_address(&mut list.addresses);
            }
        }
        ended => {
            if let Err(errno) = ended {
                left_out(platform, errno);
            }
            out.ascii(if cursor.inner > 0 { "]" } else { "" });
            cursor.close("}", out);
            cursor.part = LINK;
        }
    }
}

/// Writes all of an interface but its end, where addresses may follow. Schema:
/// GuestNetworkInterface (1.1).
#[inline(never)]
fn begin(link: &Link, out: &mut Writer<'_>) {
    out.ascii("{");
    out.key("name");
    out.string(link.name());
    if let Some(hardware) = &link.hardware {
        out.key("hardware-address");
        let mut before = "\"";
        for &byte in hardware {
            out.ascii(before);
            out.raw(&[hex(byte >> 4), hex(byte & 0xF)]);
            before = ":";
        }
        out.ascii("\"");
    }
    if let Some(statistics) = &link.statistics {
        out.key("statistics");
        out.ascii("{");
        out.numbers(STATISTICS, &statistics.0.map(Some));
        out.ascii("}");
    }
}

/// Writes an address of an interface. Schema: GuestIpAddress (1.1).
fn write_address(of: &Address, out: &mut Writer<'_>) {
    out.ascii("{");
    let kind = match of.ip {
        IpAddr::V4(ip) => {
            address("ip-address", &ip.octets(), out);
            "\"ipv4\""
        }
        IpAddr::V6(ip) => {
            address("ip-address", &ip.octets(), out);
            "\"ipv6\""
        }
    };
    out.key("ip-address-type");
    out.ascii(kind);
    out.words("prefix", &[u32::from(of.prefix_bits)]);
    out.ascii("}");
}

/// The members of GuestNetworkInterfaceStat (2.11) in the order of [`Statistics`].
const STATISTICS: &str =
    "rx-bytes rx-packets rx-errs rx-dropped tx-bytes tx-packets tx-errs tx-dropped";

/// One route at each call, those of IPv4 first. Schema: guest-network-get-route (9.1),
/// GuestNetworkRoute. Errors: this guest has the routing tables neither of IPv4 nor of IPv6.
pub fn route_piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    const OF_IPV6: &[u8] = b"/proc/net/ipv6_route";
    let list = &mut state.list;
    if cursor.outer == 0 {
        let mut opened = list.open(platform, b"/proc/net/route");
        if opened == Err(Errno::NOENT) {
            cursor.part = 1;
            opened = list.open(platform, OF_IPV6);
        }
        opened.map_err(|errno| Failed(text!("failed to read the routing tables"), errno))?;
        cursor.open("[", out);
        cursor.outer = 1;
    }
    if let Some(line) = list.line() {
        if cursor.part == 0 {
            of_ipv4(line, cursor, out);
        } else {
            of_ipv6(line, cursor, out);
        }
        return Ok(true);
    }
    if let Err(errno) = list.ended() {
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

/// Begins the element of a route.
fn route(interface: &[u8], cursor: &mut Cursor, out: &mut Writer<'_>) {
    cursor.element(out);
    out.ascii("{");
    out.key("iface");
    out.string(interface);
}

/// A line of the table of IPv4.
fn of_ipv4(line: &[u8], cursor: &mut Cursor, out: &mut Writer<'_>) {
    let Some(of) = route::V4::parse(line) else { return };
    route(of.interface, cursor, out);
    address("destination", &of.destination, out);
    address("gateway", &of.gateway, out);
    address("mask", &of.mask, out);
    let route::V4 { metric, irtt, flags, references, uses, window, mtu, .. } = of;
    let numbers = [metric, irtt, flags, references, uses, window, mtu, 4];
    out.words("metric irtt flags refcnt use window mtu version", &numbers);
    out.ascii("}");
}

/// A line of that of IPv6, whose prefixes are texts in the schema.
fn of_ipv6(line: &[u8], cursor: &mut Cursor, out: &mut Writer<'_>) {
    let Some(of) = route::V6::parse(line) else { return };
    route(of.interface, cursor, out);
    let ends = [
        ("destination", "desprefixlen", &of.destination, of.destination_bits),
        ("source", "srcprefixlen", &of.source, of.source_bits),
    ];
    for (key, key_of_bits, ip, bits) in ends {
        address(key, ip, out);
        out.key(key_of_bits);
        out.ascii("\"");
        out.unsigned(u64::from(bits));
        out.ascii("\"");
    }
    address("nexthop", &of.next_hop, out);
    let numbers = [of.metric, of.flags, of.references, of.uses, 6];
    out.words("metric flags refcnt use version", &numbers);
    out.ascii("}");
}
