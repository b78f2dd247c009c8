//! Where the three parts of a split virtqueue lie in its memory, with the buffers after them.
//!
//! ```text
//!  | descriptors 16*n | available 6+2*n | pad | used 6+8*n | pad | slot 0 | slot 1 | ...
//! ```
//!
//! `pad` before the used ring goes to a page on legacy devices, to 4 bytes otherwise. Source:
//! VIRTIO 1.2, sections 2.7 (sizes, alignments) and 2.7.2 (legacy).

use crate::memory::ALIGNMENT_BYTES;

/// How a transport wants its rings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rings {
    /// Anywhere, of a size that the driver chooses: devices of version 1 and later.
    Free,
    /// In one block by pages, of a size that the driver chooses: legacy virtio-mmio.
    Paged,
    /// In one block by pages, of the size that the device names: legacy virtio-pci.
    PagedGiven,
}

/// Largest queue size there is (section 2.7).
pub const QUEUE_SIZE_MAX: u16 = 32768;

/// The offsets of a queue's parts in its memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Entries of each ring: a power of two.
    pub size: u16,
    /// The available ring. The descriptors lie at 0.
    pub available: usize,
    /// The used ring.
    pub used: usize,
    /// The first buffer.
    pub slots: usize,
}

impl Layout {
    /// The layout of a queue of `size` entries, which is a power of two up to 32768.
    pub const fn new(size: u16, rings: Rings) -> Layout {
        let entries = size as usize;
        let align = match rings {
            Rings::Free => 4,
            Rings::Paged | Rings::PagedGiven => ALIGNMENT_BYTES,
        };
        let available = 16 * entries;
        let used = (available + 6 + 2 * entries).next_multiple_of(align);
        let slots = (used + 6 + 8 * entries).next_multiple_of(SLOT_ALIGNMENT_BYTES);
        Layout { size, available, used, slots }
    }
}

/// Slots begin at a multiple of this, which is the length of a cache line on most processors.
const SLOT_ALIGNMENT_BYTES: usize = 64;

/// The bytes that a queue of at most `size` entries takes on any transport, with `slots` buffers of
/// `slot_bytes` after it: what a caller must give, in whole pages.
pub const fn region_bytes(size: u16, slots: usize, slot_bytes: usize) -> usize {
    let rings = Layout::new(size, Rings::PagedGiven).slots;
    (rings + slots * slot_bytes).next_multiple_of(ALIGNMENT_BYTES)
}
