//! guest-suspend-disk, guest-suspend-ram, guest-suspend-hybrid: by the guest's programs, else by
//! the kernel. Carried out by a copy of the agent, which goes on when the guest wakes.

use super::errand::{Desk, child_failed};
use crate::errno::Errno;
use crate::error::{Error, Raised};
use crate::limits::PROGRAM_SAID_BYTES_MAX;
use crate::list::whole;
use crate::platform::{Exit, Platform, Programs};
use crate::text::Phrase;

/// How the guest sleeps. What systemd, pm-utils and the kernel call it.
pub struct Mode {
    /// The word of systemctl(1).
    verb: &'static [u8],
    /// The unit that systemd starts for it.
    unit: &'static [u8],
    /// The option of pm-is-supported(1).
    option: &'static [u8],
    /// The program of pm-utils.
    program: &'static [u8],
    /// The word in /sys/power/state; the kernel has none for both.
    state: Option<&'static [u8]>,
}

/// To memory that is written to disk.
pub static DISK: Mode = Mode {
    verb: b"hibernate",
    unit: b"systemd-hibernate",
    option: b"--hibernate",
    program: b"pm-hibernate",
    state: Some(b"disk"),
};

/// To memory.
pub static RAM: Mode = Mode {
    verb: b"suspend",
    unit: b"systemd-suspend",
    option: b"--suspend",
    program: b"pm-suspend",
    state: Some(b"mem"),
};

/// To memory, and to disk in case that the power fails.
pub static HYBRID: Mode = Mode {
    verb: b"hybrid-sleep",
    unit: b"systemd-hybrid-sleep",
    option: b"--suspend-hybrid",
    program: b"pm-suspend-hybrid",
    state: None,
};

/// Where the kernel says how it can sleep, and is told to.
const STATE: &[u8] = b"/sys/power/state";

/// Suspends the guest, in the order of the reference: systemd, pm-utils, the kernel, until one
/// works. Returns when it has woken. Errors: this guest has no such mode, or whoever says to have
/// it fails: the last one is named, with what it said.
pub fn suspend<P: Platform>(
    platform: &mut P,
    mode: &Mode,
    desk: &mut Desk<'_>,
) -> Result<(), Raised> {
    let output = desk.known.get_mut(..PROGRAM_SAID_BYTES_MAX).unwrap_or(&mut []);
    let mut failed = Attempt::NotOffered;
    // In this order systemd says that it knows the unit, which does not run now: systemctl(1).
    let asked = platform.run_program(&[b"systemctl", b"status", mode.unit], b"", &mut []);
    if let Ok((Exit::Status(1..=3), _)) = asked {
        failed = attempt(platform, &[b"systemctl", mode.verb], output);
    }
    if failed.is_over() {
        return Ok(());
    }
    let asked = platform.run_program(&[b"pm-is-supported", mode.option], b"", &mut []);
    if let Ok((Exit::Status(0), _)) = asked {
        failed = attempt(platform, &[mode.program], output);
    }
    if failed.is_over() {
        return Ok(());
    }
    let mut states = [0; 64];
    let states = whole(platform, STATE, &mut states).map_or(&[][..], |states| &*states);
    let has = |state: &&[u8]| states.split(u8::is_ascii_whitespace).any(|word| word == *state);
    if let Some(state) = mode.state.filter(has) {
        match platform.set(STATE, state) {
            Ok(()) => return Ok(()),
            Err(errno) => failed = Attempt::Refused(errno),
        }
    }
    let error = match failed {
        Attempt::NotOffered => Error::Told(UNSUPPORTED, b"", 0),
        Attempt::Refused(errno) => {
            Error::Told(phrase!("failed to write to $: !"), STATE, errno.number().into())
        }
        Attempt::NotRun(errno) => Error::because(phrase!("failed to run a program: !"), errno),
        Attempt::Ended(exit, len) => {
            let said = output.get(..len).unwrap_or(&[]);
            child_failed(exit, said, FAILED)
        }
        Attempt::Over => return Ok(()),
    };
    Err(desk.out.refuse(platform, &error))
}

const UNSUPPORTED: Phrase = phrase!("the requested suspend mode is not supported by the guest");

/// What a program that was to suspend the guest has not done: what it said, or how it ended.
const FAILED: [Phrase; 2] = [
    phrase!("child process has failed to suspend the guest: ="),
    phrase!("child process has failed to suspend the guest: exit status #"),
];

/// What came of one way.
enum Attempt {
    /// It is not there.
    NotOffered,
    /// It has worked.
    Over,
    /// The program ended otherwise, and has said so much.
    Ended(Exit, usize),
    /// The program could not be run.
    NotRun(Errno),
    /// The kernel did not.
    Refused(Errno),
}

impl Attempt {
    fn is_over(&self) -> bool {
        matches!(self, Attempt::Over)
    }
}

/// Runs a program that suspends.
#[inline(never)]
fn attempt<P: Programs>(platform: &mut P, words: &[&[u8]], output: &mut [u8]) -> Attempt {
    match platform.run_program(words, b"", output) {
        Ok((Exit::Status(0), _)) => Attempt::Over,
        Ok((exit, len)) => Attempt::Ended(exit, len),
        Err(errno) => Attempt::NotRun(errno),
    }
}
