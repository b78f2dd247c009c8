//! The memory of a console: how many buffers of which size each queue has, and why. Its descriptors
//! and rings are in front of the buffers (`layout.rs`). Source: VIRTIO 1.2, sections 2.7 and 5.3.2.

use crate::control::{MESSAGE_BYTES, NAME_BYTES_MAX};
use crate::layout::region_bytes;

/// Bytes of a control buffer: a message and the longest name that can be wanted, and some, so that
/// a longer name is seen to be longer.
pub(crate) const CONTROL_SLOT_BYTES: usize = 144;
const _: () = assert!(CONTROL_SLOT_BYTES > MESSAGE_BYTES + NAME_BYTES_MAX + 1);

/// Control buffers for the device. QEMU loses a message for which there is none, and adds up to 31
/// ports in one go.
pub(crate) const CONTROL_SLOTS: u16 = 32;

/// Most messages that a device sends on one of the driver's: PORT_READY brings CONSOLE_PORT,
/// PORT_NAME, PORT_OPEN. Messages on their way to the device are at most a fourth of the buffers
/// for its answers, so none of these is lost.
pub(crate) const ANSWERS_MAX: u16 = 4;

/// Bytes of a buffer in which bytes come: more than QEMU takes from a client in one go (4096), so
/// that a buffer is never full and its end is where QEMU's taking ended, see
/// [`crate::port::Port::end_between`].
pub(crate) const RECEIVE_SLOT_BYTES: usize = 4096 + 64;

/// Bytes of a buffer in which bytes go: a whole window of a small agent.
pub(crate) const TRANSMIT_SLOT_BYTES: usize = 4096;

/// Memory for four queues, each aligned as [`crate::memory::Memory`] says. Sizes are those for
/// which every transport of QEMU has room; more memory means more buffers, less is an
/// [`crate::Error::TooSmall`] at worst.
pub struct Regions<M> {
    /// [`CONTROL_RECEIVE_BYTES`].
    pub control_receive: M,
    /// [`CONTROL_TRANSMIT_BYTES`].
    pub control_transmit: M,
    /// [`RECEIVE_BYTES`].
    pub receive: M,
    /// [`TRANSMIT_BYTES`].
    pub transmit: M,
}

/// Memory for control messages of the device: queues of up to 64 entries (QEMU: 32).
pub const CONTROL_RECEIVE_BYTES: usize =
    region_bytes(64, CONTROL_SLOTS as usize, CONTROL_SLOT_BYTES);
/// Memory for control messages of the driver.
pub const CONTROL_TRANSMIT_BYTES: usize =
    region_bytes(64, (CONTROL_SLOTS / ANSWERS_MAX) as usize, MESSAGE_BYTES);
/// Memory for bytes that come: queues of 128 entries, which is what QEMU has for ports.
pub const RECEIVE_BYTES: usize = region_bytes(128, 4, RECEIVE_SLOT_BYTES);
/// Memory for bytes that go.
pub const TRANSMIT_BYTES: usize = region_bytes(128, 2, TRANSMIT_SLOT_BYTES);
