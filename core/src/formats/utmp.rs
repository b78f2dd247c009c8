//! The records of who is logged in, utmp(5): one record in, the user and the time of the login out.

use crate::bytes::{until_nul, word};

/// Length of a record of this machine's C library. Time has 64 bits where there never were programs
/// with 32.
pub const RECORD_BYTES: usize =
    if cfg!(any(target_arch = "aarch64", target_arch = "loongarch64")) { LONG } else { SHORT };

/// Length of a record whose time has 32 bits.
const SHORT: usize = 384;
/// Length of a record whose time has 64 bits.
const LONG: usize = 400;

/// A record of a login (`USER_PROCESS`).
const LOGIN: i16 = 7;
/// Where the name stands, ended by a NUL if it is shorter than its place.
const USER: usize = 44;
const USER_BYTES: usize = 32;

/// Somebody who is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login<'t> {
    /// The name, which is not empty.
    pub user: &'t [u8],
    /// When they came, in microseconds since 1970.
    pub at_us: u64,
}

/// The login of a record, whichever of the two lengths it has; nothing for any other record.
#[inline(never)]
pub fn login(record: &[u8]) -> Option<Login<'_>> {
    let kind = i16::from_ne_bytes(*record.first_chunk()?);
    let user = until_nul(record.get(USER..USER + USER_BYTES)?);
    let (seconds, microseconds) = match record.len() {
        // Without a sign: 32 bits of it end in 2038.
        SHORT => (u64::from(word(record, 340)?), u64::from(word(record, 344)?)),
        LONG => (long(record, 344)?, long(record, 352)?),
        _ => return None,
    };
    if kind != LOGIN || user.is_empty() || microseconds >= 1_000_000 {
        return None;
    }
    let at_us = seconds.checked_mul(1_000_000)?.checked_add(microseconds)?;
    Some(Login { user, at_us })
}

fn long(record: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*record.get(at..)?.first_chunk()?))
}
