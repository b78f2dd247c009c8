//! What of a guest is set by writing a short text over another one: attributes below /sys.

use crate::errno::Errno;

/// Settings, under the paths that Linux gives them. What hangs here hangs in a copy of the agent
/// ([`super::Tasks`]).
pub trait Settings {
    /// Whether CPUs and memory blocks can be brought online and taken offline:
    /// `/sys/devices/system/cpu/cpu1/online`, `/sys/devices/system/memory/memory32/state`.
    const HOTPLUG: bool = false;
    /// Whether the guest can be suspended: `/sys/power/state`, or by its programs.
    const SUSPEND: bool = false;

    /// Whether this guest has what the command of this name needs; asked for each request. For a
    /// guest that learns only when it runs what it can do.
    fn offers(&self, command: &'static str) -> bool {
        let _ = command;
        true
    }

    /// Writes a text over one that is there (open(2), write(2)). Errors: ENOENT, EACCES, and
    /// whatever the attribute gives: EBUSY, EINVAL, EPERM.
    fn set(&mut self, path: &[u8], text: &[u8]) -> Result<(), Errno> {
        let _ = (path, text);
        Err(Errno::OPNOTSUPP)
    }
}
