//! The mount table: the mounts as data in, the text of /proc/self/mountinfo out, as the kernel
//! writes it.

use crate::mounts::{Mounts, mount_number};
use std::io::Write as _;

/// What stands in the table between the options and the dash, by turns, because readers must skip
/// it.
const OPTIONAL_FIELDS: [&str; 3] = ["", "shared:7 ", "shared:1 master:2 "];

impl Mounts {
    /// The text of /proc/self/mountinfo (proc(5)).
    pub fn table(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for mount in &self.list {
            let number = self.superblocks[mount.superblock].number;
            let (major, minor) = (number.major(), number.minor());
            let (id, parent) = (mount.number(), mount_number(mount.parent));
            // Writing to a vector cannot fail.
            let _ = write!(text, "{id} {parent} {major}:{minor} {} ", mount.root);
            escape(&mount.point, &mut text);
            let optional = OPTIONAL_FIELDS[mount.id % OPTIONAL_FIELDS.len()];
            let access = if mount.read_only { "ro" } else { "rw" };
            let _ = write!(text, " {access},relatime {optional}- {} ", mount.kind);
            escape(mount.source.as_bytes(), &mut text);
            let written = !mount.read_only && !self.superblocks[mount.superblock].read_only;
            let _ = writeln!(text, " {}", if written { "rw" } else { "ro,noload" });
        }
        text
    }
}

/// Space, tab, newline and backslash as the kernel writes them in the table.
fn escape(bytes: &[u8], into: &mut Vec<u8>) {
    for &byte in bytes {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => {
                into.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            }
            other => into.push(other),
        }
    }
}
