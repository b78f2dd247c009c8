//! Messages of rtnetlink(7): any bytes as a datagram, held against a reading of `struct nlmsghdr`,
//! `struct rtattr` and what stands in them.

use qga_core::formats::netlink::{ADDRESS, LINK, Message, address, link};
use qga_core::platform::{Address, Link, Statistics};
use std::net::IpAddr;

/// All messages of a datagram, one after the other.
pub fn datagram(data: &[u8]) {
    let mut at = 0;
    while let Some(message) = Message::first(data.get(at..).unwrap_or(&[])) {
        let rest = &data[at..];
        let len = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
        assert!(len >= 16 && len <= rest.len(), "a message of {len} bytes");
        assert_eq!(message.body, &rest[16..len]);
        assert_eq!(message.kind.to_ne_bytes(), rest[4..6]);
        assert_eq!(message.interrupted, u16::from_ne_bytes([rest[6], rest[7]]) & 0x10 != 0);
        assert_eq!(message.len, len.next_multiple_of(4));
        match message.kind {
            LINK => assert_eq!(link(message.body), link_of(message.body)),
            ADDRESS => assert_eq!(address(message.body), address_of(message.body)),
            _ => {
                let _ = message.failure();
            }
        }
        at += message.len;
    }
    let rest = data.get(at..).unwrap_or(&[]);
    let len = rest.get(..4).map(|len| u32::from_ne_bytes(len.try_into().unwrap()) as usize);
    let whole = len.is_some_and(|len| len >= 16 && len <= rest.len());
    assert!(!whole, "a whole message was not found: {rest:?}");
}

/// The attributes after a head of so many bytes; nothing without a whole head.
fn attributes(body: &[u8], head: usize) -> Option<Vec<(u16, &[u8])>> {
    let mut rest = body.get(head..)?;
    let mut found = Vec::new();
    while rest.len() >= 4 {
        let len = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        if len < 4 || len > rest.len() {
            break;
        }
        found.push((u16::from_ne_bytes([rest[2], rest[3]]), &rest[4..len]));
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Some(found)
}

fn number(body: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(body.get(at..at + 4)?.try_into().unwrap()))
}

fn link_of(body: &[u8]) -> Option<Link> {
    let mut expected = Link { index: number(body, 4)?, ..Link::default() };
    for (kind, value) in attributes(body, 16)? {
        let put = |place: &mut [u8]| {
            let len = value.len().min(place.len());
            place[..len].copy_from_slice(&value[..len]);
        };
        match kind {
            1 if !value.is_empty() => {
                let mut hardware = [0; 6];
                put(&mut hardware);
                expected.hardware = Some(hardware);
            }
            3 => put(&mut expected.name),
            23 => {
                let words: Vec<u64> = value
                    .chunks_exact(8)
                    .map(|word| u64::from_ne_bytes(word.try_into().unwrap()))
                    .collect();
                expected.statistics = (words.len() > 15).then(|| {
                    let dropped = words[6].wrapping_add(words[15]);
                    let received = [words[2], words[0], words[4], dropped];
                    let sent = [words[3], words[1], words[5], words[7]];
                    Statistics([received, sent].concat().try_into().unwrap())
                });
            }
            _ => {}
        }
    }
    Some(expected)
}

fn address_of(body: &[u8]) -> Option<(u32, Address)> {
    let index = number(body, 4)?;
    let (mut far, mut near) = (None, None);
    for (kind, value) in attributes(body, 8)? {
        let ip = match body[0] {
            2 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
            10 => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
            _ => None,
        };
        match kind {
            1 => far = ip,
            2 => near = ip,
            _ => {}
        }
    }
    near.or(far).map(|ip| (index, Address { ip, prefix_bits: body[1] }))
}
