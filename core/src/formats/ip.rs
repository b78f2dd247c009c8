//! Addresses as inet_ntop(3) writes them: bytes in, text out.

use crate::bytes::hex;
use crate::writer::Writer;

/// An IPv4 address with points between its numbers.
#[inline(never)]
pub fn v4(address: &[u8; 4], text: &mut Writer<'_>) {
    let mut point = "";
    for byte in address {
        text.ascii(point);
        text.unsigned(u64::from(*byte));
        point = ".";
    }
}

/// An IPv6 address: groups in hexadecimal, the longest run of two or more zero groups, the first of
/// equals, as `::`. One that stands for an IPv4 address ends as that.
#[inline(never)]
pub fn v6(address: &[u8; 16], text: &mut Writer<'_>) {
    let (groups, _) = address.as_chunks::<2>();
    // The run that is left out: where it ends, and how long it is.
    let (mut end, mut longest, mut run) = (0, 1, 0);
    for (at, group) in groups.iter().enumerate() {
        run = if *group == [0, 0] { run + 1 } else { 0 };
        if run > longest {
            (end, longest) = (at + 1, run);
        }
    }
    let start = usize::wrapping_sub(end, longest);
    // The compatible ones, ::a.b.c.d, and the mapped ones, ::ffff:a.b.c.d.
    let is_v4 = start == 0 && (end == 6 || end == 5 && groups.get(5) == Some(&[0xFF; 2]));
    for at in 0..=groups.len() {
        let is_left_out = start <= at && at < end;
        let goes_on = at < groups.len() || end == groups.len();
        if at == start || at > 0 && !is_left_out && goes_on {
            text.ascii(":");
        }
        match groups.get(at) {
            _ if is_left_out => {}
            Some(_) if at == 6 && is_v4 => {
                return address.last_chunk().map_or((), |address| v4(address, text));
            }
            Some(group) => hexadecimal(u16::from_be_bytes(*group), text),
            None => {}
        }
    }
}

/// A number in hexadecimal, without leading zeroes.
fn hexadecimal(number: u16, text: &mut Writer<'_>) {
    let mut shift = 16;
    while shift > 0 {
        shift -= 4;
        if shift == 0 || number >> shift != 0 {
            let digit = (number >> shift & 0xF) as u8;
            text.raw(&[hex(digit)]);
        }
    }
}
