//! Lists that are read line by line: a text of the guest in, an element a line out.

use crate::errno::Errno;
use crate::list::List;
use crate::platform::{Level, Platform};
use crate::response::{Cursor, Failed};
use crate::text::{Phrase, Text};
use crate::writer::Writer;

/// Writes what a line says, if it is an element: after [`Cursor::element`].
pub type Write<'w> = &'w mut dyn FnMut(&mut [u8], &mut Cursor, &mut Writer<'_>);

/// A piece of a list of the lines of a text. Errors: as `what`, when the text cannot be opened or
/// read from the start.
pub fn each_line<P: Platform>(
    platform: &mut P,
    list: &mut List<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
    (what, path): (Text, &str),
    write: Write<'_>,
) -> Result<bool, Failed> {
    if cursor.outer == 0 {
        list.open(platform, path.as_bytes()).map_err(|errno| Failed(what, errno))?;
    }
    let is_first = cursor.outer == 0;
    cursor.outer += 1;
    if let Some(line) = list.line() {
        if is_first {
            cursor.open("[", out);
        }
        write(line, cursor, out);
        return Ok(true);
    }
    match list.ended() {
        Err(errno) if is_first => return Err(Failed(what, errno)),
        Err(errno) => left_out(platform, errno),
        Ok(()) => {}
    }
    if is_first {
        cursor.open("[", out);
    }
    cursor.close("]", out);
    list.close();
    Ok(false)
}

/// Says in the log that a list is not whole. What of it has left already cannot be taken back.
pub fn left_out<P: Platform>(platform: &mut P, errno: Errno) {
    let why = errno.text().unwrap_or(Phrase::NONE);
    platform.log(Level::Error, &[phrase!("a list in a reply is not whole: "), why]);
}
