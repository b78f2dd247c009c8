//! The command line, held against a reading of it by the rules of getopt_long(3) that is written
//! down from its manual page.
//!
//! The file of the Linux agent is included here as it is: its crate cannot be linked with the
//! standard library, because it brings a memcpy of its own, which would take the place of the one
//! by which the address sanitizer watches. This is the target in which pointers are walked.

#[path = "../../platform-linux/src/options/mod.rs"]
#[allow(unsafe_code, dead_code)]
mod parser;

use parser::{Action, Method, Options, Words, Wrong};
use qga_core::Rule;
use std::ffi::{CString, c_char};

/// What the first bytes of the alphabet stand for, so that the words are near to the truth.
const PARTS: [&[u8]; 57] = [
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
    b"c",
    b"config",
    b"f",
    b"pidfile",
    b"F",
    b"fsfreeze-hook",
    b"d",
    b"daemonize",
    b"b",
    b"block-rpcs",
    b"blacklist",
    b"a",
    b"allow-rpcs",
    b"D",
    b"dump-conf",
    b"?",
    b"/dev/null",
    b"bl",
    b"da",
    b"guest-ping,x;y",
];

/// Whether an option has a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    AValue,
    /// One that is attached, if any.
    Perhaps,
}
use Takes::{AValue, Nothing, Perhaps};

/// An option: its long name, the letter of the short one or 0 for none, its value.
type Long = (&'static str, u8, Takes);

const LONG: [Long; 20] = [
    ("help", b'h', Nothing),
    ("version", b'V', Nothing),
    ("freeze-timeout", 0, AValue),
    ("freeze-deadline", 0, AValue),
    ("freeze-unreachable", 0, AValue),
    ("exclude-interfaces", 0, AValue),
    ("retry-path", b'r', Nothing),
    ("verbose", b'v', Nothing),
    ("logfile", b'l', AValue),
    ("statedir", b't', AValue),
    ("path", b'p', AValue),
    ("method", b'm', AValue),
    ("config", b'c', AValue),
    ("pidfile", b'f', AValue),
    ("fsfreeze-hook", b'F', Perhaps),
    ("daemonize", b'd', Nothing),
    ("block-rpcs", b'b', AValue),
    ("blacklist", b'b', AValue),
    ("allow-rpcs", b'a', AValue),
    ("dump-conf", b'D', Nothing),
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
    Lists,
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
    pid_file: Option<Vec<u8>>,
    hook: Option<Vec<u8>>,
    config: Option<Vec<u8>>,
    daemon: bool,
    dump: bool,
    commands: bool,
    lists: [Vec<Vec<u8>>; 2],
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
            0x80..0xB9 => line.extend_from_slice(PARTS[usize::from(byte - 0x80)]),
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
    let parsed = parser::parse(words, &mut options).and_then(|()| options.check());
    parsed.map_err(|wrong| match wrong {
        Wrong::Unknown => Fault::Unknown,
        Wrong::Ambiguous => Fault::Ambiguous,
        Wrong::NoValue => Fault::NoValue,
        Wrong::HasValue => Fault::HasValue,
        Wrong::Method => Fault::Method,
        Wrong::Seconds => Fault::Seconds,
        Wrong::Unreachable => Fault::Unreachable,
        Wrong::NoPath => Fault::NoPath,
        Wrong::Lists => Fault::Lists,
        Wrong::Line | Wrong::Boolean | Wrong::Escape => panic!("no file was read"),
    })?;
    let text = |short| options.text(short).map(|text| text.to_bytes().to_vec());
    Ok(Wish {
        version: options.action == Action::Version,
        help: options.action == Action::Help,
        method: match options.method {
            Method::VirtioSerial => 0,
            Method::IsaSerial => 1,
            Method::UnixListen => 2,
        },
        path: text(b'p'),
        state_dir: text(b't'),
        log_file: text(b'l'),
        pid_file: text(b'f'),
        hook: options.hook().map(|hook| hook.to_bytes().to_vec()),
        config: options.config.map(|file| file.to_bytes().to_vec()),
        daemon: options.is_on(b'd'),
        dump: options.is_on(b'D'),
        commands: options.action == Action::Commands,
        lists: [Rule::Block, Rule::Allow]
            .map(|rule| options.lists(rule).map(|list| list.to_bytes().to_vec()).collect()),
        verbose: options.is_on(b'v'),
        retry: options.is_on(b'r'),
        ms: options.ms(parser::TIMEOUT),
        step_ms: options.ms(parser::DEADLINE),
        strict: options.text(parser::UNREACHABLE) == Some(c"fail"),
        excluded: text(parser::EXCLUDED).unwrap_or_default(),
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
                (Nothing, Some(_)) => return Err(Fault::HasValue),
                (Nothing, None) => None,
                (Perhaps, value) => value,
                (AValue, value) => Some(value.or_else(|| words.next()).ok_or(Fault::NoValue)?),
            };
            // What has no letter goes by a byte of its name that is no letter then.
            let letter = if letter == 0 { name.as_bytes()[7] | 0x80 } else { letter };
            take(&mut wish, letter, value)?;
        } else if word.len() > 1 && word[0] == b'-' {
            for at in 1..word.len() {
                let known = LONG.iter().find(|(_, letter, _)| *letter == word[at]);
                let &(_, letter, takes) = known.ok_or(Fault::Unknown)?;
                let attached = (at + 1 < word.len()).then(|| &word[at + 1..]);
                if takes != Nothing {
                    let next = || if takes == AValue { words.next() } else { None };
                    let value = attached.or_else(next);
                    if takes == AValue && value.is_none() {
                        return Err(Fault::NoValue);
                    }
                    take(&mut wish, letter, value)?;
                    if wish.is_answered() {
                        break 'line;
                    }
                    continue 'line;
                }
                take(&mut wish, letter, None)?;
                if wish.is_answered() {
                    break 'line;
                }
            }
        }
        if wish.is_answered() {
            break;
        }
    }
    let lacks = !wish.is_answered() && wish.method == 2 && wish.path.is_none();
    if lacks { Err(Fault::NoPath) } else { Ok(wish) }
}

/// The long option of a name, whole or the beginning of only one.
fn find(name: &[u8]) -> Result<Long, Fault> {
    let whole = LONG.iter().find(|(long, ..)| long.as_bytes() == name);
    let begins: Vec<_> =
        LONG.iter().filter(|(long, ..)| long.as_bytes().starts_with(name)).collect();
    match (whole, &begins[..]) {
        (Some(option), _) => Ok(*option),
        (None, [option]) => Ok(**option),
        // As getopt_long(3): what means the same is not ambiguous.
        (None, [first, rest @ ..]) if rest.iter().all(|o| o.1 != 0 && o.1 == first.1) => {
            Ok(**first)
        }
        (None, []) => Err(Fault::Unknown),
        (None, _) => Err(Fault::Ambiguous),
    }
}

impl Wish {
    /// Whether it is one for a text, whatever else is on the line.
    fn is_answered(&self) -> bool {
        self.help || self.version || self.commands
    }
}

fn take(wish: &mut Wish, letter: u8, value: Option<&[u8]>) -> Result<(), Fault> {
    let has_value = value.is_some();
    let value = value.unwrap_or(b"");
    // An empty value is as good as none.
    let own = Some(value.to_vec()).filter(|value| !value.is_empty());
    match letter {
        b'f' => wish.pid_file = own,
        b'c' => wish.config = Some(value.to_vec()),
        b'd' => wish.daemon = true,
        b'D' => wish.dump = true,
        b'F' if has_value => wish.hook = own.filter(|hook| hook != b"/dev/null"),
        b'F' => wish.hook = Some(b"/etc/qemu/fsfreeze-hook".to_vec()),
        b'a' | b'b' => {
            let lists = &mut wish.lists[usize::from(letter == b'a')];
            if lists.len() == 3 {
                return Err(Fault::Lists);
            }
            lists.push(value.to_vec());
            wish.commands |= value == b"help" || value == b"?";
        }
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
        0xAD => wish.excluded = value.to_vec(),
        // freeze-unreachable
        0xF5 => {
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
            if letter == 0xE4 { wish.step_ms = ms } else { wish.ms = ms }
        }
    }
    Ok(())
}
