//! guest-get-osinfo: what the kernel calls itself, and what os-release(5) says of the system.

use crate::errno::Errno;
use crate::formats::os_release;
use crate::limits::{NAME_BYTES_MAX, OS_RELEASE_LINE_BYTES_MAX};
use crate::lines::{Lines, retry};
use crate::platform::{Name, Platform};
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;

/// Members of GuestOSInfo (schema 2.10) that the kernel knows.
const OF_KERNEL: [(&str, Name); 3] = [
    ("\"kernel-release\": ", Name::Release),
    ("\"kernel-version\": ", Name::Version),
    ("\"machine\": ", Name::Machine),
];

/// Members of it that os-release(5) knows, each after its name there.
const OF_RELEASE: [(&str, &str); 7] = [
    ("ID", "\"id\": "),
    ("NAME", "\"name\": "),
    ("PRETTY_NAME", "\"pretty-name\": "),
    ("VERSION", "\"version\": "),
    ("VERSION_ID", "\"version-id\": "),
    ("VARIANT", "\"variant\": "),
    ("VARIANT_ID", "\"variant-id\": "),
];

/// One member at each call; what is not known is left out, as in the schema. Errors: none, because
/// all members are optional.
pub fn piece<P: Platform>(
    platform: &mut P,
    _: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    if cursor.outer == 0 {
        cursor.open("{", out);
    }
    let mut line = [0; OS_RELEASE_LINE_BYTES_MAX];
    let number = cursor.outer;
    cursor.outer += 1;
    if let Some(&(key, name)) = OF_KERNEL.get(number) {
        if let Ok(len) = platform.name(name, line.get_mut(..NAME_BYTES_MAX).unwrap_or(&mut [])) {
            cursor.element(out);
            out.ascii(key);
            out.string(line.get(..len).unwrap_or(&[]));
        }
        return Ok(true);
    }
    let Some(&(name, key)) = OF_RELEASE.get(number - OF_KERNEL.len()) else {
        cursor.close("}", out);
        return Ok(false);
    };
    let Some(value) = value(platform, name, &mut line) else { return Ok(true) };
    if cursor.part == 0 {
        cursor.element(out);
        out.ascii(key);
    }
    // A long one goes on in the next piece.
    let whole = cursor.string(value, out);
    cursor.part = u8::from(!whole);
    if !whole {
        cursor.outer = number;
    }
    Ok(true)
}

/// What the file says of a name: the last line of it that is well formed. `line` holds each line,
/// and the value then.
fn value<'l, P: Platform>(
    platform: &mut P,
    name: &str,
    line: &'l mut [u8; OS_RELEASE_LINE_BYTES_MAX],
) -> Option<&'l [u8]> {
    let named = platform.variable("QGA_OS_RELEASE");
    let places = [named.unwrap_or(b"/etc/os-release"), b"/usr/lib/os-release"];
    let text = places.iter().find_map(|path| retry(|| platform.text(path)).ok())?;
    let mut found = None;
    let mut lines = Lines::new(text, b'\n', line);
    todo
}
