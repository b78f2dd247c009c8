//! The command line, as the reference agent takes it: short options alone or joined, long ones
//! whole or as an unambiguous beginning, values attached or after. Other words are ignored, as
//! there.

use core::ffi::{CStr, c_char};
use qga_core::bytes::decimal;
use qga_core::formats::keyfile;
use qga_core::text::{Phrase, Phrases};
use qga_core::{Rule, phrase, phrases};

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
    /// Serve, or say what would be in force.
    Run,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
    /// Print the names of all commands.
    Commands,
}

/// Most lists of commands that count: one of each rule from a file, and what a unit adds, which is
/// one or two.
const LISTS_MAX: usize = 8;

/// What is asked for, by the command line and by a file.
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
    /// The file that holds the number of the process, if it is not the usual one.
    pub pid_file: Option<&'static CStr>,
    /// The program that is told before a freeze and after a thaw, if one is to be.
    pub hook: Option<&'static CStr>,
    /// The file that this is read from as well: the one that was named, or else the usual one.
    pub config: Option<&'static CStr>,
    /// The line of that file that an error is about; 0 for the command line.
    pub config_line: u32,
    /// Whether to say what is in force, instead of serving.
    pub dump: bool,
    /// Whether to serve in the background.
    pub daemon: bool,
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
    /// Patterns of the interfaces that are not shown.
    pub excluded: &'static [u8],
    /// Lists of commands that may be used, or not.
    lists: [(Rule, &'static [u8]); LISTS_MAX],
    /// How many.
    lists_len: usize,
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
            pid_file: None,
            hook: None,
            config: None,
            config_line: 0,
            dump: false,
            daemon: false,
            verbose: false,
            retry: false,
            freeze_ms_max: None,
            step_ms_max: None,
            freeze_strict: false,
            excluded: b"",
            lists: [(Rule::Block, b""); LISTS_MAX],
            lists_len: 0,
            subject: b"unix-listen",
        }
    }

    /// The lists of commands, in their order.
    pub fn lists(&self) -> impl Iterator<Item = &(Rule, &'static [u8])> {
        self.lists.iter().take(self.lists_len)
    }

    /// The file with the number of the process.
    pub fn pid_file(&self) -> &'static CStr {
        self.pid_file.unwrap_or(PID_FILE)
    }

    /// Whether all that is needed was said. Errors: a path is missing.
    pub fn check(&mut self) -> Result<(), Wrong> {
        self.subject = b"unix-listen";
        match (self.action, self.method, self.path) {
            (Action::Run, Method::UnixListen, None) => Err(Wrong::NoPath),
            _ => Ok(()),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::new()
    }
}

/// What is wrong with the command line, or with the file. Which word it is about stands in
/// [`Options::subject`]: an error that carried it would be copied wherever it passes, 500 bytes of
/// code in all.
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
    /// More lists than [`LISTS_MAX`].
    Lists,
    /// A line of the file that is none of its kinds, or stands before the first group.
    Line,
    /// A value of the file that is no yes or no.
    Boolean,
    /// A value of the file with a backslash before something else than it may stand before.
    Escape,
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
    "too many lists of commands:",
    "not a group, key or comment",
    "not true or false:",
    "a wrong escape in",
];

/// The usage text, after the program's name.
pub const USAGE: Phrase = phrase!(
    "[options]
 -m, --method METHOD  virtio-serial (default), isa-serial, unix-listen
 -p, --path PATH  device or socket (default: virtio port org.qemu.guest_agent.0,
   /dev/ttyS0; a socket needs one)
 -t, --statedir DIR  for the state (default: /run/qga, else /dev/.qga)
 -l, --logfile FILE  append the log to FILE (default: standard error)
 -v, --verbose  log every command
 -r, --retry-path  wait for a device that is missing or goes away
 -d, --daemonize  serve in the background
 -f, --pidfile FILE  with -d (default: /var/run/qemu-ga.pid)
 -F, --fsfreeze-hook[=FILE]  run FILE at freeze and thaw (default:
   /etc/qemu/fsfreeze-hook)
 -b, --block-rpcs LIST  commands that may not be used (help: which there are)
 -a, --allow-rpcs LIST  the only ones that may
 -c, --config FILE  (default: $QGA_CONF, /etc/qemu/qemu-ga.conf)
 -D, --dump-conf  print what is in force as such a file
 --freeze-timeout SECONDS  thaw if nobody has by then (default: never)
 --freeze-deadline SECONDS  what one filesystem may take (default: 120)
 --freeze-unreachable log|fail  what a freeze must leave out: log it (default),
   or fail
 --exclude-interfaces 'veth*;...'  hide these
 -V, --version
 -h, --help
"
);

/// The file with the number of the process, without `-f`.
pub const PID_FILE: &CStr = c"/var/run/qemu-ga.pid";
/// The hook of `-F` without a value.
const HOOK: &CStr = c"/etc/qemu/fsfreeze-hook";
/// What RHEL's units name in the place of none.
const NO_HOOK: &CStr = c"/dev/null";

/// In place of the letter of an option that has none: a byte that is looked for as a letter is none
/// above 0x7F.
pub const TIMEOUT: u8 = 0xFC;
/// And another one.
pub const EXCLUDED: u8 = 0xFD;
/// And another one.
pub const DEADLINE: u8 = 0xFE;
/// And another one.
pub const UNREACHABLE: u8 = 0xFF;

/// What is known of an option, a bit each: it has a value,
const VALUE: u8 = 1;
/// which may be missing, and does not come as a word of its own;
const OPTIONAL: u8 = 2;
/// it is a key of the reference's group of the file,
const GENERAL: u8 = 4;
/// or of the agent's own.
const OWN: u8 = 8;

/// An option.
#[derive(Clone, Copy)]
pub struct Known {
    /// Its letter, or what stands for it.
    pub short: u8,
    /// The bits above.
    kind: u8,
    /// The long option, without the dashes.
    pub long: &'static [u8],
}

impl Known {
    fn is(&self, what: u8) -> bool {
        self.kind & what != 0
    }

    /// Whether it is a key of the file, of the agent's own group or of the other one.
    pub fn is_key(&self, own: bool) -> bool {
        self.is(if own { OWN } else { GENERAL })
    }

    /// What it is called there.
    pub fn key(&self) -> &'static [u8] {
        if self.short == b'd' { b"daemon" } else { self.long }
    }
}

/// The options: letter, bits and name in one text, without pointers and without what would fill
/// names up. What is a key stands first, in the order in which it is printed.
static KNOWN: &[u8] = b"dDdaemonize mEmethod pEpath lElogfile fEpidfile FGfsfreeze-hook \
    tEstatedir vDverbose rDretry-path bEblock-rpcs aEallow-rpcs \
    \xFCIfreeze-timeout \xFEIfreeze-deadline \xFFIfreeze-unreachable \xFDIexclude-interfaces \
    bAblacklist cAconfig D@dump-conf V@version h@help";

/// The options, one after the other.
pub fn known() -> impl Iterator<Item = Known> {
    KNOWN.split(|&byte| byte == b' ').filter_map(|option| match option {
        &[short, kind, ref long @ ..] => Some(Known { short, kind, long }),
        _ => None,
    })
}

/// Reads the words after the program's name, on top of what `options` say already.
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
            if attached.is_some() && !option.is(VALUE) {
                options.subject = option.long;
                return Err(Wrong::HasValue);
            }
            take(options, option, attached, &mut words)?;
        } else if let [b'-', shorts @ ..] = bytes {
            for (at, &short) in shorts.iter().enumerate() {
                let option = known().find(|option| option.short == short && short.is_ascii());
                options.subject = bytes;
                let option = option.ok_or(Wrong::Unknown)?;
                let attached = (at + 1 < shorts.len()).then(|| after(word, at + 2));
                take(options, option, attached, &mut words)?;
                if option.is(VALUE) || options.action != Action::Run {
                    break;
                }
            }
        }
    }
    Ok(())
}

static METHODS: [(&str, Method); 3] = [
    ("virtio-serial", Method::VirtioSerial),
    ("isa-serial", Method::IsaSerial),
    ("unix-listen", Method::UnixListen),
];

/// The name of a method.
pub fn name_of(method: Method) -> &'static str {
    METHODS.iter().find(|(_, known)| *known == method).map_or("", |(name, _)| name)
}

/// Takes an option with its value: the one attached to it, or else the next word.
fn take(
    options: &mut Options,
    option: Known,
    attached: Option<&'static CStr>,
    words: &mut Words,
) -> Result<(), Wrong> {
    let mut value = attached;
    if !option.is(OPTIONAL) {
        value = if option.is(VALUE) { attached.or_else(|| words.next()) } else { None };
        if option.is(VALUE) && value.is_none() {
            options.subject = option.long;
            return Err(Wrong::NoValue);
        }
    }
    put(options, option.short, value, true)
}

/// Puts a key of the file down, in the agent's own group or in the other one, and its value, as
/// [`keyfile::line`] gives both; what is no key of the other group is for somebody else.
pub fn put_key(
    options: &mut Options,
    own: bool,
    key: &'static [u8],
    value: &'static mut [u8],
) -> Result<(), Wrong> {
    options.subject = key;
    // What it was called before.
    let key = if key == b"blacklist" { b"block-rpcs" } else { key };
    let found = known().find(|option| option.is_key(own) && option.key() == key);
    let Some(option) = found else {
        return if own { Err(Wrong::Unknown) } else { Ok(()) };
    };
    let value = keyfile::value(value).ok_or(Wrong::Escape)?;
    // SAFETY: it ends with a NUL.
    let value = unsafe { CStr::from_ptr(value.as_ptr().cast()) };
    options.subject = value.to_bytes();
    let on = match (option.is(VALUE), options.subject.trim_ascii_end()) {
        (true, _) | (_, b"true" | b"1") => true,
        (_, b"false" | b"0") => false,
        _ => return Err(Wrong::Boolean),
    };
    put(options, option.short, Some(value), on)
}

/// Puts an option down: its value if it has one, else whether it is on. An empty value stands for
/// the usual one, as units write it whose variable is empty.
fn put(
    options: &mut Options,
    short: u8,
    value: Option<&'static CStr>,
    on: bool,
) -> Result<(), Wrong> {
    options.subject = value.map_or(b"", CStr::to_bytes);
    let given = value.filter(|value| !value.is_empty());
    match short {
        b'm' => {
            let known = METHODS.iter().find(|(known, _)| known.as_bytes() == options.subject);
            options.method = known.ok_or(Wrong::Method)?.1;
        }
        b'p' => options.path = given,
        b't' => options.state_dir = given,
        b'l' => options.log_file = given,
        b'f' => options.pid_file = given,
        b'c' => options.config = value,
        b'F' => options.hook = value.map_or(Some(HOOK), |_| given.filter(|hook| *hook != NO_HOOK)),
        b'b' | b'a' => {
            if let b"help" | b"?" = options.subject {
                options.action = Action::Commands;
            }
            let place = options.lists.get_mut(options.lists_len).ok_or(Wrong::Lists)?;
            let rule = if short == b'a' { Rule::Allow } else { Rule::Block };
            *place = (rule, options.subject);
            options.lists_len += 1;
        }
        b'd' => options.daemon = on,
        b'D' => options.dump = on,
        b'v' => options.verbose = on,
        b'r' => options.retry = on,
        TIMEOUT | DEADLINE => {
            let seconds = decimal(options.subject).filter(|&seconds| seconds > 0);
            let ms = Some(seconds.ok_or(Wrong::Seconds)?.saturating_mul(1000));
            match short {
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
        b'V' => options.action = Action::Version,
        _ => options.action = Action::Help,
    }
    Ok(())
}

/// The long option of this name, or the only one that begins so: by several names it may.
fn long(name: &[u8]) -> Result<Known, Wrong> {
    let mut found = Err(Wrong::Unknown);
    for option in known() {
        if option.long == name {
            return Ok(option);
        }
        if option.long.starts_with(name) {
            // A third is as ambiguous as a second: `--=` begins all of them.
            found = match found {
                Err(Wrong::Unknown) => Ok(option),
                Ok(other) if other.short == option.short => Ok(other),
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
#[derive(Clone, Copy)]
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

    /// Whether the program was called by this name, wherever it lies. To be asked before the first
    /// word is taken.
    pub fn are_of(&self, name: &[u8]) -> bool {
        // SAFETY: the first word of the list; or, where a program is started without any, its null
        // pointer, which ends it.
        let program = unsafe { self.next.wrapping_sub(1).read() };
        if program.is_null() {
            return false;
        }
        // SAFETY: a text of the list.
        let program = unsafe { CStr::from_ptr(program) }.to_bytes();
        program.rsplit(|&byte| byte == b'/').next() == Some(name)
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
