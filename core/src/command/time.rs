//! guest-get-time: the time of day.

use super::Nothing;
use crate::error::Error;
use crate::platform::WallClock;

/// Returns the time in nanoseconds since 1970 (UTC). Schema: guest-get-time (1.5). Errors: those of
/// the guest's clock.
pub fn get<P: WallClock>(platform: &mut P, _: Nothing) -> Result<i64, Error<'static>> {
    platform.now_ns().map_err(|errno| Error::Failed(text!("failed to get time"), errno))
}
