//! The commands by their names, as the tests and the bench know them: pinned, and held against the
//! agent's own table by the tests.

/// The commands that the agent has, in the order of its table: the pinned list.
pub const COMMANDS: [&str; 43] = [
    "guest-sync-delimited",
    "guest-sync",
    "guest-ping",
    "guest-get-time",
    "guest-set-time",
    "guest-info",
    "guest-shutdown",
    "guest-file-open",
    "guest-file-close",
    "guest-file-read",
    "guest-file-write",
    "guest-file-seek",
    "guest-file-flush",
    "guest-fsfreeze-status",
    "guest-fsfreeze-freeze",
    "guest-fsfreeze-freeze-list",
    "guest-fsfreeze-thaw",
    "guest-get-host-name",
    "guest-get-osinfo",
    "guest-get-timezone",
    "guest-get-load",
    "guest-get-users",
    "guest-get-vcpus",
    "guest-get-cpustats",
    "guest-get-memory-blocks",
    "guest-get-memory-block-info",
    "guest-get-diskstats",
    "guest-get-disks",
    "guest-get-fsinfo",
    "guest-network-get-interfaces",
    "guest-network-get-route",
    "guest-exec-status",
    "guest-exec",
    "guest-fstrim",
    "guest-suspend-disk",
    "guest-suspend-ram",
    "guest-suspend-hybrid",
    "guest-set-user-password",
    "guest-ssh-get-authorized-keys",
    "guest-ssh-add-authorized-keys",
    "guest-ssh-remove-authorized-keys",
    "guest-set-vcpus",
    "guest-set-memory-blocks",
];

/// Those of them that say what the guest is: what they return is never the same on two machines.
pub const LISTS: &[&str] = COMMANDS.split_at(17).1.split_at(14).0;

/// The same, those that freeze, and those that change the guest: what one without Linux has none
/// of, or makes itself.
pub const OF_LINUX: &[&str] = COMMANDS.split_at(13).1;

/// What is of Linux as well, and stands among those before it: the time of day can be set.
pub const SETS_TIME: &str = "guest-set-time";

/// Commands that the schema has since 9.1 and 10.0, where 7.2 is the reference.
pub const NEWER: [&str; 2] = ["guest-get-load", "guest-network-get-route"];
