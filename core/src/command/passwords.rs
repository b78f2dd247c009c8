//! guest-set-user-password: by chpasswd(8), or where a guest has none in /etc/shadow itself.
//! Carried out by a copy of the agent, with which the password is gone when it ends.

use super::errand::{Desk, child_failed};
use crate::bytes::{decimal, trimmed, until_nul};
use crate::errno::Errno;
use crate::error::{Error, Raised};
use crate::formats::users::{is_of, pieces};
use crate::json::read::Base64;
use crate::limits::{LOCK_TRIES_MAX, PROGRAM_SAID_BYTES_MAX};
use crate::lines::{Lines, kept_bytes, read};
use crate::platform::{Exit, Platform};
use crate::rewrite::Rewrite;
use crate::text::Phrase;
use crate::writer::Writer;
use serde::Deserialize;

/// Whose password is to be which. Schema: guest-set-user-password (2.3).
#[derive(Deserialize)]
pub struct SetUserPassword<'a> {
    username: &'a [u8],
    #[serde(borrow)]
    password: Base64<'a>,
    crypted: bool,
}

/// Sets it. Errors: what would be another line of the file, an unknown user, those of chpasswd(8),
/// of the files.
pub fn set_user_password<'a, P: Platform>(
    platform: &mut P,
    arguments: &SetUserPassword<'a>,
    desk: &mut Desk<'_>,
) -> Result<(), Raised> {
    let SetUserPassword { username, password, crypted } = *arguments;
    let Base64::Bytes(password) = password else {
        return Err(desk.out.refuse(platform, &Error::Base64Invalid));
    };
    // As in the reference, where it is a string of C.
    let password = until_nul(password);
    let forbidden = if password.contains(&b'\n') {
        Some(FORBIDDEN)
    } else if username.iter().any(|byte| matches!(byte, b':' | b'\n')) {
        Some(phrase!("forbidden characters in username"))
    } else {
        None
    };
    if let Some(forbidden) = forbidden {
        return Err(desk.out.refuse(platform, &Error::Told(forbidden, b"", 0)));
    }
    let mut input = Writer::new(desk.line);
    for part in [username, b":", password, b"\n"] {
        input.raw(part);
    }
    if input.is_full() {
        return Err(desk.out.refuse(platform, &failed(Errno::TOOBIG)));
    }
    let words: &[&[u8]] = if crypted { &[b"chpasswd", b"-e"] } else { &[b"chpasswd"] };
    let said = desk.known.get_mut(..PROGRAM_SAID_BYTES_MAX).unwrap_or(&mut []);
    let error = match platform.run_program(words, input.written(), said) {
        Ok((Exit::Status(0), _)) => None,
        Ok((exit, len)) => Some(child_failed(exit, said.get(..len).unwrap_or(&[]), REFUSED)),
        Err(Errno::NOENT) if crypted => replace(platform, username, password, desk).err(),
        Err(Errno::NOENT) => Some(Error::Told(NO_CHPASSWD, b"", 0)),
        Err(errno) => Some(Error::because(phrase!("failed to execute chpasswd: !"), errno)),
    };
    if let Some(error) = error {
        return Err(desk.out.refuse(platform, &error));
    }
    desk.out.out.ascii("{}");
    Ok(())
}

const FORBIDDEN: Phrase = phrase!("forbidden characters in raw password");

/// What chpasswd has not done: what it said, or how it ended.
const REFUSED: [Phrase; 2] = [
    phrase!("child process has failed to set user password: ="),
    phrase!("child process has failed to set user password: exit status #"),
];

fn failed(errno: Errno) -> Error<'static> {
    Error::because(phrase!("failed to set user password: !"), errno)
}

const NO_CHPASSWD: Phrase =
    phrase!("this guest has no chpasswd: send a hash of the password, with crypted true");

/// A file that has hashes of passwords, and what keeps others out of it: shadow-utils a link with
/// the number of who is at it, busybox the new file itself.
struct Hashes {
    file: &'static [u8],
    lock: &'static [u8],
    draft: &'static [u8],
    /// Whether the day of the last change stands after the hash.
    is_dated: bool,
}

static SHADOW: Hashes =
    Hashes { file: b"shadow", lock: b"shadow.lock", draft: b"shadow+", is_dated: true };
/// Where there is no shadow.
static PASSWD: Hashes =
    Hashes { file: b"passwd", lock: b"passwd.lock", draft: b"passwd+", is_dated: false };

/// Replaces the file that has the hashes by one with another hash of this user. Errors: the user
/// has no line there; somebody else is at it; those of the files.
#[inline(never)]
fn replace<'a, P: Platform>(
    platform: &mut P,
    username: &'a [u8],
    hash: &[u8],
    desk: &mut Desk<'_>,
) -> Result<(), Error<'a>> {
    if hash.contains(&b':') {
        return Err(Error::Told(FORBIDDEN, b"", 0));
    }
    let parent = platform.parent(b"/etc").map_err(failed)?;
    let hashes = match platform.old(&parent, SHADOW.file) {
        Err(Errno::NOENT) => &PASSWD,
        _ => &SHADOW,
    };
    let mut tries = LOCK_TRIES_MAX;
    lock(platform, &parent, hashes, &mut tries).map_err(failed)?;
    let found = rewrite(platform, &parent, hashes, (username, hash), desk, &mut tries);
    // Another one could never change a password.
    let unlocked = platform.remove(&parent, hashes.lock);
    match found.and_then(|found| unlocked.map(|()| found)) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let sentence = phrase!("user '$' has no password in /etc/shadow or /etc/passwd");
            Err(Error::Told(sentence, username, 0))
        }
        Err(errno) => Err(failed(errno)),
    }
}

/// Keeps others out. Errors: EAGAIN when somebody else does, those of the files.
fn lock<P: Platform>(
    platform: &mut P,
    parent: &P::Parent,
    hashes: &Hashes,
    tries: &mut u32,
) -> Result<(), Errno> {
    while let Err(errno) = platform.lock_users() {
        again(platform, tries, errno, &[Errno::AGAIN, Errno::ACCES])?;
    }
    while let Err(errno) = platform.lock_file(parent, hashes.lock) {
        again(platform, tries, errno, &[Errno::EXIST])?;
        let mut number = [0; 24];
        let len = match platform.old(parent, hashes.lock) {
            Ok(mut old) => read(&mut old, &mut number)?,
            Err(_) => 0,
        };
        let holder =
            number.get(..len as usize).map(until_nul).and_then(|text| decimal(trimmed(text)));
        if holder.is_some_and(|holder| !platform.is_alive(holder)) {
            // It was killed, and may have left both.
            let _ = platform.remove(parent, hashes.lock);
            let _ = platform.remove(parent, hashes.draft);
        }
    }
    Ok(())
}

/// Lets some time pass if it is somebody else who stands in the way. Errors: it is not, or for too
/// long.
fn again<P: Platform>(
    platform: &mut P,
    tries: &mut u32,
    errno: Errno,
    others: &[Errno],
) -> Result<(), Errno> {
    if *tries == 0 || !others.contains(&errno) {
        return Err(errno);
    }
    *tries -= 1;
    platform.pause();
    Ok(())
}

/// Writes the new file and puts it in the place of the old one; whether the user has a line.
fn rewrite<P: Platform>(
    platform: &mut P,
    parent: &P::Parent,
    hashes: &Hashes,
    (username, hash): (&[u8], &[u8]),
    desk: &mut Desk<'_>,
    tries: &mut u32,
) -> Result<bool, Errno> {
    let old = platform.old(parent, hashes.file)?;
    let draft = loop {
        match platform.draft(parent, hashes.draft, Some(&old)) {
            Ok(draft) => break draft,
            Err(errno) => again(platform, tries, errno, &[Errno::EXIST])?,
        }
    };
    let mut day = [0; 24];
    let mut day = Writer::new(&mut day);
    day.integer(platform.now_ns()? / NS_A_DAY);
    let mut found = false;
    let mut new = Rewrite::new(draft, desk.known);
    let longest = kept_bytes(desk.line.len());
    let mut lines = Lines::new(old, b'\n', desk.line);
    while let Some(line) = lines.line() {
        if line.len() >= longest {
            return Err(Errno::OVERFLOW);
        }
        if found || !is_of(username, line) {
            new.put(line);
        } else {
            found = true;
            let [name, _, changed, rest] = pieces(line);
            for piece in [name, b":", hash, b":"] {
                new.put(piece);
            }
            new.put(if hashes.is_dated { day.written() } else { changed });
            new.put(rest);
        }
        new.put(b"\n");
    }
    lines.ended()?;
    let draft = new.end()?;
    if found {
        platform.publish(parent, draft, hashes.file)?;
    }
    Ok(found)
}

const NS_A_DAY: i64 = 86_400_000_000_000;
