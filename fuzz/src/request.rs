//! The frames in some bytes through the checker, the envelope and the arguments of every command,
//! each held against a second opinion made of serde_json and a few lines that know the schema.

use crate::strict::{self, Opinion};
use qga_core::error::Slot;
use qga_core::internals::command::Nothing;
use qga_core::internals::command::file::{Handle, Open, Read, Seek, Write};
use qga_core::internals::command::power::ShutdownArguments;
use qga_core::internals::command::sync::{Sync, sync};
use qga_core::internals::frame::{Framer, Scan};
use qga_core::internals::json::check::{Members, check};
use qga_core::internals::json::read::from_text;
use qga_core::internals::json::text::decode_in_place;
use qga_core::internals::request::{Parts, envelope};
use qga_core::internals::response::Echo;
use qga_core::writer::Writer;
use serde_json::value::RawValue;

/// Larger than any input.
const FRAME_BYTES: usize = 8192;
/// Longer names are cut in error texts.
const SHOWN_BYTES: usize = 512;

/// Runs one input.
pub fn run(data: &[u8]) {
    // Also what the framer would never let pass must not bring the checker down.
    let _ = check(data, &mut Members::new(), &Slot::new());
    let mut framer = Framer::<FRAME_BYTES>::new();
    let space = framer.space();
    let len = data.len().min(space.len() - 1);
    space[..len].copy_from_slice(&data[..len]);
    // A number or a word ends with the byte after it.
    space[len] = b'\n';
    framer.received(len + 1);
    loop {
        match framer.scan() {
            Scan::More => break,
            Scan::Frame => one_frame(framer.part(framer.place())),
            Scan::Bad(_) | Scan::Sync => {}
        }
    }
}

fn one_frame(frame: &[u8]) {
    let slot = Slot::new();
    let mut members = Members::new();
    let accepted = check(frame, &mut members, &slot).is_ok();
    let opinion = strict::judge(frame);
    if !accepted {
        describe(&slot);
        assert_ne!(opinion, Opinion::Accepted, "refused: {}", slot.get());
        return;
    }
    assert_ne!(
        opinion,
        Opinion::OtherDialect,
        "accepted, though the dialect or a limit forbids it"
    );
    let ours_only = frame.contains(&b'\'') || frame.windows(2).any(|pair| pair == [0xC0, 0x80]);
    if opinion == Opinion::Refused {
        assert!(ours_only, "accepted, though it is not JSON");
    }
    let slot = Slot::new();
    let request = envelope(frame, &members, &slot);
    if !request.id.is_empty() {
        check_echo(frame, request.id.clone(), opinion);
    }
    let found = request.parts.map_err(|_| describe(&slot));
    if let Ok(parts) = &found {
        every_command(&frame[parts.arguments.clone()], opinion);
    }
    if opinion == Opinion::Accepted {
        check_envelope(frame, found);
    }
}

/// The description in a slot, which must be the inside of a JSON string.
fn describe(slot: &Slot) -> String {
    let mut bytes = [0; 4096];
    let mut out = Writer::new(&mut bytes);
    out.ascii("\"");
    slot.get().describe(&mut out);
    out.ascii("\"");
    assert!(!out.is_full(), "an error that fits no window");
    assert!(out.written().is_ascii(), "an error that is not ASCII");
    serde_json::from_slice(out.written()).expect("a description in JSON")
}

/// The envelope says what a reading of the members in order says.
fn check_envelope(frame: &[u8], found: Result<Parts, String>) {
    let text = std::str::from_utf8(frame).expect("accepted text");
    let expected = expected_envelope(text.trim_matches([' ', '\t', '\r', '\n']));
    match (found, expected) {
        (Ok(parts), Ok((execute, arguments))) => {
            let mut name = frame[parts.execute].to_vec();
            let name = String::from_utf8_lossy(decode_in_place(&mut name)).into_owned();
            if !execute.contains('\0') {
                assert_eq!(name, execute);
            }
            let written = std::str::from_utf8(&frame[parts.arguments]).expect("text");
            assert_eq!(written, arguments);
        }
        (Err(text), Err(expected)) if expected.len() < SHOWN_BYTES => assert_eq!(text, expected),
        (Err(_), Err(_)) => {}
        (found, expected) => panic!("found {found:?}, expected {expected:?}"),
    }
}

/// The command's name and the text of its arguments, or the description of what is wrong: first the
/// types of the members that are known, then a member that is not, then one that is missing.
fn expected_envelope(text: &str) -> Result<(String, &str), String> {
    let Some(members) = strict::members(text) else {
        return Err("QMP input must be a JSON object".to_owned());
    };
    let member = |wanted: &str| members.iter().find(|(name, _)| name == wanted);
    if member("execute").is_none() && member("return").or(member("error")).is_some() {
        // A reply, which an echo sends back, is passed over: nothing is put down.
        return Err(Slot::new().get().to_string());
    }
    let execute = member("execute").map(|(_, value)| serde_json::from_str::<String>(value.get()));
    if let Some(Err(_)) = execute {
        return Err("QMP input member 'execute' must be a string".to_owned());
    }
    let arguments = member("arguments").map_or("", |(_, value)| value.get());
    if !arguments.is_empty() && !arguments.starts_with('{') {
        return Err("QMP input member 'arguments' must be an object".to_owned());
    }
    let known = ["id", "execute", "arguments"];
    if let Some((name, _)) = members.iter().find(|(name, _)| !known.contains(&&**name)) {
        return Err(format!("QMP input member '{name}' is unexpected"));
    }
    match execute {
        Some(Ok(name)) => Ok((name, arguments)),
        _ => Err("QMP input lacks member 'execute'".to_owned()),
    }
}

/// The echo of an `id`, through a small window, is the same JSON value.
fn check_echo(frame: &[u8], id: std::ops::Range<usize>, opinion: Opinion) {
    let mut echo = Echo::new(id.clone());
    let mut text = Vec::new();
    loop {
        let mut window = [0; 40];
        let mut out = Writer::new(&mut window);
        let whole = echo.fill(frame, &mut out);
        assert!(!out.is_full() && !out.is_empty(), "an echo that does not go on");
        text.extend_from_slice(out.written());
        if whole {
            break;
        }
    }
    let text = String::from_utf8(text).expect("ASCII");
    let value = text.strip_prefix(", \"id\": ").and_then(|text| text.strip_suffix("}\n"));
    let value = value.expect("an echo").to_owned();
    assert!(serde_json::from_str::<&RawValue>(&value).is_ok(), "an echo in JSON: {value}");
    if opinion == Opinion::Accepted {
        let written: Result<serde_json::Value, _> = serde_json::from_slice(&frame[id]);
        // serde_json knows no number as large as 1e400.
        if let Ok(written) = written {
            assert_eq!(serde_json::from_str::<serde_json::Value>(&value).ok(), Some(written));
        }
    }
}

/// What an argument must be.
#[derive(Clone, Copy)]
enum Type {
    Integer,
    String,
    Whence,
}

/// An argument: its name, its type, whether it may be left out.
type Argument = (&'static str, Type, bool);

const HANDLE: Argument = ("handle", Type::Integer, false);

/// Reads arguments as one type: nothing, or the description of what is wrong.
macro_rules! outcome {
    ($type:ty, $arguments:expr) => {{
        let mut text = $arguments.to_vec();
        let slot = Slot::new();
        let read = from_text::<$type>(&mut text, &slot);
        read.map(drop).map_err(|_| describe(&slot))
    }};
}

/// Reads the arguments as those of every command; where there is a second opinion, it is the same.
fn every_command(arguments: &[u8], opinion: Opinion) {
    let mode = ("mode", Type::String, true);
    let count = ("count", Type::Integer, true);
    let id = ("id", Type::Integer, false);
    let path = ("path", Type::String, false);
    let buffer = ("buf-b64", Type::String, false);
    let (offset, whence) = (("offset", Type::Integer, false), ("whence", Type::Whence, false));
    let outcomes: [(Result<(), String>, &[Argument]); 8] = [
        (outcome!(Nothing, arguments), &[]),
        (outcome!(Sync, arguments), &[id]),
        (outcome!(ShutdownArguments, arguments), &[mode]),
        (outcome!(Open, arguments), &[path, mode]),
        (outcome!(Handle, arguments), &[HANDLE]),
        (outcome!(Read, arguments), &[HANDLE, count]),
        (outcome!(Write, arguments), &[HANDLE, buffer, count]),
        (outcome!(Seek, arguments), &[HANDLE, offset, whence]),
    ];
    let text = std::str::from_utf8(arguments).ok().filter(|_| opinion == Opinion::Accepted);
    let Some(text) = text else { return };
    let members = if text.is_empty() { Some(Vec::new()) } else { strict::members(text) };
    let members = members.expect("an object");
    for (found, schema) in outcomes {
        let expected = expected(&members, schema);
        if expected.as_ref().err().is_none_or(|text| text.len() < SHOWN_BYTES) {
            assert_eq!(found, expected, "{text}");
        } else {
            assert!(found.is_err());
        }
    }
    check_sync(arguments, &members);
}

/// The number of guest-sync is the one that was written.
fn check_sync(arguments: &[u8], members: &[(String, &RawValue)]) {
    let mut text = arguments.to_vec();
    let slot = Slot::new();
    if let Ok(arguments) = from_text::<Sync>(&mut text, &slot) {
        let written = members.iter().find(|(name, _)| name == "id").map(|(_, value)| value.get());
        assert_eq!(Some(sync(arguments)), written.and_then(|number| number.parse().ok()));
    }
}

/// What the schema says of an object: each declared argument in turn, then the first undeclared
/// one.
fn expected(members: &[(String, &RawValue)], schema: &[Argument]) -> Result<(), String> {
    for &(name, kind, optional) in schema {
        match members.iter().find(|(member, _)| member == name) {
            Some((_, value)) => fits(name, kind, value.get())?,
            None if optional => {}
            None => return Err(format!("Parameter '{name}' is missing")),
        }
    }
    let declared = |name: &String| schema.iter().any(|(declared, ..)| declared == name);
    match members.iter().find(|(name, _)| !declared(name)) {
        Some((name, _)) => Err(format!("Parameter '{name}' is unexpected")),
        None => Ok(()),
    }
}

fn fits(name: &str, kind: Type, text: &str) -> Result<(), String> {
    let first = text.as_bytes()[0];
    let number = matches!(first, b'0'..=b'9' | b'-');
    let word = serde_json::from_str::<String>(text).ok();
    let expected = match (kind, word) {
        (Type::String, Some(_)) => return Ok(()),
        (Type::String, None) => "string",
        (Type::Whence, Some(word)) if ["set", "cur", "end"].contains(&&*word) => return Ok(()),
        (Type::Whence, Some(word)) => {
            return Err(format!("Parameter '{name}' does not accept value '{word}'"));
        }
        (Type::Whence, None) if !number => "GuestFileWhence",
        (Type::Integer | Type::Whence, _) if number && text.parse::<i64>().is_ok() => return Ok(()),
        (Type::Integer | Type::Whence, _) => "integer",
    };
    Err(format!("Invalid parameter type for '{name}', expected: {expected}"))
}
