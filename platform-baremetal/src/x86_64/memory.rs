//! Memory: an address of a device in, the address at which it can be accessed out. Invariant: what
//! was mapped one to one at the start is never mapped anew.

use crate::single::Single;

/// Where the memory ends that boot.rs has mapped one to one.
pub const MAPPED_END: u64 = 1 << 32;

/// Where a device's memory at this address can be accessed. Up to 4 GiB that is the address itself;
/// above, the 2 GiB around the first such address are mapped after the fourth GiB. Nothing for an
/// address outside them, or that needs more than 4 levels of tables.
pub fn map_device(address: u64) -> Option<usize> {
    const GIB: u64 = 1 << 30;
    if address < 4 * GIB {
        return Some(address as usize);
    }
    if address >> 46 != 0 {
        return None;
    }
    HIGH.with(|high| high.map(address))?
}

/// A table of 512 entries (Intel SDM 3A, 4.5).
#[repr(C, align(4096))]
pub struct PageTable([u64; 512]);

/// The third-level table: its first four entries are boot.rs's, the next two the window's.
pub static mut THIRD_LEVEL: PageTable = PageTable([0; 512]);

/// The window onto devices above 4 GiB.
struct High {
    /// The first GiB that it shows; 0 while it shows none.
    first_gib: u64,
    pages: [PageTable; 2],
}

static HIGH: Single<High> =
    Single::new(High { first_gib: 0, pages: [const { PageTable([0; 512]) }; 2] });

impl High {
    /// After what boot.rs has mapped.
    const WINDOW_GIB: u64 = 4;

    fn map(&mut self, address: u64) -> Option<usize> {
        let gib = address >> 30;
        if self.first_gib == 0 {
            self.first_gib = gib;
            self.fill();
        }
        let offset_gib = gib.checked_sub(self.first_gib).filter(|&offset| offset < 2)?;
        Some(((Self::WINDOW_GIB + offset_gib) << 30 | address & ((1 << 30) - 1)) as usize)
    }

    fn fill(&mut self) {
        // Present, writable, write-through, not cached; 2 MiB where it is the last level.
        const DEVICE: u64 = 0b1_1011;
        const LARGE: u64 = 0b1000_0000;
        for (n, table) in self.pages.iter_mut().enumerate() {
            for (page, entry) in table.0.iter_mut().enumerate() {
                let gib = self.first_gib + n as u64;
                *entry = gib << 30 | (page as u64) << 21 | LARGE | DEVICE;
            }
            let entry = table.0.as_ptr() as u64 | 0b11;
            let third_level = (&raw mut THIRD_LEVEL).cast::<u64>();
            // SAFETY: nobody else writes to these two entries; what was not present is in no cache
            // of translations (SDM 3A, 4.10.2.3).
            unsafe {
                third_level.wrapping_add(Self::WINDOW_GIB as usize + n).write_volatile(entry);
            }
        }
    }
}
