//! How long something may take, as clients say it: a number of seconds in, milliseconds out.

use crate::error::Error;

/// The argument `timeout` in milliseconds, if there is one. Errors: less than a second.
pub fn to_ms(timeout: Option<i64>) -> Result<Option<u64>, Error<'static>> {
    let sentence = phrase!("value '#' is invalid for argument timeout: at least 1 second");
    match timeout {
        Some(seconds @ ..1) => Err(Error::Told(sentence, b"", seconds)),
        seconds => Ok(seconds.map(|seconds| (seconds as u64).saturating_mul(1000))),
    }
}
