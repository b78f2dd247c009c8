//! A device's registers in memory: offsets in, numbers in and out, each access once and in order.
//!
//! Virtio's registers are little-endian, as is every processor that this guest runs on (VIRTIO 1.2,
//! sections 4.1.3.1 and 4.2.2.2).

use core::ptr::{read_volatile, write_volatile};

/// What a register can hold: a number, of which every pattern of bits is one.
pub trait Number: Copy + sealed::Sealed {}

impl Number for u8 {}
impl Number for u16 {}
impl Number for u32 {}

/// Keeps other types from becoming a [`Number`].
mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
    impl Sealed for u32 {}
}

/// A device's registers, from an address on.
#[derive(Clone, Copy)]
pub struct Window {
    base: usize,
}

impl Window {
    /// # Safety
    /// From `base` on, aligned to 8 bytes, registers of a device are mapped, uncached, as far as
    /// offsets will be used; the device is driven by the caller alone.
    pub unsafe fn new(base: usize) -> Self {
        Window { base }
    }

    /// The register at `offset`, which is a multiple of the size of `V`.
    pub fn read<V: Number>(self, offset: usize) -> V {
        // SAFETY: `new`'s caller vouches for the address; registers are numbers of any value.
        unsafe { read_volatile((self.base + offset) as *const V) }
    }

    /// Writes the register at `offset`, which is a multiple of the size of `V`.
    pub fn write<V: Number>(self, offset: usize, value: V) {
        // SAFETY: as in `read`; what the device does then is in its specification, and memory that
        // it writes is only that of its queues.
        unsafe { write_volatile((self.base + offset) as *mut V, value) }
    }
}
