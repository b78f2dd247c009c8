//! What the disks have done, `/proc/diskstats` of the kernel's iostats.rst: one line in, a disk's
//! numbers out.

use super::fields::Fields;

/// How many statistics there are.
pub const STATS: usize = 17;

/// The members of GuestDiskStats, in the order in which the kernel writes the numbers; blanks
/// divide them.
pub const MEMBERS: &str = "read-ios read-merges read-sectors read-ticks write-ios write-merges write-sectors \
    write-ticks ios-pgr total-ticks weight-ticks discard-ios discard-merges discard-sectors \
    discard-ticks flush-ios flush-ticks";

/// A disk's or partition's line.
#[derive(Debug, PartialEq, Eq)]
pub struct Disk<'l> {
    /// Its driver's number.
    pub major: u64,
    /// Its own number with that driver.
    pub minor: u64,
    /// The kernel's name for it.
    pub name: &'l [u8],
    /// The numbers in the order of [`MEMBERS`], as far as the kernel counts them.
    pub stats: [Option<u64>; STATS],
}

impl<'l> Disk<'l> {
    /// Reads one line; nothing if it is not one of a disk. Kernels write 14 columns, since 4.18 18,
    /// since 5.5 20, and wrote 7 for partitions before 2.6.25.
    #[inline(never)]
    pub fn parse(line: &'l [u8]) -> Option<Self> {
        let mut fields = Fields::new(line);
        let (major, minor, name) = (fields.number(), fields.number(), fields.word());
        let mut stats = [None; STATS];
        let count = fields.numbers(&mut stats);
        if count == 4 {
            // Reads, sectors of them, writes, sectors of them.
            let [_, read, writes, written, ..] = stats;
            (stats[1], stats[2], stats[3], stats[4], stats[6]) =
                (None, read, None, writes, written);
        }
        (!fields.failed && count >= 4).then_some(Disk { major, minor, name, stats })
    }
}
