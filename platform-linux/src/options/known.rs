//! The options that there are: letter, name, and whether it has a value or is a key of the file.

use super::wrong::Wrong;

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
pub(super) const VALUE: u8 = 1;
/// which may be missing, and does not come as a word of its own;
pub(super) const OPTIONAL: u8 = 2;
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
    /// Its place among them.
    pub(super) at: usize,
}

impl Known {
    /// Whether one of these bits is set.
    pub(super) fn is(&self, what: u8) -> bool {
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
pub(super) const OPTIONS_MAX: usize = {
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

/// The long option of this name, or the only one that begins so: by several names it may.
pub(super) fn long(name: &[u8]) -> Result<Known, Wrong> {
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
