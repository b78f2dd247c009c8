//! The memory that driver and device share, as the driver touches it: numbers and bytes at offsets.
//!
//! The logic of this crate never goes outside `0..bytes()` and keeps numbers aligned to their size;
//! an implementation checks all the same, because these are safe functions. Source: VIRTIO 1.2,
//! section 2.7.

use core::sync::atomic::{Ordering, fence};

/// A block of memory that a device can read and write. Its first byte lies at a multiple of
/// [`ALIGNMENT_BYTES`]; the device may change any byte of it at any time, so each method is an
/// access of its own that the compiler may neither repeat nor leave out (a volatile one).
pub trait Memory {
    /// Its length.
    fn bytes(&self) -> usize;

    /// The address of its first byte as the device sees it (the physical address, where no IOMMU
    /// stands between).
    fn device_address(&self) -> u64;

    /// The number at `at`, in the processor's own byte order. Outside of the memory: 0.
    fn read_u16(&self, at: usize) -> u16;

    /// The number at `at`, in the processor's own byte order. Outside of the memory: 0.
    fn read_u32(&self, at: usize) -> u32;

    /// Writes a number in the processor's own byte order. Outside of the memory: nothing.
    fn write_u16(&mut self, at: usize, value: u16);

    /// Writes a number in the processor's own byte order. Outside of the memory: nothing.
    fn write_u32(&mut self, at: usize, value: u32);

    /// Writes a number in the processor's own byte order. Outside of the memory: nothing.
    fn write_u64(&mut self, at: usize, value: u64);

    /// Copies the bytes from `at` on to `to`, all of it. Partly or wholly outside of the memory:
    /// nothing.
    fn copy_out(&self, at: usize, to: &mut [u8]);

    /// Copies `from` to the bytes from `at` on. Partly or wholly outside of the memory: nothing.
    fn copy_in(&mut self, at: usize, from: &[u8]);

    /// Keeps what stands before it before what stands after it, for the device too. The
    /// processor's full barrier is enough for a virtual device (`VIRTIO_F_ORDER_PLATFORM` is never
    /// negotiated, section 6).
    fn barrier(&self) {
        fence(Ordering::SeqCst);
    }
}

/// How the first byte of a [`Memory`] is aligned: a legacy device knows its queue by page number
/// (VIRTIO 1.2, section 2.7.2).
pub const ALIGNMENT_BYTES: usize = 4096;
