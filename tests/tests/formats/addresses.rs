//! Addresses against those of the C library and of the standard library.

use super::tables::written;
use qga_core::formats::ip;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::net::{Ipv4Addr, Ipv6Addr};

unsafe extern "C" {
    fn inet_ntop(
        family: c_int,
        address: *const c_void,
        text: *mut c_char,
        room: libc::socklen_t,
    ) -> *const c_char;
}

/// As the C library writes it.
fn of_libc(family: c_int, address: &[u8]) -> String {
    let mut room: [c_char; 64] = [0; 64];
    // SAFETY: the address is as long as its family's are, and the text has the room that is named.
    let text = unsafe { inet_ntop(family, address.as_ptr().cast(), room.as_mut_ptr(), 64) };
    assert!(!text.is_null());
    // SAFETY: inet_ntop has ended the text with a NUL.
    unsafe { CStr::from_ptr(room.as_ptr()) }.to_str().expect("ASCII").to_owned()
}

fn check_v6(address: [u8; 16]) {
    let found = written(|writer| ip::v6(&address, writer));
    assert_eq!(found, of_libc(libc::AF_INET6, &address));
    // The standard library writes ::a.b.c.d in hexadecimal.
    let is_compatible = address[..12] == [0; 12] && address[12..14] != [0; 2];
    let standard = Ipv6Addr::from(address);
    assert_eq!(found.parse(), Ok(standard));
    assert!(is_compatible || found == standard.to_string(), "{found} {standard}");
}

#[test]
fn a_million_random_addresses() {
    for _ in 0..500_000 {
        // Groups of zeroes at random places, and what is near the forms that end as IPv4.
        let mut address = fastrand::u128(..).to_be_bytes();
        let zeroes = fastrand::u8(..);
        for (at, group) in address.chunks_mut(2).enumerate() {
            if zeroes >> at & 1 != 0 {
                group.fill(0);
            } else if fastrand::u8(..8) == 0 {
                group.copy_from_slice(&[0, fastrand::u8(..)]);
            }
        }
        if fastrand::u8(..8) == 0 {
            address[..10].fill(0);
            address[10..12].fill([0, 0xFF][fastrand::usize(..2)]);
        }
        check_v6(address);
        let short = fastrand::u32(..).to_be_bytes();
        let found = written(|writer| ip::v4(&short, writer));
        assert_eq!(found, Ipv4Addr::from(short).to_string());
    }
}

#[test]
fn every_pattern_of_zero_groups() {
    for zeroes in 0..=255u8 {
        for value in [[0, 1], [0xFF, 0xFF], [0xAB, 0xCD], [0, 0x1F], [1, 0]] {
            let mut address = [0; 16];
            for (at, group) in address.chunks_mut(2).enumerate() {
                if zeroes >> at & 1 == 0 {
                    group.copy_from_slice(&value);
                }
            }
            check_v6(address);
        }
    }
}
