//! One line of the agent's output in, what it says out. Strict: a reply is spaced and ordered as
//! QEMU's, its `id` is that of the request, and there is nothing else in it.

use std::ops::Range;

/// What came back for a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// What it returned, as a place in the output.
    Value(Range<usize>),
    /// An error: whether its class is CommandNotFound.
    Error { not_found: bool },
    /// Nothing, because the agent or the guest ended, or the client hung up.
    None,
}

const RETURN: &[u8] = b"{\"return\": ";
const CLASSES: [(&[u8], bool); 2] = [
    (b"{\"error\": {\"class\": \"GenericError\", \"desc\": \"", false),
    (b"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"", true),
];

/// Reads the line at `at` of `output`, the reply to request `id`; panics where it is none.
pub fn read(output: &[u8], at: Range<usize>, id: u64) -> Answer {
    let line = &output[at.clone()];
    let shown = || format!("a reply to request {id}: {}", line.escape_ascii());
    let mut digits = [0; 32];
    let end = {
        use std::io::Write as _;
        let mut rest = &mut digits[..];
        writeln!(rest, ", \"id\": {id}}}").expect("room for a number");
        let left = rest.len();
        &digits[..32 - left]
    };
    assert!(line.ends_with(end), "not {}", shown());
    assert!(line.is_ascii(), "not ASCII: {}", shown());
    let body = &line[..line.len() - end.len()];
    if body.starts_with(RETURN) {
        return Answer::Value(at.start + RETURN.len()..at.start + body.len());
    }
    for (head, not_found) in CLASSES {
        if let Some(text) = body.strip_prefix(head) {
            let text = text.strip_suffix(b"\"}");
            let text = text.unwrap_or_else(|| panic!("unfinished: {}", shown()));
            assert!(!text.is_empty() && is_string(text), "a bad text: {}", shown());
            return Answer::Error { not_found };
        }
    }
    panic!("neither return nor error: {}", shown());
}

/// Whether a text may stand between quotes in JSON.
fn is_string(text: &[u8]) -> bool {
    let mut escaped = false;
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' | 0..=31 => return false,
            _ => {}
        }
    }
    !escaped
}

/// A number that is all of a text.
pub fn number(text: &[u8]) -> i64 {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("not a number: {}", text.escape_ascii()))
}

/// What stands between `head` and `tail`; panics where they do not stand there.
pub fn between<'t>(text: &'t [u8], head: &str, tail: &str) -> &'t [u8] {
    let inner = text.strip_prefix(head.as_bytes()).and_then(|t| t.strip_suffix(tail.as_bytes()));
    inner.unwrap_or_else(|| panic!("not {head}...{tail}: {}", text.escape_ascii()))
}

/// The value of guest-file-read: base64, count, eof.
pub fn read_value(value: &[u8]) -> (&str, usize, bool) {
    let text = std::str::from_utf8(value).expect("ASCII");
    let parts = text.strip_prefix("{\"buf-b64\": \"").and_then(|rest| {
        let (base64, rest) = rest.split_once("\", \"count\": ")?;
        let (count, eof) = rest.strip_suffix('}')?.split_once(", \"eof\": ")?;
        Some((base64, count.parse().ok()?, eof.parse().ok()?))
    });
    parts.unwrap_or_else(|| panic!("not what guest-file-read returns: {text}"))
}

/// Whether one of the replies returns a number above 0.
pub fn counts_something(output: &[u8]) -> bool {
    let value = |line: &[u8]| {
        line.strip_prefix(b"\xFF").unwrap_or(line).strip_prefix(RETURN)?.first().copied()
    };
    output.split(|&byte| byte == b'\n').any(|line| matches!(value(line), Some(b'1'..=b'9')))
}

/// The lines of an output of which nothing is known but that each must be a reply.
pub fn judge_lines(output: &[u8]) -> usize {
    let mut lines = 0;
    for line in output.split_inclusive(|&byte| byte == b'\n') {
        lines += 1;
        let text = line.strip_suffix(b"\n").expect("a reply without its newline");
        let text = text.strip_prefix(b"\xFF").unwrap_or(text);
        // An `id` may hold a number that is too large for a value.
        let parsed = serde_json::from_slice::<serde_json::Value>(text);
        let Ok(value) = parsed else {
            let skipped = serde_json::from_slice::<serde::de::IgnoredAny>(text);
            assert!(skipped.is_ok(), "not JSON: {}", text.escape_ascii());
            continue;
        };
        let error = value.get("error");
        assert_ne!(value.get("return").is_some(), error.is_some(), "{value}");
        if let Some(error) = error {
            let class = error["class"].as_str();
            assert!(matches!(class, Some("GenericError" | "CommandNotFound")), "{value}");
            assert!(error["desc"].as_str().is_some_and(|text| !text.is_empty()), "{value}");
        }
    }
    lines
}
