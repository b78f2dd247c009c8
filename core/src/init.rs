//! Process 1 as the kernel shows it: which init it is, and whether it is seen going down.
//!
//! A signal that process 1 does not want is dropped by the kernel without a word, and one that it
//! wants may mean something else to it. Which it wants is not to be seen: one that is waited for
//! (sigtimedwait(2), as busybox init does) shows neither as caught nor as blocked. So being asked
//! counts for nothing, and only [`Init::is_going_down`] does.

use crate::platform::{About, Mode, Power};

/// The inits that are known, each with a space after it: the end of their file's path, and their
/// signals for powerdown, halt and reboot, 0 for none. Systemd is the one with [`SYSTEMD`] for
/// powerdown.
///
/// systemd(1): SIGRTMIN+4, +3, +5, counted from the C library's 34. busybox init: SIGUSR2, SIGUSR1,
/// SIGTERM. finit(8): SIGUSR2, SIGTERM. openrc-init and dinit(8): SIGTERM halts and leaves the
/// power on, SIGINT reboots. sysvinit and runit get their orders through files, which their own
/// programs write.
static KNOWN: [u8; 79] = *b"/systemd\x26\x25\x27 /busybox\x0C\x0A\x0F /finit\x0C\0\x0F \
    /openrc-init\0\x0F\x02 /dinit\0\x0F\x02 /init\0\0\0 /runit\0\0\0 ";

/// Systemd's signal for powerdown.
const SYSTEMD: u8 = 0x26;

/// What was seen of process 1 before it was asked for anything. All zero when nothing was.
pub struct Init {
    /// Its signal for the mode, 0 for none.
    pub signal: u8,
    /// Whether it is one of [`KNOWN`].
    pub is_known: bool,
    /// Whether it is systemd, whose programs can be asked for its state.
    pub is_systemd: bool,
    /// Whether it catches SIGTSTP, as busybox init does until it goes down, and no shell that runs
    /// a script.
    catches_stop: bool,
}

impl Init {
    /// Nothing seen yet.
    pub const fn new() -> Self {
        Init { signal: 0, is_known: false, is_systemd: false, catches_stop: false }
    }

    /// Looks at process 1; `text` is room for what the kernel says of it.
    #[inline(never)]
    pub fn look<P: Power>(&mut self, platform: &mut P, mode: Mode, text: &mut [u8]) {
        let path = read(platform, About::Program, text);
        // So shows a file that an update has replaced.
        let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
        let known = KNOWN.split(|&byte| byte == b' ').find_map(|known| {
            let (end, signals) = known.split_last_chunk::<3>()?;
            path.ends_with(end).then_some(signals)
        });
        let signals = known.unwrap_or(&[0; 3]);
        self.signal = signals.get(mode as usize).copied().unwrap_or(0);
        self.is_known = known.is_some();
        self.is_systemd = signals[0] == SYSTEMD;
        self.catches_stop = catches_stop(platform, text) == Some(true);
    }

    /// Whether process 1 shows that it is going down: sysvinit by the runlevel in its command line,
    /// busybox init in that it catches no signals any more.
    pub fn is_going_down<P: Power>(&self, platform: &mut P, text: &mut [u8]) -> bool {
        let words = read(platform, About::CommandLine, text);
        matches!(words.first_chunk(), Some(b"init [0]" | b"init [6]"))
            || self.catches_stop && catches_stop(platform, text) == Some(false)
    }
}

impl Default for Init {
    fn default() -> Self {
        Init::new()
    }
}

/// Whether process 1 catches SIGTSTP, number 20, if that is shown.
fn catches_stop<P: Power>(platform: &mut P, text: &mut [u8]) -> Option<bool> {
    let mut lines = read(platform, About::Status, text).split(|&byte| byte == b'\n');
    // A number of 16 hexadecimal digits; the signal is the upper bit of the fifth from the right.
    let digit = lines.find(|line| line.starts_with(b"SigCgt"))?.iter().nth_back(4)?;
    Some(*digit >= b'8')
}

/// What the kernel says; nothing where it is not shown.
pub fn read<'t, P: Power>(platform: &mut P, about: About, text: &'t mut [u8]) -> &'t [u8] {
    let len = platform.about(about, text).unwrap_or(0);
    text.get(..len).unwrap_or(&[])
}
