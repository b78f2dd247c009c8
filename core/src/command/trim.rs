//! guest-fstrim: telling disks what filesystems do not use. Carried out by a copy of the agent,
//! which may take hours.

use super::errand::{self, Desk};
use super::making;
use crate::errno::Errno;
use crate::error::{Error, Raised};
use crate::list::is_new;
use crate::mountinfo::{self, Local};
use crate::platform::{Platform, Trimmed, Untrimmed};
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;
use crate::{elements::Elements, lines::Lines};
use serde::Deserialize;

/// Schema: guest-fstrim (1.2).
#[derive(Deserialize)]
pub struct Fstrim {
    minimum: Option<i64>,
}

/// Begins to trim. Errors: one trim is under way that nobody waits for any more; there can be no
/// copy.
pub fn begin<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    arguments: Fstrim,
) -> Result<(), Error<'static>> {
    if platform.is_left() {
        return Err(Error::Told(phrase!("guest-fstrim is under way"), b"", 0));
    }
    errand::begin(platform, state, u64::MAX, &mut |platform, desk| {
        errand::ended(fstrim(platform, &arguments, desk), desk)
    })
}

/// Trims every local filesystem, each superblock once. Schema: GuestFilesystemTrimResult. Errors:
/// the mount table cannot be read.
fn fstrim<P: Platform>(
    platform: &mut P,
    arguments: &Fstrim,
    desk: &mut Desk<'_>,
) -> Result<(), Raised> {
    // A negative one means what its bits mean to the kernel, as in the reference.
    let minimum = arguments.minimum.unwrap_or(0) as u64;
    desk.known.fill(0);
    let trimmed = match platform.text(b"/proc/self/mountinfo") {
        Err(errno) => Err(errno),
        Ok(table) => {
            let mut trimmed = Ok(());
            let mut lines = Lines::new(table, b'\n', desk.line);
            while let Some(line) = lines.line() {
                let Some(Local { superblock, path, cut: false, .. }) = mountinfo::local(line)
                else {
                    continue;
                };
                if is_new(desk.known, superblock.word()) {
                    trimmed = filesystem(platform, path, minimum, &mut desk.out);
                    if trimmed.is_err() {
                        break;
                    }
                }
            }
            trimmed.and_then(|()| lines.ended())
        }
    };
    trimmed.map_err(|errno| {
        let sentence = phrase!("failed to list what was trimmed: !");
        desk.out.refuse(platform, &Error::because(sentence, errno))
    })
}

/// Trims one, and writes what came of it. Errors: it cannot be written down.
#[inline(never)]
fn filesystem<P: Platform>(
    platform: &mut P,
    path: &[u8],
    minimum: u64,
    out: &mut Elements<'_>,
) -> Result<(), Errno> {
    let trimmed = platform.trim(path, minimum);
    out.out.ascii("{");
    out.out.key("path");
    out.string(platform, path);
    out.make_room(platform);
    match trimmed {
        Ok(Trimmed { bytes, minimum }) => {
            out.out.numbers("trimmed minimum", &[Some(bytes), Some(minimum)]);
        }
        Err(untrimmed) => {
            let (sentence, errno) = match untrimmed {
                Untrimmed::Open(errno) => (phrase!("failed to open: !"), errno),
                Untrimmed::Trim(errno @ (Errno::OPNOTSUPP | Errno::NOTTY)) => {
                    (phrase!("trim not supported"), errno)
                }
                Untrimmed::Trim(errno) => (phrase!("failed to trim: !"), errno),
            };
            out.out.key("error");
            out.out.ascii("\"");
            Error::because(sentence, errno).describe(&mut out.out);
            out.out.ascii("\"");
        }
    }
    out.out.ascii("}");
    out.end(platform)
}

/// Writes the list, the last element first as the reference does, into its object.
pub fn piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    if cursor.part == 0 {
        out.ascii("{\"paths\": ");
    }
    let more = making::piece(platform, state, cursor, out)?;
    if !more {
        out.ascii("}");
    }
    Ok(more)
}
