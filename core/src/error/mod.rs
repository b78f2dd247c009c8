//! What can go wrong, and the one place where it becomes an error class and a description.
//!
//! In: a typed [`Error`], which borrows what it speaks of from the request. Out: `class` and `desc` of
//! the QGA error reply. Where a client could match a text it is the reference's, letter for letter.

mod slot;

pub use slot::{Raised, Slot};

use crate::errno::Errno;
use crate::json::text::Characters;
use crate::limits::{DEPTH_MAX, FROZEN_MAX, HANDLES_MAX, MEMBERS_MAX, SUBJECT_BYTES_MAX};
use crate::writer::Writer;
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
        let mut blanks = Blanks { texts: [&[]; 2], number: 0, parameter: None };
        let first = &mut blanks.texts;
        let sentence = match self {
            Json(what) => { first[0] = what.as_bytes(); "%" }
            JsonStray(text) => { first[0] = text; "stray '$'" }
            JsonKeyword(text) => { first[0] = text; "invalid keyword '$'" }
            JsonCharacter(text) => { first[0] = text; "$ is not a valid Unicode character" }
            Error::Limit(what, most, unit) => {
                blanks.texts = [what.as_bytes(), unit.as_bytes()];
                blanks.number = *most as i64;
                "JSON % limit exceeded: at most # %"
            }
            Error::NotAnObject => "QMP input must be a JSON object",
            Error::MemberType(member, must) => {
                blanks.texts = [member.as_bytes(), must.as_bytes()];
                "QMP input member '%' must be %"
            }
            Error::MemberUnexpected(name) => { first[0] = name; "QMP input member '~' is unexpected" }
            Error::MemberMissing => "QMP input lacks member 'execute'",
            Error::CommandNotFound(name) => { first[0] = name; "The command ~ has not been found" }
            Error::CommandDisabled(name, why) => {
                blanks.texts = [name.as_bytes(), why.as_bytes()];
                "Command % has been disabled: %"
            }
            Error::Missing(parameter) => { blanks.parameter = Some(parameter); "Parameter '&' is missing" }
            Error::WrongType(parameter, expected) => {
                (blanks.parameter, blanks.texts[0]) = (Some(parameter), expected.as_bytes());
                "Invalid parameter type for '&', expected: %"
            }
            Error::Unexpected(parameter, name) => {
                (blanks.parameter, blanks.texts[0]) = (Some(parameter), name);
                "Parameter '^~' is unexpected"
            }
            Error::BadValue(parameter, value) => {
                (blanks.parameter, blanks.texts[0]) = (Some(parameter), value);
                "Parameter '&' does not accept value '$'"
            }
            Error::CountInvalid(count) => { blanks.number = *count; "value '#' is invalid for argument count" }
            Error::HandleNotFound(handle) => { blanks.number = *handle; "handle '#' has not been found" }
            Error::WhenceInvalid(code) => { blanks.number = *code; "invalid whence code #" }
            Error::Base64Invalid => "Base64 data contains invalid characters",
            Error::OpenMode(mode) => { first[0] = mode; "invalid file open mode '$'" }
            Error::Open(path, mode, errno) => {
                blanks.texts = [path, mode];
                blanks.number = i64::from(errno.0);
                "failed to open file '$' (mode: '$'): !"
            }
            Error::HandlesExhausted(most) => {
                blanks.number = *most as i64;
                "too many open files: at most #, close one first (guest-file-close)"
            }
            Error::Failed(what, errno) => {
                (blanks.texts[0], blanks.number) = (what.as_bytes(), i64::from(errno.0));
                "%: !"
            }
            Error::FailedOn(what, path, errno) => {
                blanks.texts = [what.as_bytes(), path];
                blanks.number = i64::from(errno.0);
                "% $: !"
            }
            Error::Text(text) => { first[0] = text.as_bytes(); "%" }
            Error::Tried(what, account) => { blanks.texts = [what.as_bytes(), account]; "%: %" }
        };
        blanks.fill(sentence, out);
    }
}

/// What is put into the blanks of a sentence. One loop over all sentences takes less code than the calls that
/// would write the pieces of each.
struct Blanks<'a> {
    texts: [&'a [u8]; 2],
    number: i64,
    parameter: Option<&'a Parameter>,
}

impl Blanks<'_> {
    /// Writes a sentence. Its blanks are `%` for the next text, `$` for the next text as a subject, `~` for it as a
    /// name that is escaped as in the request, `#` for the number and `!` for it as the errno that is the reason,
    /// `&` for the parameter, `^` for the list that this is in.
    #[inline(never)]
    fn fill(&self, sentence: &str, out: &mut Writer<'_>) {
        let mut texts = self.texts.iter();
        let mut text = || texts.next().copied().unwrap_or(&[]);
        let parameter = self.parameter.copied().unwrap_or_default();
        for byte in sentence.as_bytes() {
            match byte {
                b'%' => out.text(text()),
                b'$' => out.subject(text()),
                b'~' => {
                    for character in Characters(text()).take(SUBJECT_BYTES_MAX) {
                        out.character(character);
                    }
                }
                b'#' => out.integer(self.number),
                b'!' => advice(out, Errno(self.number as u32)),
                b'&' => parameter.write(out),
                b'^' => parameter.write_list(out, "]."),
                _ => out.raw(core::slice::from_ref(byte)),
            }
        }
    }
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

impl Display for Error<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut bytes = [0; 4096];
        let mut out = Writer::new(&mut bytes);
        self.describe(&mut out);
        f.write_str(core::str::from_utf8(out.written()).unwrap_or("(not text)"))
    }
}

impl core::error::Error for Error<'_> {}
