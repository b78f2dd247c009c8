//! How long something may take, as clients say it: a number of seconds in, milliseconds out.

use crate::error::Error;

/// No limit.
pub const NONE_MS: u64 = u64::MAX;

/// The argument `timeout` in milliseconds; [`NONE_MS`] without one. Errors: less than a second.
#[inline(never)]
pub fn to_ms(timeout: Option<i64>) -> Result<u64, Error<'static>> {
    let sentence = phrase!("value '#' is invalid for argument timeout: at least 1 second");
    match timeout {
        None => Ok(NONE_MS),
        Some(seconds @ ..1) => Err(Error::Told(sentence, b"", seconds)),
        Some(seconds) => Ok((seconds as u64).saturating_mul(1000)),
    }
}
