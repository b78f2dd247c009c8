//! The formats of other programs: any bytes as a line, a record or a file of each of them, the
//! first byte says which.
//!
//! Held against readings of the same with the standard library, written down from the formats'
//! documents.

mod disks;
mod lines;
mod names;
mod netlink;
mod time;

/// The formats, by their numbers.
const FORMATS: [fn(&[u8]); 20] = [
    names::os_release,
    names::patterns,
    names::session,
    names::utmp,
    names::addresses,
    lines::loads,
    lines::cpu,
    lines::disk,
    lines::route,
    lines::route_v6,
    lines::numbers,
    time::rule,
    time::rule_of_numbers,
    time::file,
    netlink::datagram,
    disks::path,
    disks::page,
    time::calendar,
    names::users,
    names::key_file,
];

/// Runs one input.
pub fn run(data: &[u8]) {
    if let Some((format, rest)) = data.split_first() {
        FORMATS[usize::from(*format) % FORMATS.len()](rest);
    }
}
