//! The commands by their names, as the tests and the bench know them: pinned, and held against the
//! agent's own table by the tests.

/// The commands that the agent has, in the order of its table: the pinned list.
pub const COMMANDS: [&str; 31] = [
    "guest-sync-delimited",
    "guest-sync",
    "guest-ping",
    "guest-get-time",
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
    "guest-fsfreeze-thaw",
    "guest-exec-status",
    "guest-exec",
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
];

/// Those of them that say what the guest is: what they return is never the same on two machines.
pub const LISTS: &[&str] = COMMANDS.split_at(17).1;

/// The same, and those that freeze: what a guest without Linux has none of, or makes itself.
pub const OF_LINUX: &[&str] = COMMANDS.split_at(12).1;

/// Commands that the schema has since 9.1 and 10.0, where 7.2 is the reference.
pub const NEWER: [&str; 2] = ["guest-get-load", "guest-network-get-route"];
