//! guest-file-*: files of the guest by handle, unbuffered. What a reply counts has reached the
//! kernel.

use crate::errno::Errno;
use crate::error::Error;
use crate::handle::Handles;
use crate::json::read::Base64;
use crate::limits::{READ_COUNT_DEFAULT, READ_COUNT_MAX};
use crate::lines::{self, retry};
use crate::platform::{Access, Files, Log, OpenOptions, Platform, WallClock};
use crate::response::{Cursor, Failed, Stream};
use crate::state::State;
use crate::writer::Writer;
use embedded_io::SeekFrom;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// Which file to open, and how. Schema: guest-file-open (0.15.0).
#[derive(Deserialize)]
pub struct Open<'a> {
    path: &'a [u8],
    mode: Option<&'a [u8]>,
}

/// Opens a file and returns its handle. `mode` is fopen(3)'s, `r` when absent. A new file gets mode
/// 0644 whatever the umask. Errors: unknown mode, those of open(2), all handles in use.
pub fn open<'a, P: Files + WallClock + Log>(
    platform: &mut P,
    files: &mut Handles<P::File>,
    arguments: Open<'a>,
) -> Result<i64, Error<'a>> {
    let Open { path, mode } = arguments;
    let mode = mode.unwrap_or(b"r");
    let options = parse_mode(mode).ok_or(Error::OpenMode(mode))?;
    files.open(platform, |platform| {
        platform.open(path, options).map_err(|errno| Error::Open(path, mode, errno))
    })
}

/// `r`, `w` or `a`, with `b` (no meaning) and `+` (both directions) after it in either order.
fn parse_mode(mode: &[u8]) -> Option<OpenOptions> {
    let (kind, flags) = mode.split_first()?;
    let both = match flags {
        b"" | b"b" => false,
        b"+" | b"b+" | b"+b" => true,
        _ => return None,
    };
    let (access, write) = match kind {
        b'r' => (Access::Read, false),
        b'w' | b'a' => (Access::Write, true),
        _ => return None,
    };
    let access = if both { Access::Both } else { access };
    Some(OpenOptions { access, create: write, truncate: *kind == b'w', append: *kind == b'a' })
}

/// An open file. Schema: guest-file-close, guest-file-flush (0.15.0).
#[derive(Deserialize)]
pub struct Handle {
    handle: i64,
}

/// Closes a file. Errors: unknown handle, EIO and the like from filesystems that write late; the
/// handle is gone all the same.
pub fn close<P: Files>(
    platform: &mut P,
    files: &mut Handles<P::File>,
    arguments: Handle,
) -> Result<(), Error<'static>> {
    let file = files.take(arguments.handle).ok_or(Error::HandleNotFound(arguments.handle))?;
    platform.close(file).map_err(|errno| Error::Failed(text!("failed to close handle"), errno))
}

/// Does what fflush did: nothing is buffered here, so there is nothing left to do. Errors: unknown
/// handle.
pub fn flush<F>(files: &mut Handles<F>, arguments: Handle) -> Result<(), Error<'static>> {
    files.file(arguments.handle).ok_or(Error::HandleNotFound(arguments.handle)).map(drop)
}

/// How much to read. Schema: guest-file-read (0.15.0).
#[derive(Deserialize)]
pub struct Read {
    handle: i64,
    count: Option<i64>,
}

/// Says what to read and how many bytes; [`read_piece`] reads them. The reply is filled to `count`
/// or to the end of the file. Errors: unknown handle, a count outside 0..=48 MiB, those of read(2)
/// before the first byte.
pub fn read<F>(
    files: &mut Handles<F>,
    arguments: Read,
    cursor: &mut Cursor,
) -> Result<(), Error<'static>> {
    files.file(arguments.handle).ok_or(Error::HandleNotFound(arguments.handle))?;
    let count = arguments.count.unwrap_or(READ_COUNT_DEFAULT);
    if !(0..=READ_COUNT_MAX).contains(&count) {
        return Err(Error::CountInvalid(count));
    }
    cursor.handle = arguments.handle;
    cursor.stream = Stream::of(count.unsigned_abs());
    Ok(())
}

/// One read(2) of an open file, and what stands before and after all of them. Schema:
/// GuestFileRead.
pub fn read_piece<P: Platform>(
    _: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    if core::mem::replace(&mut cursor.part, 1) == 0 {
        out.ascii("{\"buf-b64\": \"");
    }
    let Cursor { stream, handle, .. } = cursor;
    if stream.goes_on() {
        let mut file = state.files.file(*handle);
        let mut read = |into: &mut [u8]| match &mut file {
            Some(file) => lines::read(file, into),
            None => Err(Errno::BADF),
        };
        let done = stream.chunk(out, &mut read);
        return done.map(|()| true).map_err(|errno| Failed(text!("failed to read file"), errno));
    }
    out.ascii("\", \"count\": ");
    out.unsigned(stream.count);
    out.ascii(if stream.eof { ", \"eof\": true}" } else { ", \"eof\": false}" });
    Ok(false)
}

/// What to write. Schema: guest-file-write (0.15.0).
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Write<'a> {
    handle: i64,
    #[serde(borrow)]
    buf_b64: Base64<'a>,
    count: Option<i64>,
}

/// How many bytes were written. Schema: GuestFileWrite.
#[derive(Serialize)]
pub struct Written {
    count: i64,
    eof: bool,
}

/// Writes bytes at the file's position. `count` of the reply is what reached the kernel; it is less
/// than asked for when the disk became full on the way. Errors: unknown handle, not base64, a count
/// larger than the data, those of write(2) before the first byte.
pub fn write<'a, F: embedded_io::Write<Error = Errno>>(
    files: &mut Handles<F>,
    arguments: Write<'a>,
) -> Result<Written, Error<'a>> {
    let file = files.file(arguments.handle).ok_or(Error::HandleNotFound(arguments.handle))?;
    let Base64::Bytes(bytes) = arguments.buf_b64 else { return Err(Error::Base64Invalid) };
    let bytes = match arguments.count {
        None => bytes,
        Some(count) => usize::try_from(count)
            .ok()
            .and_then(|count| bytes.get(..count))
            .ok_or(Error::CountInvalid(count))?,
    };
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = retry(|| file.write(rest)).and_then(|len| match len {
            0 => Err(Errno::IO),
            len => Ok(len),
        });
        match written {
            Ok(len) => rest = rest.get(len..).unwrap_or(&[]),
            Err(errno) if rest.len() == bytes.len() => {
                return Err(Error::Failed(text!("failed to write to file"), errno));
            }
            Err(_) => break,
        }
    }
    Ok(Written { count: (bytes.len() - rest.len()) as i64, eof: false })
}

/// Where to move a file's position, and from where. Schema: guest-file-seek (0.15.0).
#[derive(Deserialize)]
pub struct Seek {
    handle: i64,
    offset: i64,
    whence: Whence,
}

/// From where a position counts. Schema: GuestFileWhence, an alternate of word and number.
pub enum Whence {
    /// The beginning (`set`, 0).
    Set,
    /// The present position (`cur`, 1).
    Cur,
    /// The end (`end`, 2).
    End,
    /// A number that means nothing.
    Other(i64),
}

impl<'de> Deserialize<'de> for Whence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrCode;
        impl Visitor<'_> for WordOrCode {
            type Value = Whence;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("GuestFileWhence")
            }
            fn visit_i64<E: serde::de::Error>(self, code: i64) -> Result<Whence, E> {
                Ok(match code {
                    0 => Whence::Set,
                    1 => Whence::Cur,
                    2 => Whence::End,
                    other => Whence::Other(other),
                })
            }
            fn visit_u64<E: serde::de::Error>(self, word: u64) -> Result<Whence, E> {
                self.visit_i64(word as i64)
            }
        }
        deserializer.deserialize_enum("GuestFileWhence", &["set", "cur", "end"], WordOrCode)
    }
}

/// Where the file stands now. Schema: GuestFileSeek.
#[derive(Serialize)]
pub struct Position {
    position: i64,
    eof: bool,
}

/// Moves a file's position, in bytes. Errors: unknown handle, unknown whence, EINVAL (before the
/// beginning), ESPIPE (not seekable).
pub fn seek<F: embedded_io::Seek<Error = Errno>>(
    files: &mut Handles<F>,
    arguments: Seek,
) -> Result<Position, Error<'static>> {
    let file = files.file(arguments.handle).ok_or(Error::HandleNotFound(arguments.handle))?;
    let failed = |errno| Error::Failed(text!("failed to seek file"), errno);
    let offset = arguments.offset;
    let to = match arguments.whence {
        Whence::Set => SeekFrom::Start(u64::try_from(offset).map_err(|_| failed(Errno::INVAL))?),
        Whence::Cur => SeekFrom::Current(offset),
        Whence::End => SeekFrom::End(offset),
        Whence::Other(code) => return Err(Error::WhenceInvalid(code)),
    };
    let position = file.seek(to).map_err(failed)?;
    Ok(Position { position: position as i64, eof: false })
}
