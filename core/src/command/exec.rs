//! guest-exec, guest-exec-status: programs of the guest, by the number of their process.

use super::seconds;
use crate::bytes::{copy, put, until_nul};
use crate::errno::Errno;
use crate::error::Error;
use crate::exec::{Entry, Output, Program, Programs, ProgramsOf, Wanted};
use crate::json::lists::Strings;
use crate::json::read::Base64;
use crate::limits::{EXEC_LOOK_MS, SUBJECT_BYTES_MAX};
use crate::platform::{Clock, Exec, Exit, Kept, Log, Platform};
use crate::response::{Cursor, Failed, Stream};
use crate::shutdown::Progress;
use crate::state::State;
use crate::text::Phrase;
use crate::writer::Writer;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

/// What to run, and how. Schema: guest-exec (2.5).
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Start<'a> {
    path: &'a [u8],
    #[serde(borrow)]
    arg: Option<Strings<'a>>,
    #[serde(borrow)]
    env: Option<Strings<'a>>,
    #[serde(borrow)]
    input_data: Option<Base64<'a>>,
    capture_output: Option<Capture>,
    /// Not in the schema: tell the output while the program runs.
    stream_output: Option<bool>,
    /// Neither: for how many seconds it may run.
    timeout: Option<i64>,
}

/// What of the output to keep. Schema: GuestExecCaptureOutput (8.0), an alternate of truth and
/// word.
struct Capture(Wanted);

impl<'de> Deserialize<'de> for Capture {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrTruth;
        impl Visitor<'_> for WordOrTruth {
            type Value = Capture;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("GuestExecCaptureOutput")
            }
            fn visit_bool<E>(self, all: bool) -> Result<Capture, E> {
                Ok(Capture(if all { Wanted::Separated } else { Wanted::None }))
            }
            fn visit_u64<E>(self, word: u64) -> Result<Capture, E> {
                Ok(Capture(match word {
                    0 => Wanted::None,
                    1 => Wanted::Output,
                    2 => Wanted::Errors,
                    3 => Wanted::Separated,
                    _ => Wanted::Merged,
                }))
            }
        }
        const WORDS: &[&str] = &["none", "stdout", "stderr", "separated", "merged"];
        deserializer.deserialize_enum("GuestExecCaptureOutput", WORDS, WordOrTruth)
    }
}

/// What no guest says: one that keeps no table does not offer the command.
const ABSENT: Error<'static> =
    Error::because(phrase!("failed to start the program: !"), Errno::NOSYS);

/// Quotes as the reference has them.
const NOT_EXECUTED: Phrase = phrase!("Failed to execute child process \\u201C$\\u201D (!)");

/// Begins to start a program. The beginning of its path is kept in `room`, that of lists, for an
/// error: no list is on its way into a reply while somebody waits for this one. Errors: input that
/// is not base64, no time to run, too many programs, those of pipe2(2), memfd_create(2), fork(2).
pub fn start<'a, P: Exec + Log + Clock>(
    platform: &mut P,
    programs: &mut ProgramsOf<P>,
    room: &mut [u8],
    arguments: Start<'a>,
) -> Result<(), Error<'a>> {
    let input = match arguments.input_data {
        Some(Base64::Invalid) => return Err(Error::Base64Invalid),
        Some(Base64::Bytes(bytes)) => Some(bytes),
        None => None,
    };
    let ms_max = seconds::to_ms(arguments.timeout)?;
    let program = Program {
        path: arguments.path,
        arguments: arguments.arg.unwrap_or(Strings::NONE),
        variables: arguments.env,
        search: platform.search_path(),
    };
    let wanted = arguments.capture_output.map_or(Wanted::None, |Capture(wanted)| wanted);
    let programs = programs.kept_mut().ok_or(ABSENT)?;
    programs.start(platform, &program, input, wanted)?;
    let kill_ms = ms_max.map_or(0, |ms_max| platform.now_ms().saturating_add(ms_max));
    programs.arrange(arguments.stream_output == Some(true), kill_ms);
    // As much as an error shows, and that there is more.
    let shown = program.path.get(..SUBJECT_BYTES_MAX + 1).unwrap_or(program.path);
    let mut len = copy(room, shown);
    put(room, &mut len, 0);
    Ok(())
}

/// Follows it until it is a program. Errors: it cannot be executed.
pub fn poll<'s, P: Platform>(platform: &mut P, state: &'s mut State<P>) -> Progress<'s> {
    let programs = state.exec.kept_mut();
    match programs.map_or(Ok(Some(0)), Programs::started) {
        Ok(None) => {}
        Ok(Some(_)) => return Progress::Done(Ok(())),
        Err(errno) => {
            let path = until_nul(state.list.room());
            return Progress::Done(Err(Error::Told(NOT_EXECUTED, path, errno.number().into())));
        }
    }
    Progress::Wait(Clock::now_ms(platform).saturating_add(EXEC_LOOK_MS))
}

/// Its number. Schema: GuestExec.
pub fn started_piece<P: Platform>(
    _: &mut P,
    state: &mut State<P>,
    _: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let pid = state.exec.kept_mut().and_then(|programs| programs.started().ok()?).unwrap_or(0);
    out.ascii("{\"pid\": ");
    out.integer(pid.into());
    out.ascii("}");
    Ok(false)
}

/// A program. Schema: guest-exec-status (2.5).
#[derive(Deserialize)]
pub struct Status {
    pid: i64,
}

/// Says which program it is; [`status_piece`] says how it stands with it. Errors: unknown number.
pub fn status<F>(
    programs: &mut impl Kept<Programs<F>>,
    arguments: Status,
    cursor: &mut Cursor,
) -> Result<(), Error<'static>> {
    let found = programs.kept_mut().and_then(|programs| {
        programs.look_again();
        programs.find(arguments.pid)
    });
    cursor.outer = found.ok_or(Error::Told(phrase!("PID # does not exist"), b"", arguments.pid))?;
    Ok(())
}

/// What a call of [`status_piece`] does, in [`Cursor::part`].
const BEGINNING: u8 = 0;
const OUTPUT_BEGINS: u8 = 1;
const OUTPUT: u8 = 2;

/// What a reply says of a program, whatever becomes of it meanwhile: in [`Cursor::handle`].
const RUNS: i64 = 0;
const ENDED: i64 = 1;

/// The outputs in the order in which the reference writes them: what they are called, and which of
/// the program's they are.
const OUTPUTS: [(&str, usize); 2] = [("err", 1), ("out", 0)];

/// How a program has ended and what it has printed, a part of that at each call; it is forgotten
/// with the last one. Of one that runs and streams, what it has printed since the last reply, which
/// is let go. Schema: GuestExecStatus. In [`Cursor::inner`] stands which output is due, in
/// [`Cursor::handle`] whether the program had ended when the reply began.
pub fn status_piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let programs = state.exec.kept_mut();
    let Some(entry) = programs.and_then(|programs| programs.entry(cursor.outer)) else {
        return Ok(false);
    };
    if cursor.part == BEGINNING {
        begin(entry, cursor, out);
    }
    let due =
        OUTPUTS.get(cursor.inner).and_then(|&(name, at)| Some((name, entry.outputs.get_mut(at)?)));
    if let Some((name, output)) = due {
        if write_output(platform, output, name, cursor, out) {
            (cursor.part, cursor.inner) = (OUTPUT_BEGINS, cursor.inner + 1);
        }
        return Ok(true);
    }
    let runs = cursor.handle == RUNS;
    for (name, at) in OUTPUTS {
        let Some(output) = entry.outputs.get_mut(at) else { continue };
        if output.leaving > 0 || entry.streams && output.is_cut() {
            member(name, "-truncated\": ", out);
            out.boolean(output.is_cut());
        }
        if runs {
            output.let_go(platform);
        }
    }
    if !runs {
        out.ascii(", \"exited\": true");
        entry.free();
    }
    out.ascii("}");
    Ok(false)
}

/// Writes how it stands with a program. One that runs has no output to tell unless it streams.
fn begin<F>(entry: &Entry<F>, cursor: &mut Cursor, out: &mut Writer<'_>) {
    cursor.part = OUTPUT_BEGINS;
    let Some(exit) = entry.exit() else {
        out.ascii("{\"exited\": false");
        if !entry.streams {
            cursor.inner = OUTPUTS.len();
        }
        return;
    };
    let (name, number) = match exit {
        Exit::Status(status) => ("{\"exitcode\": ", status),
        Exit::Signal(signal) => ("{\"signal\": ", signal),
    };
    out.ascii(name);
    out.integer(number.into());
    if entry.is_timed_out() {
        out.ascii(", \"timed-out\": true");
    }
    cursor.handle = ENDED;
}

fn member(name: &str, after: &str, out: &mut Writer<'_>) {
    out.ascii(", \"");
    out.ascii(name);
    out.ascii(after);
}

/// Writes a part of an output; whether that was the last one.
fn write_output<P: Platform>(
    platform: &mut P,
    output: &mut Output<<P as Exec>::Pipe>,
    name: &str,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> bool {
    if output.bytes == 0 {
        return true;
    }
    if cursor.part == OUTPUT_BEGINS {
        member(name, "-data\": \"", out);
        // What comes while this leaves is for the next reply.
        output.leaving = output.bytes;
        cursor.stream = Stream::of(output.leaving.into());
        cursor.part = OUTPUT;
    }
    if cursor.stream.goes_on() {
        let at = output.gone_bytes + cursor.stream.count;
        let mut read = |into: &mut [u8]| {
            Ok(output.memory().map_or(0, |memory| platform.kept(memory, at, into)) as u32)
        };
        // It cannot fail: what cannot be read has ended early.
        let _ = cursor.stream.chunk(out, &mut read);
        return false;
    }
    output.truncated |= cursor.stream.count < output.leaving.into();
    out.ascii("\"");
    true
}
