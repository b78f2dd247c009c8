//! What is asked for, as the reference agent takes it: options of the command line and keys of the
//! file come in, one after the other; what is in force goes out.

mod known;
pub mod usage;
mod words;
pub mod wrong;

pub use known::{DEADLINE, EXCLUDED, Known, TIMEOUT, UNREACHABLE, known};
pub use words::{Words, parse};
pub use wrong::Wrong;

use core::ffi::{CStr, c_char};
use core::ptr::NonNull;
use known::{OPTIONS_MAX, VALUE};
use qga_core::Rule;
use qga_core::bytes::decimal;
use qga_core::formats::keyfile;

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
    /// The value of each option that has one, in the order of [`known`]; that of one that has none
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

/// The file with the number of the process, without `-f`.
pub const PID_FILE: &CStr = c"/var/run/qemu-ga.pid";
/// The value of an option that has none and was given, as it is printed.
const ON: &CStr = c"true";
/// The hook of `-F` without a value.
const HOOK: &CStr = c"/etc/qemu/fsfreeze-hook";
/// What RHEL's units name in the place of none.
const NO_HOOK: &[u8] = b"/dev/null";

static METHODS: [(&str, Method); 3] = [
    ("virtio-serial", Method::VirtioSerial),
    ("isa-serial", Method::IsaSerial),
    ("unix-listen", Method::UnixListen),
];

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
