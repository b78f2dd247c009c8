//! The sessions of systemd-logind, `/run/systemd/sessions/ID`, where no utmp is kept: one such file
//! in, the login out.
//!
//! What the file consists of is documented nowhere but in its source; these keys have been the same
//! since systemd 209.

use super::fields::cut;
use super::utmp::Login;
use crate::bytes::decimal;

/// The login of a session of a user; nothing for one of a display manager, of a service manager or
/// of a job, and for one that is ending.
#[inline(never)]
pub fn login(text: &[u8]) -> Option<Login<'_>> {
    let user = value(text, b"USER=")?;
    let at_us = decimal(value(text, b"REALTIME=")?)?;
    // `user`, and of later versions `user-early` and `user-light`.
    let is_user = value(text, b"CLASS=").is_none_or(|class| class.starts_with(b"user"));
    let is_ending = value(text, b"STATE=") == Some(b"closing");
    (is_user && !is_ending && !user.is_empty()).then_some(Login { user, at_us })
}

/// What follows the key, with its `=`, on the first line that begins with it. The values that are
/// read here are written without quotes.
#[inline(never)]
fn value<'t>(mut text: &'t [u8], key: &[u8]) -> Option<&'t [u8]> {
    while !text.is_empty() {
        if let Some(value) = cut(&mut text, b'\n').strip_prefix(key) {
            return Some(value);
        }
    }
    None
}
