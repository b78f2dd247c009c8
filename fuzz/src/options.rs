//! The command line, held against a reading of it by the rules of getopt_long(3) that is written
//! down from its manual page.
//!
//! The file of the Linux agent is included here as it is: its crate cannot be linked with the
//! standard library, because it brings a memcpy of its own, which would take the place of the one
//! by which the address sanitizer watches. This is the target in which pointers are walked.

#[path = "../../platform-linux/src/options.rs"]
#[allow(unsafe_code, dead_code)]
mod parser;

use parser::{Action, Method, Options, Words, Wrong};
use std::ffi::{CStr, CString, c_char};

/// What the first bytes of the alphabet stand for, so that the words are near to the truth.
const PARTS: [&[u8]; 37] = [
    b"-",
    b"--",
    b"=",
    b"m",
    b"p",
    b"t",
    b"l",
    b"v",
    b"r",
    b"V",
    b"h",
    b"method",
    b"path",
    b"statedir",
    b"logfile",
    b"verbose",
    b"retry-path",
    b"freeze-timeout",
    b"version",
    b"help",
    b"virtio-serial",
    b"isa-serial",
    b"unix-listen",
    b"/run/x",
    b"ver",
    b"re",
    b"0",
    b"60",
    b"18446744073709551616",
    b"free",
    b"me",
    b"freeze-unreachable",
    b"fail",
    b"log",
    b"",
    b"freeze-deadline",
    b"exclude-interfaces",
];

/// What a long option is called, and the letter of the short one; 0 for none.
const LONG: [(&str, u8, bool); 12] = [
    ("help", b'h', false),
    ("version", b'V', false),
    ("freeze-timeout", 0, true),
    ("freeze-deadline", 0, true),
    ("freeze-unreachable", 0, true),
    ("exclude-interfaces", 0, true),
    ("retry-path", b'r', false),
    ("verbose", b'v', false),
    ("logfile", b'l', true),
    ("statedir", b't', true),
    ("path", b'p', true),
    ("method", b'm', true),
];

/// What is wrong with a line; in the words of this file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    Unknown,
    Ambiguous,
    NoValue,
    HasValue,
    Method,
    Seconds,
    Unreachable,
    NoPath,
}

/// What a line asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Wish {
    version: bool,
    help: bool,
    method: usize,
    path: Option<Vec<u8>>,
    state_dir: Option<Vec<u8>>,
    log_file: Option<Vec<u8>>,
    verbose: bool,
    retry: bool,
    ms: Option<u64>,
    step_ms: Option<u64>,
    strict: bool,
    excluded: Vec<u8>,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let line = expand(data);
    let words: Vec<&[u8]> = line.split(|&byte| byte == 0).collect();
    let found = ours(&words);
    assert_eq!(found, theirs(&words), "of {:?}", String::from_utf8_lossy(&line));
}

/// The words of a command line, with a NUL between them.
fn expand(data: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    for &byte in data {
        match byte {
            b'\n' | 0xFF => line.push(0),
            0x80..0xA5 => line.extend_from_slice(PARTS[usize::from(byte - 0x80)]),
            other => line.push(other),
        }
    }
    line
}

/// What our parser makes of it.
fn ours(words: &[&[u8]]) -> Result<Wish, Fault> {
    let program = [&b"qga"[..]];
    let texts = program.iter().chain(words).map(|word| CString::new(*word).expect("no NUL"));
    let texts: Vec<CString> = texts.collect();
    let list: Vec<*const c_char> = texts.iter().map(|text| text.as_ptr()).collect();
    // SAFETY: the list holds as many texts as it is long. They live longer than everything that
    // is made of them, which ends with this function.
    #[allow(unsafe_code)]
    let words = unsafe { Words::new(list.as_ptr(), list.len()) };
    let mut options = Options::new();
    parser::parse(words, &mut options).map_err(|wrong| match wrong {
        Wrong::Unknown => Fault::Unknown,
        Wrong::Ambiguous => Fault::Ambiguous,
        Wrong::NoValue => Fault::NoValue,
        Wrong::HasValue => Fault::HasValue,
        Wrong::Method => Fault::Method,
        Wrong::Seconds => Fault::Seconds,
        Wrong::Unreachable => Fault::Unreachable,
        Wrong::NoPath => Fault::NoPath,
    })?;
    let text = |text: Option<&'static CStr>| text.map(|text| text.to_bytes().to_vec());
    Ok(Wish {
        version: options.action == Action::Version,
        help: options.action == Action::Help,
        method: match options.method {
            Method::VirtioSerial => 0,
            Method::IsaSerial => 1,
            Method::UnixListen => 2,
        },
        path: text(options.path),
        state_dir: text(options.state_dir),
        log_file: text(options.log_file),
        verbose: options.verbose,
        retry: options.retry,
        ms: options.freeze_ms_max,
        step_ms: options.step_ms_max,
        strict: options.freeze_strict,
        excluded: options.excluded.to_vec(),
    })
}

/// What the manual page makes of it: words that are no options are passed over, `--` ends them, a
/// long name may be a beginning that only one has, a value stands after `=` or is the next word.
/// Help and version are given at once, whatever follows.
fn theirs(words: &[&[u8]]) -> Result<Wish, Fault> {
    let mut wish = Wish::default();
    let mut words = words.iter().copied();
    'line: while let Some(word) = words.next() {
        if word == b"--" {
            break;
        }
        if let Some(long) = word.strip_prefix(b"--") {
            let equals = long.iter().position(|&byte| byte == b'=');
            let (name, value) = match equals {
                Some(at) => (&long[..at], Some(&long[at + 1..])),
                None => (long, None),
            };
            let (name, letter, takes) = find(name)?;
            let value = match (takes, value) {
                (false, Some(_)) => return Err(Fault::HasValue),
                (false, None) => &b""[..],
                (true, value) => value.or_else(|| words.next()).ok_or(Fault::NoValue)?,
            };
            take(
                &mut wish,
                if letter == 0 { name.as_bytes()[7].to_ascii_uppercase() } else { letter },
                value,
            )?;
        } else if word.len() > 1 && word[0] == b'-' {
            for at in 1..word.len() {
                let known = LONG.iter().find(|(_, letter, _)| *letter == word[at]);
                let &(_, letter, takes) = known.ok_or(Fault::Unknown)?;
                let attached = (at + 1 < word.len()).then(|| &word[at + 1..]);
                if takes {
                    let value = attached.or_else(|| words.next()).ok_or(Fault::NoValue)?;
                    take(&mut wish, letter, value)?;
                    continue 'line;
                }
                take(&mut wish, letter, b"")?;
                if wish.help || wish.version {
                    break 'line;
                }
            }
        }
        if wish.help || wish.version {
            break;
        }
    }
    let runs = !wish.help && !wish.version;
    let lacks = runs && wish.method == 2 && wish.path.is_none();
    if lacks { Err(Fault::NoPath) } else { Ok(wish) }
}

/// The long option of a name, whole or the beginning of only one.
fn find(name: &[u8]) -> Result<(&'static str, u8, bool), Fault> {
    let whole = LONG.iter().find(|(long, ..)| long.as_bytes() == name);
    let begins: Vec<_> =
        LONG.iter().filter(|(long, ..)| long.as_bytes().starts_with(name)).collect();
    match (whole, &begins[..]) {
        (Some(option), _) => Ok(*option),
        (None, [option]) => Ok(**option),
        (None, []) => Err(Fault::Unknown),
        (None, _) => Err(Fault::Ambiguous),
    }
}

fn take(wish: &mut Wish, letter: u8, value: &[u8]) -> Result<(), Fault> {
    let own = Some(value.to_vec());
    match letter {
        b'h' => wish.help = true,
        b'V' => wish.version = true,
        b'v' => wish.verbose = true,
        b'r' => wish.retry = true,
        b'l' => wish.log_file = own,
        b't' => wish.state_dir = own,
        b'p' => wish.path = own,
        b'm' => {
            let methods: [&[u8]; 3] = [b"virtio-serial", b"isa-serial", b"unix-listen"];
            let found = methods.iter().position(|method| *method == value);
            wish.method = found.ok_or(Fault::Method)?;
        }
        // exclude-interfaces
        b'-' => wish.excluded = value.to_vec(),
        // freeze-unreachable
        b'U' => {
            let words: [&[u8]; 2] = [b"log", b"fail"];
            let found = words.iter().position(|word| *word == value);
            wish.strict = found.ok_or(Fault::Unreachable)? == 1;
        }
        _ => {
            let digits = std::str::from_utf8(value)
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let seconds: Option<u64> = digits.and_then(|digits| digits.parse().ok());
            let seconds: u64 = seconds.filter(|&seconds| seconds > 0).ok_or(Fault::Seconds)?;
            let ms = Some(seconds.saturating_mul(1000));
            // freeze-deadline, or freeze-timeout
            if letter == b'D' { wish.step_ms = ms } else { wish.ms = ms }
        }
    }
    Ok(())
}
