//! guest-get-host-name, guest-get-osinfo, guest-get-timezone, guest-get-load: what the system says
//! of itself.

use super::listing::left_out;
use crate::bytes::copy;
use crate::errno::Errno;
use crate::formats::{loadavg, os_release, posix_tz, zone};
use crate::limits::{NAME_BYTES_MAX, OS_RELEASE_LINE_BYTES_MAX, PATH_SHOWN_BYTES};
use crate::lines::{Lines, kept_bytes};
use crate::list::{List, whole};
use crate::platform::{Name, Platform};
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;

/// The name that the guest has in its network. Schema: guest-get-host-name (2.10). Errors: those of
/// uname(2).
pub fn host_name_piece<P: Platform>(
    platform: &mut P,
    _: &mut State<P>,
    _: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let mut name = [0; NAME_BYTES_MAX];
    let len = platform.name(Name::Host, &mut name);
    let len = len.map_err(|errno| Failed(text!("failed to get the host name"), errno))?;
    out.ascii("{");
    out.key("host-name");
    out.string(name.get(..len).unwrap_or(&[]));
    out.ascii("}");
    Ok(false)
}

/// The local time's name and its distance from UTC at this moment, in seconds, more to the east: by
/// `TZ`, by /etc/localtime; where neither says anything it is UTC. Schema: guest-get-timezone
/// (2.10), GuestTimezone. Errors: those of the clock.
pub fn timezone_piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    _: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let now_ns = platform.now_ns();
    let now_ns = now_ns.map_err(|errno| Failed(text!("failed to get time"), errno))?;
    let now_s = now_ns.div_euclid(1_000_000_000);
    let local = local(platform, &mut state.list, now_s)?;
    out.ascii("{");
    out.key("zone");
    out.string(local.name);
    out.key("offset");
    out.integer(i64::from(local.offset_s));
    out.ascii("}");
    Ok(false)
}

/// The local time of a moment; where nothing says what that is it is UTC. Errors: a file says it
/// that cannot be read.
#[inline(never)]
pub fn local<'l, P: Platform>(
    platform: &mut P,
    list: &'l mut List<P>,
    at_s: i64,
) -> Result<zone::Local<'l>, Failed> {
    if !P::ZONES {
        return Ok(zone::Local::UTC);
    }
    let variable = platform.variable("TZ");
    let mut path = [0; PATH_SHOWN_BYTES];
    let mut path = Writer::new(&mut path);
    zone::path(variable, &mut path);
    let file = match path.is_full() || path.is_empty() {
        true => Err(Errno::NOENT),
        false => whole(platform, path.written(), list.room()),
    };
    let found = match file.map(|file| &*file) {
        Ok(file) => zone::local(file, at_s),
        Err(Errno::NOENT | Errno::NOTDIR) => variable.and_then(|rule| posix_tz::rule(rule, at_s)),
        Err(errno) => return Err(Failed(text!("failed to read the time zone"), errno)),
    };
    Ok(found.unwrap_or(zone::Local::UTC))
}

/// The load: how many processes ran or waited to in the mean of the last minute, of five, of
/// fifteen. Schema: guest-get-load (10.0), GuestLoadAverage. Errors: there is no /proc/loadavg, or
/// it says something else (EPROTO).
pub fn load_piece<P: Platform>(
    platform: &mut P,
    _: &mut State<P>,
    _: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let mut text = [0; 64];
    let loads = whole(platform, b"/proc/loadavg", &mut text)
        .and_then(|text| loadavg::loads(text).ok_or(Errno::PROTO));
    let loads = loads.map_err(|errno| Failed(text!("failed to get the load"), errno))?;
    out.ascii("{");
    for (key, load) in ["load1m", "load5m", "load15m"].iter().zip(loads) {
        out.key(key);
        out.raw(load);
    }
    out.ascii("}");
    Ok(false)
}

/// Members of GuestOSInfo that the kernel knows.
const OF_KERNEL: [(&str, Name); 3] = [
    ("\"kernel-release\": ", Name::Release),
    ("\"kernel-version\": ", Name::Version),
    ("\"machine\": ", Name::Machine),
];

/// Members of it that os-release(5) knows, in the order of [`os_release::KEYS`].
const OF_RELEASE: [&str; os_release::KEYS.len()] = [
    "\"id\": ",
    "\"name\": ",
    "\"pretty-name\": ",
    "\"version\": ",
    "\"version-id\": ",
    "\"variant\": ",
    "\"variant-id\": ",
];

/// What the kernel calls itself, and what os-release(5) says of the system, one member at each
/// call. Schema: guest-get-osinfo (2.10). Errors: none; what is not known is left out.
pub fn osinfo_piece<P: Platform>(
    platform: &mut P,
    _: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    if cursor.outer == 0 {
        cursor.open("{", out);
    }
    let number = cursor.outer;
    let of_release = number.wrapping_sub(OF_KERNEL.len());
    let mut text = [0; OS_RELEASE_LINE_BYTES_MAX];
    let (key, len) = if let Some(&(key, name)) = OF_KERNEL.get(number) {
        (key, platform.name(name, &mut text).ok())
    } else if let Some(&key) = OF_RELEASE.get(of_release) {
        let name = os_release::KEYS.get(of_release).copied().unwrap_or_default();
        let value = value(platform, name, &mut text).unwrap_or_else(|errno| {
            left_out(platform, errno);
            None
        });
        (key, value)
    } else {
        cursor.close("}", out);
        return Ok(false);
    };
    cursor.outer += 1;
    if let Some(len) = len {
        if cursor.part == 0 {
            cursor.element(out);
            out.ascii(key);
        }
        let whole = cursor.string(text.get(..len).unwrap_or(&[]), out);
        // A long text goes on in the next piece.
        cursor.part = u8::from(!whole);
        cursor.outer = if whole { number + 1 } else { number };
    }
    Ok(true)
}

/// Puts what the file says of a name into `into`, how many bytes. The last line counts that says
/// something; one that is too long or malformed says nothing. Errors: the file is there and cannot
/// be read.
fn value<P: Platform>(
    platform: &mut P,
    name: &[u8],
    into: &mut [u8; OS_RELEASE_LINE_BYTES_MAX],
) -> Result<Option<usize>, Errno> {
    let named = platform.variable("QGA_OS_RELEASE");
    let mut text = platform.text(named.unwrap_or(b"/etc/os-release"));
    if matches!(text, Err(Errno::NOENT)) {
        text = platform.text(b"/usr/lib/os-release");
    }
    let text = match text {
        Ok(text) => text,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut room = [0; OS_RELEASE_LINE_BYTES_MAX];
    let mut lines = Lines::new(text, b'\n', &mut room);
    let mut len = None;
    while let Some(line) = lines.line() {
        // What comes cut is no assignment any more.
        if line.len() != kept_bytes(OS_RELEASE_LINE_BYTES_MAX)
            && let Some((key, value)) = os_release::assignment(line)
            && key == name
        {
            len = Some(copy(into, value));
        }
    }
    lines.ended().map(|()| len)
}
