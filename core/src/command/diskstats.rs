//! guest-get-diskstats: what disks and partitions have done.

use super::listing::each_line;
use crate::formats::diskstats::{Disk, MEMBERS};
use crate::platform::Platform;
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;

/// One disk at each call, in the kernel's order. Schema: guest-get-diskstats (7.1),
/// GuestDiskStatsInfo. Errors: /proc/diskstats cannot be read.
pub fn piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    let of = (text!("failed to read the statistics of disks"), "/proc/diskstats");
    each_line(platform, &mut state.list, cursor, out, of, &mut |line, cursor, out| {
        let Some(disk) = Disk::parse(line) else { return };
        cursor.element(out);
        out.ascii("{");
        out.key("name");
        out.string(disk.name);
        out.numbers("major minor", &[Some(disk.major), Some(disk.minor)]);
        out.key("stats");
        out.ascii("{");
        out.numbers(MEMBERS, &disk.stats);
        out.ascii("}}");
    })
}
