//! What can go wrong, and the one place where it becomes an error class and a description.
//!
//! In: a typed [`Error`], which borrows what it speaks of from the request. Out: `class` and `desc` of
//! the QGA error reply. Where a client could match a text it is the reference's, letter for letter.

use crate::errno::Errno;
use crate::json::text::Characters;
use crate::json::write::Writer;
use crate::limits::{DEPTH_MAX, FROZEN_MAX, HANDLES_MAX, MEMBERS_MAX, SUBJECT_BYTES_MAX};
use core::cell::Cell;
use core::fmt::Display;

/// A member of a command's arguments, as error texts name it: `handle`, `arg[0]` or `vcpus[0].online`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// The list that the member or element is in.
    pub list: Option<&'static &'static str>,
    /// Its index there.
    pub index: u32,
    /// The member, or nothing for an element of the list itself.
    pub name: &'static &'static str,
}

impl Default for Parameter {
    /// The arguments themselves.
    fn default() -> Self {
        Parameter { list: None, index: 0, name: &"" }
    }
}

impl Parameter {
    fn write(self, out: &mut Writer<'_>) {
        self.write_list(out, if self.name.is_empty() { "]" } else { "]." });
        out.ascii(self.name);
    }

    fn write_list(self, out: &mut Writer<'_>, close: &str) {
        if let Some(list) = self.list {
            out.ascii(list);
            numbered(out, "[", i64::from(self.index), close);
        }
    }
}

/// Everything that an error reply can say. `'a` is the request that it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error<'a> {
    /// The frame is not JSON: what the grammar expected instead.
    Json(&'static str),
    /// The frame holds bytes that are no token.
    JsonStray(&'a [u8]),
    /// The frame holds a word that means nothing.
    JsonKeyword(&'a [u8]),
    /// A `\u` escape that names no character.
    JsonCharacter(&'a [u8]),
    /// The request is larger than the agent takes: which limit, and its value with unit.
    Limit(&'static str, usize, &'static str),

    /// The request is no object.
    NotAnObject,
    /// A member of the request has the wrong type: which, and what it must be.
    MemberType(&'static str, &'static str),
    /// The request has a member that QMP does not know: its name as written between the quotes.
    MemberUnexpected(&'a [u8]),
    /// The request names no command.
    MemberMissing,

    /// No such command in this agent: its name as written between the quotes.
    CommandNotFound(&'a [u8]),
    /// The command exists and may not be used now: why.
    CommandDisabled(&'static str, &'static str),

    /// An argument is missing.
    Missing(Parameter),
    /// An argument has the wrong type: what it must be.
    WrongType(Parameter, &'static str),
    /// An argument that the command does not have, as written between its quotes; the parameter names the
    /// object that it stands in.
    Unexpected(Parameter, &'a [u8]),
    /// An enumeration has no such word.
    BadValue(Parameter, &'a [u8]),

    /// The number of an argument is out of range: `value 'N' is invalid for argument count`.
    CountInvalid(i64),
    /// No open file has this handle.
    HandleNotFound(i64),
    /// `whence` is a number other than 0, 1, 2.
    WhenceInvalid(i64),
    /// `buf-b64` and its kin hold something else than base64.
    Base64Invalid,
    /// The mode of guest-file-open.
    OpenMode(&'a [u8]),
    /// A file could not be opened: path, mode, why.
    Open(&'a [u8], &'a [u8], Errno),
    /// All handles are in use.
    HandlesExhausted(usize),
    /// What failed (`failed to read file`), and why.
    Failed(&'static str, Errno),
    /// What failed, on which path, and why.
    FailedOn(&'static str, &'a [u8], Errno),
    /// A sentence that says all.
    Text(&'static str),
    /// What failed, and an account of everything that was tried.
    Tried(&'static str, &'a [u8]),
}

impl Error<'_> {
    /// More nesting than [`DEPTH_MAX`].
    pub const TOO_DEEP: Error<'static> = Error::Limit("nesting depth", DEPTH_MAX, "levels");
    /// More members than [`MEMBERS_MAX`].
    pub const TOO_MANY_MEMBERS: Error<'static> =
        Error::Limit("member count", MEMBERS_MAX, "members");

    /// The error class of the QGA reply. Clients take CommandNotFound as "this guest cannot", libvirt
    /// among them, so nothing else may use it.
    #[inline(never)]
    pub fn class(&self) -> &'static str {
        match self {
            Error::CommandNotFound(_) | Error::CommandDisabled(..) => "CommandNotFound",
            _ => "GenericError",
        }
    }

    /// Writes the description, as the inside of a JSON string.
    #[rustfmt::skip]
    pub fn describe(&self, out: &mut Writer<'_>) {
        use Error::{Json, JsonCharacter, JsonKeyword, JsonStray};
        if let Json(_) | JsonStray(_) | JsonKeyword(_) | JsonCharacter(_) = self {
            out.ascii("JSON parse error, ");
        }
        match self {
            Json(what) => out.ascii(what),
            JsonStray(text) => around(out, "stray '", text, "'"),
            JsonKeyword(text) => around(out, "invalid keyword '", text, "'"),
            JsonCharacter(text) => around(out, "", text, " is not a valid Unicode character"),
            Error::Limit(what, most, unit) => {
                pieces(out, &["JSON ", what, " limit exceeded: at most "]);
                numbered(out, "", *most as i64, " ");
                out.ascii(unit);
            }
            Error::NotAnObject => out.ascii("QMP input must be a JSON object"),
            Error::MemberType(member, must) => {
                pieces(out, &["QMP input member '", member, "' must be ", must]);
            }
            Error::MemberUnexpected(name) => named(out, "QMP input member '", name, "' is unexpected"),
            Error::MemberMissing => out.ascii("QMP input lacks member 'execute'"),
            Error::CommandNotFound(name) => named(out, "The command ", name, " has not been found"),
            Error::CommandDisabled(name, why) => {
                pieces(out, &["Command ", name, " has been disabled: ", why]);
            }
            Error::Missing(parameter) => {
                out.ascii("Parameter '");
                parameter.write(out);
                out.ascii("' is missing");
            }
            Error::WrongType(parameter, expected) => {
                out.ascii("Invalid parameter type for '");
                parameter.write(out);
                pieces(out, &["', expected: ", expected]);
            }
            Error::Unexpected(parameter, name) => {
                out.ascii("Parameter '");
                parameter.write_list(out, "].");
                named(out, "", name, "' is unexpected");
            }
            Error::BadValue(parameter, value) => {
                out.ascii("Parameter '");
                parameter.write(out);
                around(out, "' does not accept value '", value, "'");
            }
            Error::CountInvalid(count) => numbered(out, "value '", *count, "' is invalid for argument count"),
            Error::HandleNotFound(handle) => numbered(out, "handle '", *handle, "' has not been found"),
            Error::WhenceInvalid(code) => numbered(out, "invalid whence code ", *code, ""),
            Error::Base64Invalid => out.ascii("Base64 data contains invalid characters"),
            Error::OpenMode(mode) => around(out, "invalid file open mode '", mode, "'"),
            Error::Open(path, mode, errno) => {
                around(out, "failed to open file '", path, "' (mode: '");
                around(out, "", mode, "'): ");
                reason(out, *errno);
            }
            Error::HandlesExhausted(most) => {
                numbered(out, "too many open files: at most ", *most as i64, ", close one first (guest-file-close)");
            }
            Error::Failed(what, errno) => {
                pieces(out, &[what, ": "]);
                advice(out, *errno);
            }
            Error::FailedOn(what, path, errno) => {
                pieces(out, &[what, " "]);
                around(out, "", path, ": ");
                advice(out, *errno);
            }
            Error::Text(text) => out.ascii(text),
            Error::Tried(what, account) => {
                pieces(out, &[what, ": "]);
                out.text(account);
            }
        }
    }
}

fn pieces(out: &mut Writer<'_>, texts: &[&str]) {
    for text in texts {
        out.text(text.as_bytes());
    }
}

fn around(out: &mut Writer<'_>, before: &str, subject: &[u8], after: &str) {
    out.ascii(before);
    out.subject(subject);
    out.ascii(after);
}

/// As [`around`], for a name that is escaped as in the request.
fn named(out: &mut Writer<'_>, before: &str, name: &[u8], after: &str) {
    out.ascii(before);
    for character in Characters(name).take(SUBJECT_BYTES_MAX) {
        out.character(character);
    }
    out.ascii(after);
}

fn numbered(out: &mut Writer<'_>, before: &str, number: i64, after: &str) {
    out.ascii(before);
    out.integer(number);
    out.ascii(after);
}

/// Writes why a call failed.
pub fn reason(out: &mut Writer<'_>, errno: Errno) {
    match errno.text() {
        Some(text) => out.ascii(text),
        None => numbered(out, "Unknown error ", i64::from(errno.0), ""),
    }
}

/// As [`reason`], and what can be done about it.
fn advice(out: &mut Writer<'_>, errno: Errno) {
    reason(out, errno);
    out.ascii(match errno {
        Errno::MFILE => " (raise LimitNOFILE= of the unit, or RLIMIT_NOFILE, to 1024)",
        Errno::NFILE => " (raise the sysctl fs.file-max)",
        _ => "",
    });
}
/// Enough for a file of each handle, every filesystem of a freeze, and the dozen that an agent needs itself.
const _: () = assert!(FROZEN_MAX + HANDLES_MAX + 64 <= 1024);

/// Where an error is put down until the response is begun. Errors are large; carrying one up through every
/// layer as the result of each call takes more code than all commands together (docs/decisions.md,
/// "Errors"), so the layers above a command only say [`Raised`].
pub struct Slot<'a>(Cell<Error<'a>>);

/// An error was found and put down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raised;

impl<'a> Slot<'a> {
    /// A slot with nothing found yet.
    pub fn new() -> Self {
        Slot(Cell::new(Error::Text("no error")))
    }

    /// Puts an error down.
    #[cold]
    #[inline(never)]
    pub fn raise(&self, error: &Error<'a>) -> Raised {
        self.0.set(*error);
        Raised
    }

    /// Whether nothing was put down.
    pub fn is_empty(&self) -> bool {
        matches!(self.0.get(), Error::Text(_))
    }

    /// The error put down last.
    pub fn get(&self) -> Error<'a> {
        self.0.get()
    }
}

impl Default for Slot<'_> {
    fn default() -> Self {
        Slot::new()
    }
}

impl serde::de::Error for Raised {
    fn custom<T: Display>(_: T) -> Self {
        Raised
    }
}

impl serde::ser::Error for Raised {
    fn custom<T: Display>(_: T) -> Self {
        Raised
    }
}

impl Display for Raised {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("an error was raised")
    }
}

impl core::error::Error for Raised {}

impl Display for Error<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut bytes = [0; 4096];
        let mut out = Writer::new(&mut bytes);
        self.describe(&mut out);
        f.write_str(core::str::from_utf8(out.written()).unwrap_or("(not text)"))
    }
}

impl core::error::Error for Error<'_> {}
