//! Whether two agents' replies to one request mean the same: the lines of Debian's qemu-ga 7.2 and
//! ours in, the first real difference, or the listed differences that explain what is not alike,
//! out.
//!
//! Every rule here is one line of [`DIFFERENCES`]; whatever no rule covers is a finding.

use crate::{COMMANDS, NEWER};
use serde_json::Value;

/// A difference that is on purpose, or between 7.2 and the level of the schema that ours follows
/// (10.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Difference {
    SentinelIsSilent,
    OneErrorForOneBadRequest,
    GrammarWords,
    Numbers,
    InfoVersion,
    Base64,
    NulInText,
    ReaderLimits,
    FirstUnexpected,
    LongTexts,
    SyncInside,
}

/// Each difference and its reason, in the order of [`Difference`].
pub const DIFFERENCES: [(&str, &str); 11] = [
    (
        "0xFF is silent",
        "the schema promises a reset of the reader; the reference answers each with an error",
    ),
    (
        "one error for one bad request",
        "after a stray byte the rest of its line belongs to it, and closing brackets too many belong to \
      the request before them; the reference sends an error for each bracket it meets",
    ),
    (
        "words of grammar errors",
        "7.2 words them otherwise than later versions, whose words ours are",
    ),
    ("numbers in ids", "echoed as written; the reference prints them anew, 1e400 as inf"),
    ("version and commands of guest-info", "7.2 says its own version and knows more commands"),
    (
        "base64",
        "padding is optional, CR is ignored, and what is not base64 is an error; the reference drops \
      incomplete quads silently",
    ),
    ("NUL in an error text", "the reference's text ends there"),
    ("limits of the reader", "64 levels and 128 open members; the reference takes 1,024 levels"),
    (
        "which of several errors",
        "of several bad arguments the reference names the first by hash order",
    ),
    (
        "long texts in errors",
        "what an error quotes is cut after 512 bytes, so that a reply always fits its window",
    ),
    (
        "guest-sync after what is broken",
        "a new client begins with it, so it is answered also inside what an earlier one left unfinished",
    ),
];

/// Compares replies. `reference` is what came up to and without the answer to the sync that
/// followed the request, the error for that sync's 0xFF included.
pub fn compare(
    request: &[u8],
    reference: &[Vec<u8>],
    ours: &[Vec<u8>],
) -> Result<Vec<Difference>, String> {
    let mut used = vec![Difference::SentinelIsSilent];
    let Some((sentinel, reference)) = reference.split_last() else {
        return Err("the reference did not answer the 0xFF".to_owned());
    };
    if !desc(&parse(sentinel)?).is_some_and(|text| text.ends_with("\u{FFFD}'")) {
        return Err("the reference's last reply is not about the 0xFF".to_owned());
    }
    let mut reference = reference.iter().map(|line| parse(line)).collect::<Result<Vec<_>, _>>()?;
    let ours = ours.iter().map(|line| parse(line)).collect::<Result<Vec<_>, _>>()?;
    let stray = reference.iter().position(|reply| desc(reply).is_some_and(is_stray));
    let mut read_again = false;
    if let Some(stray) = stray {
        if stray + 1 < reference.len() || ours.len() != reference.len() {
            used.push(Difference::OneErrorForOneBadRequest);
        }
        reference.truncate(stray + 1);
        // A control character ends the line that is passed over, and what follows is read again.
        read_again = request.iter().any(|byte| *byte < b' ' && *byte != b'\t');
    }
    let whole = align(request, &reference, &ours, false, read_again);
    // A guest-sync inside something broken ends it: its answer, and what ours says of all that
    // comes after it, the reference passes over; or it has read no further itself.
    let answers = |at: &usize| answers_sync_inside(request, &ours[*at]);
    let blocks = (0..ours.len()).filter(answers).flat_map(|from| {
        let to = (from..ours.len()).take_while(answers).count() + from;
        [(from, to), (from, ours.len())]
    });
    let shorter = blocks
        .map(|(from, to)| [&ours[..from], &ours[to..]].concat())
        .find_map(|ours| align(request, &reference, &ours, false, read_again).ok());
    match (whole, shorter) {
        (Ok(found), _) => used.extend(found),
        (Err(_), Some(found)) => {
            used.extend(found);
            used.push(Difference::SyncInside);
        }
        (Err(Some(why)), None) => return Err(why),
        (Err(None), None) => {
            return Err(format!("{} replies instead of {}", ours.len(), reference.len()));
        }
    }
    used.sort_by_key(|difference| *difference as usize);
    used.dedup();
    Ok(used)
}

/// Pairs the replies from their beginning on. `refused`: the reference's reply before these is an
/// error, so that its next one may be about a closing bracket too many. Errors: why a pair differs,
/// nothing if the numbers do.
fn align(
    request: &[u8],
    reference: &[Value],
    ours: &[Value],
    refused: bool,
    read_again: bool,
) -> Result<Vec<Difference>, Option<String>> {
    let Some((theirs, their_rest)) = reference.split_first() else {
        return if ours.is_empty() || read_again { Ok(Vec::new()) } else { Err(None) };
    };
    let is_error = theirs.get("error").is_some();
    let paired = ours.split_first().ok_or(None).and_then(|(first, rest)| {
        let found = compare_one(request, theirs, first).map_err(Some)?;
        let mut all = align(request, their_rest, rest, is_error, read_again)?;
        all.extend(found);
        Ok(all)
    });
    if paired.is_ok() || !refused || desc(theirs) != Some("JSON parse error, expecting value") {
        return paired;
    }
    let mut all = align(request, their_rest, ours, true, read_again)
        .map_err(|_| paired.err())
        .map_err(Option::flatten)?;
    all.push(Difference::OneErrorForOneBadRequest);
    Ok(all)
}

/// Whether a reply of ours answers a guest-sync that stands inside what is broken, or is the error
/// before that answer.
fn answers_sync_inside(request: &[u8], ours: &Value) -> bool {
    let request = String::from_utf8_lossy(request);
    let returned = &ours["return"];
    desc(ours).is_some_and(|text| {
        text == "JSON parse error, unfinished before a guest-sync"
            || text.starts_with("Parameter '")
            || text.starts_with("Invalid parameter type for 'id'")
    }) && request.contains("guest-sync")
        || returned.is_i64() && request.contains(&returned.to_string())
}

fn is_stray(desc: &str) -> bool {
    desc.starts_with("JSON parse error, stray ")
}

fn desc(reply: &Value) -> Option<&str> {
    reply.get("error")?.get("desc")?.as_str()
}

fn parse(line: &[u8]) -> Result<Value, String> {
    let (sentinel, text) = match line.strip_prefix(b"\xff") {
        Some(text) => (true, text),
        None => (false, line),
    };
    let text = tamed(&String::from_utf8_lossy(text));
    let mut value: Value =
        serde_json::from_str(&text).map_err(|error| format!("no JSON: {text}: {error}"))?;
    if let (true, Value::Object(members)) = (sentinel, &mut value) {
        members.insert("0xFF".to_owned(), Value::Bool(true));
    }
    Ok(value)
}

/// JSON with the numbers that are too large for a double, and the `inf` that the reference prints
/// for them, which is no JSON, both made the same large number.
fn tamed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped) = (false, false);
    let mut word = String::new();
    for c in text.chars() {
        if !quoted && (c.is_ascii_alphanumeric() || "+-.".contains(c)) {
            word.push(c);
            continue;
        }
        match word.parse::<f64>() {
            Ok(number) if number == f64::INFINITY => out.push_str("1e308"),
            Ok(number) if number == f64::NEG_INFINITY => out.push_str("-1e308"),
            _ => out.push_str(&word),
        }
        word.clear();
        out.push(c);
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
    }
    out + &word
}

fn compare_one(request: &[u8], theirs: &Value, ours: &Value) -> Result<Option<Difference>, String> {
    if theirs == ours {
        return Ok(None);
    }
    explain(request, theirs, ours).map(Some).ok_or("another reply".to_owned())
}

/// The difference that explains two replies, if one does.
fn explain(request: &[u8], theirs: &Value, ours: &Value) -> Option<Difference> {
    if let (Some(theirs), Some(ours)) = (desc(theirs), desc(ours)) {
        if same_grammar_error(theirs, ours) {
            return Some(Difference::GrammarWords);
        }
        if is_cut(theirs, ours) {
            return Some(Difference::LongTexts);
        }
        if ours.strip_suffix("\0'").is_some_and(|text| theirs.strip_suffix('\'') == Some(text)) {
            return Some(Difference::NulInText);
        }
        let unexpected = ["Parameter '", "QMP input member '"].iter().any(|what| {
            let says = |text: &str| text.starts_with(what) && text.ends_with("' is unexpected");
            says(theirs) && says(ours)
        });
        if unexpected {
            return Some(Difference::FirstUnexpected);
        }
    }
    if let Some(text) = desc(ours) {
        if text.ends_with("limit exceeded: at most 64 levels")
            || text.ends_with("limit exceeded: at most 128 members")
        {
            return Some(Difference::ReaderLimits);
        }
        let nothing_written = theirs["return"]["count"] == 0
            || desc(theirs) == Some("failed to write to file: Bad file descriptor");
        if text == "Base64 data contains invalid characters" && nothing_written {
            return Some(Difference::Base64);
        }
    }
    let request = String::from_utf8_lossy(request);
    if request.contains("\\r")
        && desc(theirs) == Some("Base64 data contains invalid characters")
        && ours["return"]["count"] == 0
    {
        return Some(Difference::Base64);
    }
    if theirs["return"]["version"].is_string() {
        let same_id = same_numbers(&theirs["id"], &ours["id"]);
        return (commands(theirs) == commands(ours) && same_id).then_some(Difference::InfoVersion);
    }
    same_numbers(theirs, ours).then_some(Difference::Numbers)
}

/// Whether ours is theirs with a piece in the middle cut out, after a long text that both show.
fn is_cut(theirs: &str, ours: &str) -> bool {
    const SHOWN_BYTES_MIN: usize = 256;
    let cut = ours.find("...").unwrap_or_else(|| {
        theirs.bytes().zip(ours.bytes()).take_while(|(theirs, ours)| theirs == ours).count()
    });
    let (Some(start), Some(end)) = (ours.get(..cut), ours.get(cut..)) else { return false };
    start.len() >= SHOWN_BYTES_MIN
        && theirs.len() > ours.len()
        && theirs.starts_with(start)
        && theirs.ends_with(end.trim_start_matches("..."))
}

/// Words of 7.2, and of ours where they say the same.
fn same_grammar_error(theirs: &str, ours: &str) -> bool {
    let words = [
        ("expected separator in dict", "expected ',' or '}'"),
        ("expected separator in list", "expected ',' or ']'"),
        ("missing : in object pair", "expecting ':'"),
    ];
    let (Some(theirs), Some(ours)) =
        (theirs.strip_prefix("JSON parse error, "), ours.strip_prefix("JSON parse error, "))
    else {
        return false;
    };
    // 7.2 shows six characters of a bad escape, also past the end of its string.
    let escape = |text: &'static str| (theirs.strip_suffix(text), ours.strip_suffix(text));
    if let (Some(theirs), Some(ours)) = escape(" is not a valid Unicode character") {
        return ours.len() < theirs.len() && theirs.starts_with(ours);
    }
    // 7.2 reads what stands in a key's place as a value, to its end, before it asks for a key.
    words.contains(&(theirs, ours)) || ours == "expecting key"
}

/// The rows of guest-info for the commands that both must have.
fn commands(reply: &Value) -> Vec<String> {
    let rows = reply["return"]["supported_commands"].as_array().cloned().unwrap_or_default();
    let is_known = |name: &str| COMMANDS.contains(&name) && !NEWER.contains(&name);
    let known = |row: &&Value| row["name"].as_str().is_some_and(is_known);
    let mut rows: Vec<_> = rows.iter().filter(known).map(Value::to_string).collect();
    rows.sort();
    rows
}

/// Whether two values differ in nothing but the way in which numbers are written.
fn same_numbers(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Number(theirs), Value::Number(ours)) => match (theirs.as_f64(), ours.as_f64()) {
            // The parser of this test may be off by the last bit.
            (Some(theirs), Some(ours)) => (theirs - ours).abs() <= theirs.abs() * 1e-15,
            _ => false,
        },
        (Value::Array(theirs), Value::Array(ours)) => {
            theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(a, b)| same_numbers(a, b))
        }
        (Value::Object(theirs), Value::Object(ours)) => {
            theirs.len() == ours.len()
                && theirs.iter().all(|(key, a)| ours.get(key).is_some_and(|b| same_numbers(a, b)))
        }
        _ => theirs == ours,
    }
}
