//! guest-get-users: who is logged in, each with the earliest login.

use super::listing::left_out;
use crate::bytes::{copy, until_nul};
use crate::errno::Errno;
use crate::formats::utmp::{self, Login};
use crate::formats::{seconds, session};
use crate::limits::{SESSION_BYTES_MAX, SESSION_NAME_BYTES_MAX, USER_BYTES_MAX};
use crate::lines::read;
use crate::list::whole;
use crate::platform::{Folder, Platform, Texts};
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;

/// A user's name, filled up with NULs, which nobody has.
const NOBODY: [u8; USER_BYTES_MAX] = [0; USER_BYTES_MAX];

/// What to do with each login.
type Visit<'v> = &'v mut dyn FnMut(Login<'_>);

/// One user at each call, in the order of their names: so nobody needs to be kept in mind but the
/// one who came last. Schema: guest-get-users (2.10), GuestUser. Errors: utmp is there and cannot
/// be read. Where there is none, and logind keeps no sessions either, nobody is logged in.
pub fn piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let (names, _) = state.list.room().as_chunks_mut::<USER_BYTES_MAX>();
    let [last, next, ..] = names else {
        out.ascii("[]");
        return Ok(false);
    };
    if cursor.outer == 0 {
        *last = NOBODY;
        cursor.open("[", out);
    }
    *next = NOBODY;
    let mut next_us = 0;
    let seen = each_login(platform, &mut |Login { user, at_us }| {
        let mut name = NOBODY;
        copy(&mut name, user);
        let is_other = *next == NOBODY || name < *next;
        if name > *last && (is_other || name == *next && at_us < next_us) {
            (*next, next_us) = (name, at_us);
        }
    });
    match seen {
        Err(errno) if cursor.outer == 0 => {
            return Err(Failed(text!("failed to read who is logged in"), errno));
        }
        Err(errno) => left_out(platform, errno),
        Ok(()) if *next != NOBODY => {
            cursor.element(out);
            cursor.outer += 1;
            out.ascii("{");
            out.key("user");
            out.string(until_nul(next));
            out.key("login-time");
            seconds::write(next_us, out);
            out.ascii("}");
            *last = *next;
            return Ok(true);
        }
        Ok(()) => {}
    }
    cursor.close("]", out);
    Ok(false)
}

/// Visits every login, by utmp(5) or, where there is none, by the sessions of logind.
fn each_login<P: Texts>(platform: &mut P, visit: Visit<'_>) -> Result<(), Errno> {
    for path in ["/run/utmp", "/var/run/utmp"] {
        match platform.text(path.as_bytes()) {
            Ok(text) => return each_record(text, visit),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    match each_session(platform, visit) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// Visits the logins of a text of utmp.
fn each_record<R: embedded_io::Read<Error = Errno>>(
    mut text: R,
    visit: Visit<'_>,
) -> Result<(), Errno> {
    let mut record = [0; utmp::RECORD_BYTES];
    let mut len = 0;
    loop {
        let free = record.get_mut(len..).unwrap_or(&mut []);
        match read(&mut text, free)? {
            // What is left is no whole record.
            0 => return Ok(()),
            more => len += more as usize,
        }
        if len >= record.len() {
            len = 0;
            utmp::login(&record).map(&mut *visit);
        }
    }
}

/// Visits the logins of logind's sessions.
#[inline(never)]
fn each_session<P: Texts>(platform: &mut P, visit: Visit<'_>) -> Result<(), Errno> {
    const FOLDER: &[u8] = b"/run/systemd/sessions";
    let mut folder = platform.folder(FOLDER)?;
    while let Some(name) = folder.next_name() {
        // `1.ref` is a pipe.
        if name.contains(&b'.') || name.len() > SESSION_NAME_BYTES_MAX {
            continue;
        }
        let mut path = [0; FOLDER.len() + 1 + SESSION_NAME_BYTES_MAX];
        let mut path = Writer::new(&mut path);
        path.raw(FOLDER);
        path.ascii("/");
        path.raw(name);
        let mut text = [0; SESSION_BYTES_MAX];
        match whole(platform, path.written(), &mut text) {
            Ok(text) => session::login(text).map(&mut *visit),
            // It has just ended.
            Err(Errno::NOENT) => None,
            Err(errno) => return Err(errno),
        };
    }
    folder.ended()
}
