//! The command line, as the reference agent takes it: short options alone or joined, long ones
//! whole or as an unambiguous beginning, values attached or after. Other words are ignored, as
//! there.

use core::ffi::{CStr, c_char};
use qga_core::bytes::decimal;
use qga_core::text::{Phrase, Phrases};
use qga_core::{phrase, phrases};

/// Where requests come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A named port of a virtio console.
    VirtioSerial,
    /// A serial line.
    IsaSerial,
    /// A unix socket that the agent listens on.
    UnixListen,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Serve.
    Run,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// What the command line asks for.
pub struct Options {
    /// What to do.
    pub action: Action,
    /// Where requests come from.
    pub method: Method,
    /// The device or socket, if it is not the usual one.
    pub path: Option<&'static CStr>,
    /// The directory of the state, if it is not the usual one.
    pub state_dir: Option<&'static CStr>,
    /// The log file.
    pub log_file: Option<&'static CStr>,
    /// Log everything.
    pub verbose: bool,
    /// Wait for a device that is missing or has gone.
    pub retry: bool,
    /// How long a freeze may last, in milliseconds; nothing for as long as nobody thaws.
    pub freeze_ms_max: Option<u64>,
    /// How long one filesystem may take, in milliseconds, if it is not the usual time.
    pub step_ms_max: Option<u64>,
    /// Whether a freeze fails that would leave something out.
    pub freeze_strict: bool,
    /// The program that is told of freezes.
    pub hook: Option<&'static CStr>,
    /// Patterns of the interfaces that are not shown.
    pub excluded: &'static [u8],
    /// The word that an error is about.
    pub subject: &'static [u8],
}

impl Options {
    /// Those of an empty command line.
    pub const fn new() -> Self {
        Options {
            action: Action::Run,
            method: Method::VirtioSerial,
            path: None,
            state_dir: None,
            log_file: None,
            verbose: false,
            retry: false,
            freeze_ms_max: None,
            step_ms_max: None,
            freeze_strict: false,
            hook: None,
            excluded: b"",
            subject: b"unix-listen",
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::new()
    }
}

/// What is wrong with the command line. Which word it is about stands in [`Options::subject`]: an
/// error that carried it would be copied wherever it passes, 500 bytes of code in all.
#[derive(Clone, Copy)]
pub enum Wrong {
    /// No such option.
    Unknown,
    /// The beginning of several options.
    Ambiguous,
    /// The option needs a value.
    NoValue,
    /// The option takes no value.
    HasValue,
    /// No such method.
    Method,
    /// No number of seconds.
    Seconds,
    /// Neither `fail` nor `log`.
    Unreachable,
    /// A method that needs a path.
    NoPath,
}

/// What is said of [`Wrong`], in its order, before the word.
pub const WRONG: Phrases = phrases![
    "unknown option",
    "ambiguous option",
    "a value is missing after option",
    "no value belongs to option",
    "unknown method",
    "not a number of seconds above 0:",
    "not log or fail:",
    "a path (-p) is missing for method",
];

/// The usage text.
pub const USAGE: Phrase = phrase!(
    "\
usage: qga [options]
 -m, --method METHOD  virtio-serial (default), isa-serial, unix-listen
 -p, --path PATH  device or socket (default: virtio port org.qemu.guest_agent.0,
   /dev/ttyS0; a socket needs one)
 -t, --statedir DIR  for the state (default: /run/qga, else /dev/.qga)
 -l, --logfile FILE  append the log to FILE (default: standard error)
 -v, --verbose  log every command
 -r, --retry-path  wait for a device that is missing or goes away
 --freeze-timeout SECONDS  thaw if nobody has by then (default: never)
 --freeze-deadline SECONDS  what one filesystem may take (default: 120)
 --freeze-unreachable log|fail  what a freeze must leave out: log it (default),
   or fail
 --exclude-interfaces 'veth*;...'  hide these
 -V, --version
 -h, --help
"
);

/// In place of the letter of an option that has none: no word contains it.
const LONG_ONLY: u8 = 0;
/// The same: a byte that is looked for as a letter is none above 0x7F.
const UNREACHABLE: u8 = 0xFF;
/// And another one.
const DEADLINE: u8 = 0xFE;
/// And another one.
const EXCLUDED: u8 = 0xFD;
/// And another one.
const HOOK: u8 = 0xFC;

/// An option. Its name stands in it, without a pointer: the table is half as long.
struct Known {
    short: u8,
    value: bool,
    len: u8,
    name: [u8; NAME_BYTES_MAX],
}

/// The longest names: freeze-unreachable, exclude-interfaces.
const NAME_BYTES_MAX: usize = 18;

impl Known {
    /// The long option, without the dashes.
    fn long(&self) -> &[u8] {
        self.name.get(..self.len.into()).unwrap_or(&[])
    }
}

const fn known(short: u8, long: &str, value: bool) -> Known {
    let mut name = [0; NAME_BYTES_MAX];
    name.split_at_mut(long.len()).0.copy_from_slice(long.as_bytes());
    Known { short, value, len: long.len() as u8, name }
}

static KNOWN: [Known; 13] = [
    known(b'm', "method", true),
    known(b'p', "path", true),
    known(b't', "statedir", true),
    known(b'l', "logfile", true),
    known(b'v', "verbose", false),
    known(b'r', "retry-path", false),
    known(LONG_ONLY, "freeze-timeout", true),
    known(DEADLINE, "freeze-deadline", true),
    known(UNREACHABLE, "freeze-unreachable", true),
    known(EXCLUDED, "exclude-interfaces", true),
    known(HOOK, "fsfreeze-hook", true),
    known(b'V', "version", false),
    known(b'h', "help", false),
];

/// Reads the words after the program's name.
pub fn parse(mut words: Words, options: &mut Options) -> Result<(), Wrong> {
    while options.action == Action::Run
        && let Some(word) = words.next()
    {
        let bytes = word.to_bytes();
        if bytes == b"--" {
            break;
        }
        if let [b'-', b'-', name @ ..] = bytes {
            let end = name.iter().position(|&byte| byte == b'=');
            options.subject = bytes;
            let option = long(name.get(..end.unwrap_or(name.len())).unwrap_or(name))?;
            let attached = end.map(|end| after(word, end + 3));
            if attached.is_some() && !option.value {
                options.subject = option.long();
                return Err(Wrong::HasValue);
            }
            apply(options, option, attached, &mut words)?;
        } else if let [b'-', shorts @ ..] = bytes {
            for (at, &short) in shorts.iter().enumerate() {
                let option = KNOWN.iter().find(|option| option.short == short && short.is_ascii());
                options.subject = bytes;
                let option = option.ok_or(Wrong::Unknown)?;
                let attached = (at + 1 < shorts.len()).then(|| after(word, at + 2));
                apply(options, option, attached, &mut words)?;
                if option.value || options.action != Action::Run {
                    break;
                }
            }
        }
    }
    options.subject = b"unix-listen";
    match (options.action, options.method, options.path) {
        (Action::Run, Method::UnixListen, None) => Err(Wrong::NoPath),
        _ => Ok(()),
    }
}

static METHODS: [(&str, Method); 3] = [
    ("virtio-serial", Method::VirtioSerial),
    ("isa-serial", Method::IsaSerial),
    ("unix-listen", Method::UnixListen),
];

/// Puts an option down, with its value: the one attached to it, or else the next word.
fn apply(
    options: &mut Options,
    option: &'static Known,
    attached: Option<&'static CStr>,
    words: &mut Words,
) -> Result<(), Wrong> {
    let mut value = None;
    if option.value {
        value = attached.or_else(|| words.next());
        let Some(value) = value else {
            options.subject = option.long();
            return Err(Wrong::NoValue);
        };
        options.subject = value.to_bytes();
    }
    match option.short {
        b'm' => {
            let known = METHODS.iter().find(|(known, _)| known.as_bytes() == options.subject);
            options.method = known.ok_or(Wrong::Method)?.1;
        }
        b'p' => options.path = value,
        b't' => options.state_dir = value,
        b'l' => options.log_file = value,
        b'v' => options.verbose = true,
        b'r' => options.retry = true,
        LONG_ONLY | DEADLINE => {
            let seconds = decimal(options.subject).filter(|&seconds| seconds > 0);
            let ms = Some(seconds.ok_or(Wrong::Seconds)?.saturating_mul(1000));
            match option.short {
                DEADLINE => options.step_ms_max = ms,
                _ => options.freeze_ms_max = ms,
            }
        }
        UNREACHABLE => {
            options.freeze_strict = match options.subject {
                b"fail" => true,
                b"log" => false,
                _ => return Err(Wrong::Unreachable),
            }
        }
        EXCLUDED => options.excluded = options.subject,
        HOOK => options.hook = value.filter(|path| !path.is_empty() && *path != c"/dev/null"),
        b'V' => options.action = Action::Version,
        _ => options.action = Action::Help,
    }
    Ok(())
}

/// The long option of this name, or the only one that begins so.
fn long(name: &[u8]) -> Result<&'static Known, Wrong> {
    let mut found = Err(Wrong::Unknown);
    for option in &KNOWN {
        if option.long() == name {
            return Ok(option);
        }
        if option.long().starts_with(name) {
            // A third is as ambiguous as a second: `--=` begins all of them.
            found = match found {
                Err(Wrong::Unknown) => Ok(option),
                _ => Err(Wrong::Ambiguous),
            };
        }
    }
    found
}

/// The rest of `word` from byte `at` on.
fn after(word: &'static CStr, at: usize) -> &'static CStr {
    let at = at.min(word.count_bytes());
    // SAFETY: `at` is at most the place of the NUL, so the rest ends with it too.
    unsafe { CStr::from_ptr(word.as_ptr().wrapping_add(at)) }
}

/// The words of the command line.
pub struct Words {
    next: *const *const c_char,
    left: usize,
}

impl Words {
    /// `count` words, of which the first is the program's name and is skipped.
    ///
    /// # Safety
    /// `list` holds `count` texts that end with a NUL and live as long as the process.
    pub unsafe fn new(list: *const *const c_char, count: usize) -> Self {
        Words { next: list.wrapping_add(1), left: count.saturating_sub(1) }
    }
}

impl Iterator for Words {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: `left` words remain; whoever made this list vouched for them.
        let word = unsafe { CStr::from_ptr(*self.next) };
        self.next = self.next.wrapping_add(1);
        Some(word)
    }
}
