//! The command line, word by word: short options alone or joined, long ones whole or as an
//! unambiguous beginning, values attached or after. Other words are ignored.

use super::known::{Known, OPTIONAL, VALUE, known, long};
use super::{Action, HOOK, ON, Options, Wrong, put};
use core::ffi::{CStr, c_char};

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
