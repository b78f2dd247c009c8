//! The sessions of systemd-logind, `/run/systemd/sessions/ID`, where no utmp is kept: one such file in, the login out.
//!
//! What the file consists of is documented nowhere but in its source; these keys have been the same since systemd 209.

use super::os_release::assignment;
use super::utmp::Login;
use crate::bytes::decimal;

/// The login of a session of a user; nothing for one of a display manager, of a service manager or of a job, and for
/// one that is ending.
#[inline(never)]
pub fn login(text: &mut [u8]) -> Option<Login<'_>> {
    let (mut user, mut at_us) = (&[][..], None);
    for line in text.split_mut(|&byte| byte == b'\n') {
        let Some((key, value)) = assignment(line) else { continue };
        match key {
            b"USER" => user = value,
            b"REALTIME" => at_us = decimal(value),
            // `user`, and of later versions `user-early` and `user-light`.
            b"CLASS" if !value.starts_with(b"user") => return None,
            b"STATE" if value == b"closing" => return None,
            _ => {}
        }
    }
    if user.is_empty() {
        return None;
    }
    Some(Login { user, at_us: at_us? })
}
