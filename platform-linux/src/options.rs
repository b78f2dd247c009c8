//! The command line, as the reference agent takes it: short options alone or joined, long ones
//! whole or as an unambiguous beginning, values attached or after. Other words are ignored, as
//! there.

use core::ffi::{CStr, c_char};
use core::ptr::NonNull;
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

/// Most lists of commands of each rule: one from a file, and what a unit adds, which is one or two.
const LISTS_MAX: usize = 3;

/// A text as its beginning alone: half as long, so that all of them share a page with others.
type Word = Option<NonNull<c_char>>;

fn pointer(text: &'static CStr) -> NonNull<c_char> {
    // SAFETY: a reference is never null.
    unsafe { NonNull::new_unchecked(text.as_ptr().cast_mut()) }
}

/// The text again.
fn read(word: Word) -> Option<&'static CStr> {
    // SAFETY: all are made by `pointer`.
    word.map(|word| unsafe { CStr::from_ptr(word.as_ptr()) })
}

/// What is asked for, by the command line and by a file.
pub struct Options {
    /// What to do.
    pub action: Action,
    /// Where requests come from.
    pub method: Method,
    /// The value of each option that has one, in the order of [`KNOWN`]; that of one that has none
    /// is [`ON`] where it was given. One loop over all of them is less than a field for each.
    texts: [Word; OPTIONS_MAX],
    /// The file that this is read from as well: the one that was named, or else the usual one.
    pub config: Option<&'static CStr>,
    /// The line of that file that an error is about; 0 for the command line.
    pub config_line: u32,
    /// Lists of commands, of each [`Rule`].
    lists: [[Word; LISTS_MAX]; 2],
    /// The word that an error is about.
    pub subject: Option<&'static [u8]>,
}

impl Options {
    /// Those of an empty command line. All zero.
    pub const fn new() -> Self {
        Options {
            action: Action::Run,
            method: Method::VirtioSerial,
            texts: [None; OPTIONS_MAX],
            config: None,
            config_line: 0,
            lists: [[None; LISTS_MAX]; 2],
            subject: None,
        }
    }

    /// The value of an option by its letter, if it was given one.
    #[inline(never)]
    pub fn text(&self, short: u8) -> Option<&'static CStr> {
        let mut both = known().zip(&self.texts);
        both.find(|(option, _)| option.short == short).and_then(|(_, text)| read(*text))
    }

    /// Whether an option was given: `-d`, `-D`, `-v`, `-r`.
    pub fn is_on(&self, short: u8) -> bool {
        self.text(short).is_some()
    }

    /// Whether to serve in the background.
    pub fn is_daemon(&self) -> bool {
        cfg!(feature = "config") && self.is_on(b'd') && !self.is_on(b'D')
    }

    /// The number of seconds of an option, in milliseconds.
    pub fn ms(&self, short: u8) -> Option<u64> {
        let seconds = decimal(self.text(short)?.to_bytes())?;
        Some(seconds.saturating_mul(1000))
    }

    /// The program that is told before a freeze and after a thaw, if one is to be.
    pub fn hook(&self) -> Option<&'static CStr> {
        self.text(b'F')
    }

    /// The file with the number of the process.
    pub fn pid_file(&self) -> &'static CStr {
        self.text(b'f').unwrap_or(PID_FILE)
    }

    /// The lists of commands of a rule.
    pub fn lists(&self, rule: Rule) -> impl Iterator<Item = &'static CStr> {
        let [blocked, allowed] = &self.lists;
        let lists = if rule == Rule::Allow { allowed } else { blocked };
        lists.iter().map_while(|list| read(*list))
    }

    /// Makes room for the lists of a file, before those of the command line that are here already
    /// and are read again after them, as is all else.
    pub fn forget_lists(&mut self) {
        self.lists = [[None; LISTS_MAX]; 2];
    }

    /// Whether all that is needed was said. Errors: a path is missing.
    pub fn check(&mut self) -> Result<(), Wrong> {
        if !cfg!(feature = "hooks") && self.hook().is_some() {
            // A freeze that leaves out what somebody relies on would look as one that does not.
            self.subject = Some(b"fsfreeze-hook");
            return Err(Wrong::Unknown);
        }
        self.subject = Some(b"unix-listen");
        match (self.action, self.method, self.text(b'p')) {
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

/// The usage text, with what a build has that a file of options can start.
macro_rules! usage {
    ($background:literal, $file:literal) => {
        phrase!(concat!(
            "\
[options]
 -m, --method METHOD  virtio-serial (default), isa-serial, unix-listen
 -p, --path PATH  device or socket (default: virtio port org.qemu.guest_agent.0,
   /dev/ttyS0; a socket needs one)
 -t, --statedir DIR  for the state (default: /run/qga, else /dev/.qga)
 -l, --logfile FILE  append the log to FILE (default: standard error)
 -v, --verbose  log every command
 -r, --retry-path  wait for a device that is missing or goes away
",
            $background,
            " \
-F, --fsfreeze-hook[=FILE]  run FILE at freeze and thaw (default:
   /etc/qemu/fsfreeze-hook)
 -b, --block-rpcs LIST  commands that may not be used (help: which there are)
 -a, --allow-rpcs LIST  the only ones that may
",
            $file,
            " \
--freeze-timeout SECONDS  thaw if nobody has by then (default: never)
 --freeze-deadline SECONDS  what one filesystem may take (default: 120)
 --freeze-unreachable log|fail  what a freeze must leave out: log it (default),
   or fail
 --exclude-interfaces 'veth*;...'  hide these
 -V, --version
 -h, --help
"
        ))
    };
}

/// The usage text, after the program's name.
#[cfg(feature = "config")]
pub const USAGE: Phrase = usage!(
    " \
-d, --daemonize  serve in the background
 -f, --pidfile FILE  with -d (default: /var/run/qemu-ga.pid)
",
    " \
-c, --config FILE  (default: $QGA_CONF, /etc/qemu/qemu-ga.conf)
 -D, --dump-conf  print what is in force as such a file
"
);
/// The same of a build without the file.
#[cfg(not(feature = "config"))]
pub const USAGE: Phrase = usage!("", "");

/// The file with the number of the process, without `-f`.
pub const PID_FILE: &CStr = c"/var/run/qemu-ga.pid";
/// The value of an option that has none and was given, as it is printed.
const ON: &CStr = c"true";
/// The hook of `-F` without a value.
const HOOK: &CStr = c"/etc/qemu/fsfreeze-hook";
/// What RHEL's units name in the place of none.
const NO_HOOK: &[u8] = b"/dev/null";

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
    /// Its place in [`KNOWN`].
    at: usize,
}

impl Known {
    /// Whether one of these bits is set.
    fn is(&self, what: u8) -> bool {
        self.kind & what != 0
    }

    /// Whether it is a key of the file, of the agent's own group or of the other one.
    pub fn is_key(&self, own: bool) -> bool {
        self.is(if own { OWN } else { GENERAL })
    }

    /// Whether it has no value.
    pub fn is_flag(&self) -> bool {
        !self.is(VALUE)
    }

    /// What it is called there.
    pub fn key(&self) -> &'static [u8] {
        if self.short == b'd' { b"daemon" } else { self.long }
    }
}

/// The options: letter, bits and name in one text, without pointers and without what would fill
/// names up. What is a key stands first, in the order in which it is printed.
#[cfg(feature = "config")]
const KNOWN: &[u8] = b"dDdaemonize mEmethod pEpath lElogfile fEpidfile FGfsfreeze-hook \
    tEstatedir vDverbose rDretry-path bEblock-rpcs aEallow-rpcs \
    \xFCIfreeze-timeout \xFEIfreeze-deadline \xFFIfreeze-unreachable \xFDIexclude-interfaces \
    bAblacklist cAconfig D@dump-conf V@version h@help";
#[cfg(not(feature = "config"))]
const KNOWN: &[u8] = b"mEmethod pEpath lElogfile FGfsfreeze-hook \
    tEstatedir vDverbose rDretry-path bEblock-rpcs aEallow-rpcs \
    \xFCIfreeze-timeout \xFEIfreeze-deadline \xFFIfreeze-unreachable \xFDIexclude-interfaces \
    bAblacklist V@version h@help";

/// How many there are.
const OPTIONS_MAX: usize = {
    let (mut count, mut at) = (1, 0);
    while at < KNOWN.len() {
        count += (KNOWN[at] == b' ') as usize;
        at += 1;
    }
    count
};

/// The options, one after the other.
pub fn known() -> impl Iterator<Item = Known> {
    let options = KNOWN.split(|&byte| byte == b' ').enumerate();
    options.filter_map(|(at, option)| match option {
        &[short, kind, ref long @ ..] => Some(Known { short, kind, long, at }),
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
            options.subject = Some(bytes);
            let option = long(name.get(..end.unwrap_or(name.len())).unwrap_or(name))?;
            let attached = end.map(|end| after(word, end + 3));
            if attached.is_some() && !option.is(VALUE) {
                options.subject = Some(option.long);
                return Err(Wrong::HasValue);
            }
            take(options, option, attached, &mut words)?;
        } else if let [b'-', shorts @ ..] = bytes {
            for (at, &short) in shorts.iter().enumerate() {
                let option = known().find(|option| option.short == short && short.is_ascii());
                options.subject = Some(bytes);
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

/// Takes an option with its value: the one attached to it, or else the next word.
fn take(
    options: &mut Options,
    option: Known,
    attached: Option<&'static CStr>,
    words: &mut Words,
) -> Result<(), Wrong> {
    let mut value = attached;
    if !option.is(VALUE) {
        value = Some(ON);
    } else if option.is(OPTIONAL) {
        value = attached.or(Some(HOOK));
    } else if value.is_none() {
        value = words.next();
        if value.is_none() {
            options.subject = Some(option.long);
            return Err(Wrong::NoValue);
        }
    }
    put(options, option, value)
}

/// Puts a key of the file down, in the agent's own group or in the other one, and its value, as
/// [`keyfile::line`] gives both; what is no key of the other group is for somebody else.
pub fn put_key(
    options: &mut Options,
    own: bool,
    key: &'static [u8],
    value: &'static mut [u8],
) -> Result<(), Wrong> {
    options.subject = Some(key);
    // What it was called before.
    let key = if key == b"blacklist" { b"block-rpcs" } else { key };
    let found = known().find(|option| option.is_key(own) && option.key() == key);
    let Some(option) = found else {
        return if own { Err(Wrong::Unknown) } else { Ok(()) };
    };
    let value = keyfile::value(value).ok_or(Wrong::Escape)?;
    // SAFETY: it ends with a NUL.
    let value = unsafe { CStr::from_ptr(value.as_ptr().cast()) };
    options.subject = Some(value.to_bytes());
    let value = match (option.is(VALUE), value.to_bytes().trim_ascii_end()) {
        (true, _) => Some(value),
        (_, b"true" | b"1") => Some(ON),
        (_, b"false" | b"0") => None,
        _ => return Err(Wrong::Boolean),
    };
    put(options, option, value)
}

/// Puts an option down, or takes back that it was given. An empty value stands for the usual one:
/// units write it whose variable is empty.
fn put(options: &mut Options, option: Known, value: Option<&'static CStr>) -> Result<(), Wrong> {
    let text = value.map_or(&b""[..], CStr::to_bytes);
    options.subject = Some(text);
    let word = value.map(pointer);
    let mut value = value.filter(|_| !text.is_empty());
    match option.short {
        b'm' => {
            let known = METHODS.iter().find(|(known, _)| known.as_bytes() == text);
            options.method = known.ok_or(Wrong::Method)?.1;
        }
        b'c' => options.config = Some(value.unwrap_or(c"")),
        b'F' => value = value.filter(|_| text != NO_HOOK),
        b'b' | b'a' => {
            if let b"help" | b"?" = text {
                options.action = Action::Commands;
            }
            let [blocked, allowed] = &mut options.lists;
            let lists = if option.short == b'a' { allowed } else { blocked };
            *lists.iter_mut().find(|list| list.is_none()).ok_or(Wrong::Lists)? = word;
        }
        TIMEOUT | DEADLINE => {
            decimal(text).filter(|&seconds| seconds > 0).ok_or(Wrong::Seconds)?;
        }
        UNREACHABLE if text != b"fail" && text != b"log" => return Err(Wrong::Unreachable),
        b'V' => options.action = Action::Version,
        b'h' => options.action = Action::Help,
        _ => {}
    }
    if let Some(place) = options.texts.get_mut(option.at) {
        *place = value.map(pointer);
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
