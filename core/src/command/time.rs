//! guest-get-time, guest-set-time: the time of day.

use super::Nothing;
use super::system::local;
use crate::errno::Errno;
use crate::error::Error;
use crate::formats::calendar::{date, is_local, seconds_since_1970};
use crate::list::{List, whole};
use crate::platform::{Platform, WallClock};
use crate::response::Failed;
use serde::Deserialize;

/// Returns the time in nanoseconds since 1970 (UTC). Schema: guest-get-time (1.5). Errors: those of
/// the guest's clock.
pub fn get<P: WallClock>(platform: &mut P, _: Nothing) -> Result<i64, Error<'static>> {
    platform.now_ns().map_err(|errno| Error::Failed(text!("failed to get time"), errno))
}

/// Nanoseconds since 1970 (UTC); without them the hardware clock's time. Schema: guest-set-time
/// (1.5).
#[derive(Deserialize)]
pub struct Set {
    time: Option<i64>,
}

const SECOND_NS: i64 = 1_000_000_000;
/// What the reference takes for a time: the years from 1970 to 2069.
const END_S: i64 = 3_155_760_000;

/// Sets the clock, and the hardware clock by that, if there is one; or the clock by the hardware
/// clock. Errors: no such time, those of either clock; unless the clock was set it is as it was.
#[inline(never)]
pub fn set<P: Platform>(
    platform: &mut P,
    list: &mut List<P>,
    Set { time }: Set,
) -> Result<(), Error<'static>> {
    let by_rtc = |errno| Error::because(phrase!("failed to read the hardware clock: !"), errno);
    let ns = match time {
        Some(ns) => ns,
        None => {
            let shown = match platform.rtc() {
                Ok(shown) => seconds_since_1970(&shown).ok_or(by_rtc(Errno::INVAL))?,
                Err(errno) if is_missing(errno) => {
                    let none = phrase!("no time was given, and there is no hardware clock: !");
                    return Err(Error::because(none, errno));
                }
                Err(errno) => return Err(by_rtc(errno)),
            };
            // What holds at a moment before or after the right one by as much as local time is away
            // from UTC holds at the right one: but near a change.
            let near_s = shown - ahead_s(platform, list, shown)?;
            let at_s = shown - ahead_s(platform, list, near_s)?;
            // It shows whole seconds: in the middle of one it is wrong by half a second at most.
            at_s.saturating_mul(SECOND_NS).saturating_add(SECOND_NS / 2)
        }
    };
    if !(0..END_S * SECOND_NS).contains(&ns) {
        return Err(Error::Told(phrase!("Invalid time"), b"", 0));
    }
    let set = platform.set_ns(ns);
    set.map_err(|errno| Error::because(phrase!("Failed to set time to guest: !"), errno))?;
    if time.is_none() {
        return Ok(());
    }
    let at_s = ns / SECOND_NS;
    let shown = at_s + ahead_s(platform, list, at_s)?;
    match platform.set_rtc(&date(shown)) {
        Err(errno) if !is_missing(errno) => {
            Err(Error::because(phrase!("failed to set hardware clock to system time: !"), errno))
        }
        _ => Ok(()),
    }
}

/// Whether a hardware clock cannot be used because there is none.
fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NODEV | Errno::NXIO | Errno::OPNOTSUPP)
}

/// How far ahead of UTC the hardware clock is at a moment, in seconds: not at all, unless it shows
/// local time. Errors: that cannot be read.
fn ahead_s<P: Platform>(
    platform: &mut P,
    list: &mut List<P>,
    at_s: i64,
) -> Result<i64, Error<'static>> {
    match whole(platform, b"/etc/adjtime", list.room()) {
        Ok(adjtime) if is_local(adjtime) => {}
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => return Ok(0),
        Err(errno) => {
            return Err(Error::because(phrase!("failed to read /etc/adjtime: !"), errno));
        }
    }
    match local(platform, list, at_s) {
        Ok(local) => Ok(local.offset_s.into()),
        Err(Failed(what, errno)) => Err(Error::Failed(what, errno)),
    }
}
