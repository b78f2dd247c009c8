//! guest-ssh-get-authorized-keys, -add-, -remove-: the keys with which others log in as a user, in
//! ~/.ssh/authorized_keys (sshd(8)). Carried out by a copy of the agent that has become that user,
//! so that nothing is done that the user could not do.

use super::errand::Desk;
use crate::errno::Errno;
use crate::error::{Error, Raised};
use crate::formats::users::{User, group_of};
use crate::json::lists::{Decoded, Strings};
use crate::limits::{PATH_BYTES_MAX, USER_GROUPS_MAX};
use crate::lines::{Lines, kept_bytes};
use crate::platform::Platform;
use crate::response::Cursor;
use crate::rewrite::Rewrite;
use crate::text::Phrase;
use crate::writer::Writer;
use serde::Deserialize;

/// Whose keys. Schema: guest-ssh-get-authorized-keys (5.2).
#[derive(Deserialize)]
pub struct Get<'a> {
    username: &'a [u8],
}

/// Whose, and which. Schema: guest-ssh-add-authorized-keys (5.2).
#[derive(Deserialize)]
pub struct Add<'a> {
    username: &'a [u8],
    #[serde(borrow)]
    keys: Strings<'a>,
    reset: Option<bool>,
}

/// The same. Schema: guest-ssh-remove-authorized-keys (5.2).
#[derive(Deserialize)]
pub struct Remove<'a> {
    username: &'a [u8],
    #[serde(borrow)]
    keys: Strings<'a>,
}

/// The file, the folder in the home that it is in, and what the new file is called until it is
/// whole.
const FILE: &[u8] = b"authorized_keys";
const FOLDER: &[u8] = b".ssh";
const DRAFT: &[u8] = b"authorized_keys.qga";

const READ: Phrase = phrase!("failed to read '$': !");

/// Where somebody's keys are: in the home, whose path this is.
struct Home<'h>(&'h [u8]);

/// Writes the keys, in the order of the file. Schema: GuestAuthorizedKeys. Errors: unknown user,
/// no such file.
pub fn get<'a, P: Platform>(
    platform: &mut P,
    arguments: &Get<'a>,
    desk: &mut Desk<'_>,
) -> Result<(), Raised> {
    let mut home = [0; HOME_BYTES_MAX];
    let home = become_user(platform, arguments.username, desk, &mut home)?;
    let found = platform.parent(home.0).and_then(|parent| platform.folder_in(&parent, FOLDER));
    let old = match found.and_then(|parent| platform.old(&parent, FILE)) {
        Ok(old) => old,
        Err(errno) => return Err(home.refuse(platform, READ, errno, desk)),
    };
    desk.out.out.ascii("{\"keys\": [");
    let mut cursor = Cursor::new();
    let longest = kept_bytes(desk.line.len());
    let mut lines = Lines::new(old, b'\n', desk.line);
    let mut failed = None;
    while failed.is_none()
        && let Some(line) = lines.line()
    {
        failed = whole(line, longest).err().or(desk.out.failed());
        let key = line.trim_ascii();
        if !key.is_empty() && key.first() != Some(&b'#') {
            desk.out.make_room(platform);
            cursor.element(&mut desk.out.out);
            desk.out.string(platform, key);
        }
    }
    let ended = failed.map_or(lines.ended(), Err);
    desk.out.make_room(platform);
    desk.out.out.ascii("]}");
    ended.map_err(|errno| home.refuse(platform, READ, errno, desk))
}

/// Adds keys that are not there yet, after the others, or in the place of all. Errors: what is no
/// key; unknown user; those of the files, and then they are as they were.
pub fn add<'a, P: Platform>(
    platform: &mut P,
    arguments: &Add<'a>,
    desk: &mut Desk<'_>,
) -> Result<(), Raised> {
    let Add { username, keys, reset } = *arguments;
    // A line that is longer could never be removed again.
    let longest = kept_bytes(desk.line.len());
    if keys.iter().any(|key| key.count() >= longest) {
        let sentence = phrase!("a key is longer than # bytes");
        let error = Error::Told(sentence, b"", longest as i64 - 1);
        return Err(desk.out.refuse(platform, &error));
    }
    for key in keys.iter() {
        let is_comment = key.clone().next() == Some(b'#');
        if is_comment || key.clone().any(|byte| byte == b'\n') {
            let mut shown = Writer::new(desk.line);
            key.for_each(|byte| shown.raw(&[byte]));
            let sentence = phrase!("invalid OpenSSH public key: '$'");
            let error = Error::Told(sentence, shown.written(), 0);
            return Err(desk.out.refuse(platform, &error));
        }
    }
    change(platform, username, desk, &mut |platform, files, desk| {
        let (parent, old) = files;
        let draft = platform.draft(parent, DRAFT, old.as_ref())?;
        let mut new = Rewrite::new(draft, desk.known);
        let longest = kept_bytes(desk.line.len());
        if reset != Some(true)
            && let Some(old) = old.take()
        {
            let mut lines = Lines::new(old, b'\n', desk.line);
            while let Some(line) = lines.line() {
                whole(line, longest)?;
                new.put(line);
                new.put(b"\n");
            }
            lines.ended()?;
        }
        for (number, key) in keys.iter().enumerate() {
            // virsh sends an empty one at the end.
            let is_known = key.clone().next().is_none()
                || keys.iter().take(number).any(|other| other.eq(key.clone()))
                || reset != Some(true) && is_in_file(platform, parent, &key, desk.line)?;
            if !is_known {
                key.for_each(|byte| new.put(&[byte]));
                new.put(b"\n");
            }
        }
        platform.publish(parent, new.end()?, FILE)
    })
}

/// Removes keys: every line that is one of them. Errors: unknown user; those of the files, and then
/// they are as they were.
pub fn remove<'a, P: Platform>(
    platform: &mut P,
    arguments: &Remove<'a>,
    desk: &mut Desk<'_>,
) -> Result<(), Raised> {
    let Remove { username, keys } = *arguments;
    change(platform, username, desk, &mut |platform, (parent, old), desk| {
        let Some(old) = old.take() else { return Ok(()) };
        let draft = platform.draft(parent, DRAFT, Some(&old))?;
        let mut new = Rewrite::new(draft, desk.known);
        let longest = kept_bytes(desk.line.len());
        let mut lines = Lines::new(old, b'\n', desk.line);
        while let Some(line) = lines.line() {
            whole(line, longest)?;
            if !keys.iter().any(|key| key.eq(line.iter().copied())) {
                new.put(line);
                new.put(b"\n");
            }
        }
        lines.ended()?;
        platform.publish(parent, new.end()?, FILE)
    })
}

/// The folder of the keys, and the file as it was.
type Files<P> =
    (<P as crate::platform::Replace>::Parent, Option<<P as crate::platform::Replace>::Old>);

/// What becomes of the file.
type Change<'c, P> = &'c mut dyn FnMut(&mut P, &mut Files<P>, &mut Desk<'_>) -> Result<(), Errno>;

/// Becomes a user and changes the file, which may not be there yet.
#[inline(never)]
fn change<P: Platform>(
    platform: &mut P,
    username: &[u8],
    desk: &mut Desk<'_>,
    change: Change<'_, P>,
) -> Result<(), Raised> {
    let mut home = [0; HOME_BYTES_MAX];
    let home = become_user(platform, username, desk, &mut home)?;
    let folder =
        platform.parent(home.0).and_then(|parent| match platform.folder_in(&parent, FOLDER) {
            Err(Errno::NOENT) => {
                platform.make_folder(&parent, FOLDER)?;
                platform.folder_in(&parent, FOLDER)
            }
            folder => folder,
        });
    let folder = match folder {
        Ok(folder) => folder,
        Err(errno) => {
            let what = phrase!("failed to create directory '$': !");
            return Err(home.refuse_folder(platform, what, errno, desk));
        }
    };
    let old = match platform.old(&folder, FILE) {
        Err(Errno::NOENT) => Ok(None),
        old => old.map(Some),
    };
    // What an earlier copy has left that was killed.
    let _ = platform.remove(&folder, DRAFT);
    let changed = old.and_then(|old| change(platform, &mut (folder, old), desk));
    if let Err(errno) = changed {
        return Err(home.refuse(platform, phrase!("failed to write to '$': !"), errno, desk));
    }
    desk.out.out.ascii("{}");
    Ok(())
}

/// Whether a line of the file as it is is this key.
fn is_in_file<P: Platform>(
    platform: &mut P,
    parent: &P::Parent,
    key: &Decoded<'_>,
    room: &mut [u8],
) -> Result<bool, Errno> {
    let old = match platform.old(parent, FILE) {
        Err(Errno::NOENT) => return Ok(false),
        old => old?,
    };
    let mut lines = Lines::new(old, b'\n', room);
    while let Some(line) = lines.line() {
        if key.clone().eq(line.iter().copied()) {
            return Ok(true);
        }
    }
    lines.ended().map(|()| false)
}

/// Whether a line came whole: it is not to be lost. Errors: EOVERFLOW when it is too long.
fn whole(line: &[u8], longest: usize) -> Result<(), Errno> {
    if line.len() < longest { Ok(()) } else { Err(Errno::OVERFLOW) }
}

/// Becomes a user that /etc/passwd knows; the home. Errors: it knows none of that name, or it
/// cannot be read.
fn become_user<'h, P: Platform>(
    platform: &mut P,
    name: &[u8],
    desk: &mut Desk<'_>,
    home: &'h mut [u8; HOME_BYTES_MAX],
) -> Result<Home<'h>, Raised> {
    match try_to_become(platform, name, desk, home) {
        Ok(Some(len)) => Ok(Home(home.get(..len).unwrap_or(&[]))),
        failed => {
            let (sentence, number) = match failed {
                Err(errno) => (phrase!("failed to become user '$': !"), errno.number()),
                Ok(_) => (phrase!("failed to lookup user '$': not in /etc/passwd"), 0),
            };
            let error = Error::Told(sentence, name, number.into());
            Err(desk.out.refuse(platform, &error))
        }
    }
}

/// The same; how long the home's path is.
#[inline(never)]
fn try_to_become<P: Platform>(
    platform: &mut P,
    name: &[u8],
    desk: &mut Desk<'_>,
    home: &mut [u8; HOME_BYTES_MAX],
) -> Result<Option<usize>, Errno> {
    let mut found = None;
    let mut lines = Lines::new(platform.text(b"/etc/passwd")?, b'\n', desk.line);
    while let Some(line) = lines.line() {
        let Some(user) = User::named(name, line) else { continue };
        let Some(place) = home.get_mut(..user.home.len()) else { return Err(Errno::NAMETOOLONG) };
        crate::bytes::copy(place, user.home);
        found = Some((user.user, user.group, user.home.len()));
        break;
    }
    lines.ended()?;
    let Some((user, group, len)) = found else { return Ok(None) };
    let longest = kept_bytes(desk.line.len());
    let mut groups = [0; USER_GROUPS_MAX];
    let mut count = 0;
    // A guest may have none.
    if let Ok(text) = platform.text(b"/etc/group") {
        let mut lines = Lines::new(text, b'\n', desk.line);
        while let Some(line) = lines.line() {
            // The last member of one that came cut may be another user.
            let group = if line.len() < longest { group_of(name, line) } else { None };
            if let (Some(group), Some(place)) = (group, groups.get_mut(count)) {
                *place = group;
                count += 1;
            }
        }
        lines.ended()?;
    }
    platform.become_user(user, group, groups.get(..count).unwrap_or(&[]))?;
    Ok(Some(len))
}

/// Longest path of a home.
const HOME_BYTES_MAX: usize = 256;
const _: () = assert!(HOME_BYTES_MAX < PATH_BYTES_MAX);

impl Home<'_> {
    /// Says that something failed with the file.
    fn refuse<P: Platform>(
        &self,
        platform: &mut P,
        what: Phrase,
        errno: Errno,
        desk: &mut Desk<'_>,
    ) -> Raised {
        self.refuse_path(platform, (what, errno), &[b"/", FOLDER, b"/", FILE], desk)
    }

    /// Says that something failed with the folder.
    fn refuse_folder<P: Platform>(
        &self,
        platform: &mut P,
        what: Phrase,
        errno: Errno,
        desk: &mut Desk<'_>,
    ) -> Raised {
        self.refuse_path(platform, (what, errno), &[b"/", FOLDER], desk)
    }

    #[inline(never)]
    fn refuse_path<P: Platform>(
        &self,
        platform: &mut P,
        (what, errno): (Phrase, Errno),
        below: &[&[u8]],
        desk: &mut Desk<'_>,
    ) -> Raised {
        let mut path = Writer::new(desk.line);
        path.raw(self.0);
        below.iter().for_each(|part| path.raw(part));
        desk.out.refuse(platform, &Error::Told(what, path.written(), errno.number().into()))
    }
}
