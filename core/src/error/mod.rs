//! What can go wrong, and the one place where it becomes an error class and a description.
//!
//! In: a typed [`Error`], which borrows what it speaks of from the request. Out: `class` and `desc`
//! of the QGA error reply. Where a client could match a text it is the reference's, letter for
//! letter.

mod slot;

#[doc(hidden)]
pub use slot::{Raised, Slot};

use crate::errno::Errno;
use crate::json::text::Characters;
use crate::limits::{DEPTH_MAX, FROZEN_MAX, HANDLES_MAX, MEMBERS_MAX, SUBJECT_BYTES_MAX};
use crate::text::{Phrase, Text};
use crate::writer::Writer;
use core::fmt::Display;

/// A member of a command's arguments, as error texts name it: `handle`, `arg[0]` or
/// `vcpus[0].online`.
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
        Parameter::NONE
    }
}

impl Parameter {
    /// The arguments themselves.
    const NONE: Parameter = Parameter { list: None, index: 0, name: &"" };

    fn write(&self, out: &mut Writer<'_>) {
        self.write_list(out, if self.name.is_empty() { "]" } else { "]." });
        out.ascii(self.name);
    }

    fn write_list(&self, out: &mut Writer<'_>, close: &str) {
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
    Json(Text),
    /// The frame holds bytes that are no token.
    JsonStray(&'a [u8]),
    /// The frame holds a word that means nothing.
    JsonKeyword(&'a [u8]),
    /// A `\u` escape that names no character.
    JsonCharacter(&'a [u8]),
    /// The request is larger than the agent takes: which limit, and its value with unit.
    Limit(Text, usize, Text),

    /// The request is no object.
    NotAnObject,
    /// A member of the request has the wrong type: which, and what it must be.
    MemberType(&'static str, Text),
    /// The request has a member that QMP does not know: its name as written between the quotes.
    MemberUnexpected(&'a [u8]),
    /// The request names no command.
    MemberMissing,

    /// No such command in this agent: its name as written between the quotes.
    CommandNotFound(&'a [u8]),
    /// The command exists and may not be used now: why.
    CommandDisabled(&'static str, Text),

    /// An argument is missing.
    Missing(Parameter),
    /// An argument has the wrong type: what it must be.
    WrongType(Parameter, &'static str),
    /// An argument that the command does not have, as written between its quotes; the parameter
    /// names the object that it stands in.
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
    Failed(Text, Errno),
    /// What failed, on which path, and why.
    FailedOn(Text, &'a [u8], Errno),
    /// A sentence that says all.
    Text(Text),
    /// What failed, and an account of everything that was tried.
    Tried(Text, &'a [u8]),
    /// A sentence of a command's own, and what its blanks are filled with (see [`Blanks::fill`]): a
    /// text, a number. It stands where the command is, and takes no room where that is left out.
    Told(Phrase, &'a [u8], i64),
}

impl Error<'_> {
    /// A command's own sentence that needs nothing but the reason.
    pub const fn because(sentence: Phrase, errno: Errno) -> Error<'static> {
        Error::Told(sentence, b"", errno.number() as i64)
    }

    /// More nesting than [`DEPTH_MAX`].
    pub fn too_deep() -> Error<'static> {
        Error::Limit(text!("nesting depth"), DEPTH_MAX, text!("levels"))
    }

    /// More members than [`MEMBERS_MAX`].
    pub fn too_many_members() -> Error<'static> {
        Error::Limit(text!("member count"), MEMBERS_MAX, text!("members"))
    }

    /// The error class of the QGA reply. Clients take CommandNotFound as "this guest cannot",
    /// libvirt among them, so nothing else may use it.
    #[inline(never)]
    pub fn class(&self) -> &'static str {
        match self {
            Error::CommandNotFound(_) | Error::CommandDisabled(..) => "CommandNotFound",
            _ => "GenericError",
        }
    }

    /// Writes the description, as the inside of a JSON string.
    pub fn describe(&self, out: &mut Writer<'_>) {
        let mut blanks = Blanks {
            words: [Text::NONE; 2],
            texts: [&[], &[]],
            number: 0,
            parameter: &Parameter::NONE,
        };
        match self {
            Error::NotAnObject | Error::MemberMissing | Error::Base64Invalid => {}
            Error::JsonStray(text)
            | Error::JsonKeyword(text)
            | Error::JsonCharacter(text)
            | Error::MemberUnexpected(text)
            | Error::CommandNotFound(text)
            | Error::OpenMode(text) => blanks.texts[0] = text,
            Error::Json(words) | Error::Text(words) => blanks.words[0] = *words,
            Error::CountInvalid(number)
            | Error::HandleNotFound(number)
            | Error::WhenceInvalid(number) => blanks.number = *number,
            Error::HandlesExhausted(most) => blanks.number = *most as i64,
            Error::Limit(what, most, unit) => {
                (blanks.words, blanks.number) = ([*what, *unit], *most as i64);
            }
            Error::MemberType(name, words) | Error::CommandDisabled(name, words) => {
                (blanks.texts[0], blanks.words[0]) = (name.as_bytes(), *words);
            }
            Error::Missing(parameter) => blanks.parameter = parameter,
            Error::WrongType(parameter, expected) => {
                (blanks.parameter, blanks.texts[0]) = (parameter, expected.as_bytes());
            }
            Error::Unexpected(parameter, text) | Error::BadValue(parameter, text) => {
                (blanks.parameter, blanks.texts[0]) = (parameter, text);
            }
            Error::Open(path, mode, errno) => {
                (blanks.texts, blanks.number) = ([*path, *mode], errno.number().into());
            }
            Error::Failed(what, errno) => {
                (blanks.words[0], blanks.number) = (*what, errno.number().into());
            }
            Error::FailedOn(what, path, errno) => {
                (blanks.words[0], blanks.texts[0], blanks.number) =
                    (*what, path, errno.number().into());
            }
            Error::Told(sentence, text, number) => {
                (blanks.texts[0], blanks.number) = (text, *number);
                return blanks.fill(*sentence, out);
            }
            Error::Tried(what, account) => (blanks.words[0], blanks.texts[0]) = (*what, account),
        }
        blanks.fill(self.sentence().phrase(), out);
    }

    /// The description, with blanks. In the order of the errors, and no text twice: so the number
    /// of a text (build.rs) is that of the error and something, and all this is one addition.
    #[rustfmt::skip]
    fn sentence(&self) -> Text {
        match self {
            Error::Json(_) => text!("JSON parse error, %"),
            Error::JsonStray(_) => text!("JSON parse error, stray '$'"),
            Error::JsonKeyword(_) => text!("JSON parse error, invalid keyword '$'"),
            Error::JsonCharacter(_) => text!("JSON parse error, $ is not a valid Unicode character"),
            Error::Limit(..) => text!("JSON % limit exceeded: at most # %"),
            Error::NotAnObject => text!("QMP input must be a JSON object"),
            Error::MemberType(..) => text!("QMP input member '=' must be %"),
            Error::MemberUnexpected(_) => text!("QMP input member '~' is unexpected"),
            Error::MemberMissing => text!("QMP input lacks member 'execute'"),
            Error::CommandNotFound(_) => text!("The command ~ has not been found"),
            Error::CommandDisabled(..) => text!("Command = has been disabled: %"),
            Error::Missing(_) => text!("Parameter '&' is missing"),
            Error::WrongType(..) => text!("Invalid parameter type for '&', expected: ="),
            Error::Unexpected(..) => text!("Parameter '^~' is unexpected"),
            Error::BadValue(..) => text!("Parameter '&' does not accept value '$'"),
            Error::CountInvalid(_) => text!("value '#' is invalid for argument count"),
            Error::HandleNotFound(_) => text!("handle '#' has not been found"),
            Error::WhenceInvalid(_) => text!("invalid whence code #"),
            Error::Base64Invalid => text!("Base64 data contains invalid characters"),
            Error::OpenMode(_) => text!("invalid file open mode '$'"),
            Error::Open(..) => text!("failed to open file '$' (mode: '$'): !"),
            Error::HandlesExhausted(_) => text!("too many open files: at most #, close one first (guest-file-close)"),
            Error::Failed(..) => text!("%: !"),
            Error::FailedOn(..) => text!("% $: !"),
            Error::Text(_) => text!("%"),
            Error::Tried(..) => text!("%: ="),
            // Its own is taken instead.
            Error::Told(..) => text!("="),
        }
    }
}

/// What is put into the blanks of a sentence. One loop over all sentences takes less code than the
/// calls that would write the pieces of each.
struct Blanks<'a> {
    words: [Text; 2],
    texts: [&'a [u8]; 2],
    number: i64,
    parameter: &'a Parameter,
}

impl<'a> Blanks<'a> {
    /// The next text.
    fn text(&mut self) -> &'a [u8] {
        let [text, next] = self.texts;
        self.texts[0] = next;
        text
    }

    /// Writes a sentence. Its blanks are `%` for the next of our own words, `=` for the next text,
    /// `*` for one that is escaped already, `$` for it as a subject, `~` for it as a name that is
    /// escaped as in the request, `#` for the number and `!` for it as the errno that is the
    /// reason, `&` for the parameter, `^` for the list that this is in.
    #[inline(never)]
    fn fill(&mut self, sentence: Phrase, out: &mut Writer<'_>) {
        for byte in sentence.characters() {
            match byte {
                b'%' => {
                    out.say(self.words[0]);
                    self.words[0] = self.words[1];
                }
                b'=' => out.text(self.text()),
                b'*' => out.raw(self.text()),
                b'$' => out.subject(self.text()),
                b'~' => {
                    for character in Characters(self.text()).take(SUBJECT_BYTES_MAX) {
                        out.character(character);
                    }
                }
                b'#' => out.integer(self.number),
                b'!' => advice(out, Errno::new(self.number as u32)),
                b'&' => self.parameter.write(out),
                b'^' => self.parameter.write_list(out, "]."),
                _ => out.raw(core::slice::from_ref(&byte)),
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
        Some(text) => out.phrase(text),
        None => {
            out.say(text!("Unknown error "));
            out.integer(errno.number().into());
        }
    }
}

/// As [`reason`], and what can be done about it.
fn advice(out: &mut Writer<'_>, errno: Errno) {
    reason(out, errno);
    out.say(match errno {
        Errno::MFILE => text!(" (raise LimitNOFILE= of the unit, or RLIMIT_NOFILE, to 1024)"),
        Errno::NFILE => text!(" (raise the sysctl fs.file-max)"),
        _ => Text::NONE,
    });
}
/// Enough for a file of each handle, every filesystem of a freeze, and the dozen that an agent
/// needs itself.
const _: () = assert!(FROZEN_MAX + HANDLES_MAX + 64 <= 1024);

/// In the place of a reply that says that everything is frozen, when that is true no more.
pub const TAKEN_BACK: Text =
    text!("thawed before this reply could leave: told to stop, or the freeze took too long");

impl Display for Error<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut bytes = [0; 4096];
        let mut out = Writer::new(&mut bytes);
        self.describe(&mut out);
        f.write_str(core::str::from_utf8(out.written()).unwrap_or("(not text)"))
    }
}

impl core::error::Error for Error<'_> {}
