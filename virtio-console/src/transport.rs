//! What a virtio transport offers, and the initialisation of a device that is the same over all of
//! them.
//!
//! A transport is register access: no method waits, none decides. Source: VIRTIO 1.2, sections 2.1
//! (status), 3.1 (initialisation), 4.1 (PCI) and 4.2 (MMIO).

use crate::error::Error;
use crate::layout::Rings;
use crate::memory::Memory;
use crate::queue::{Addresses, Queue};

/// The registers of one device.
pub trait Transport {
    /// How it wants its queues: [`Rings::Free`] says that it is no legacy device.
    fn rings(&self) -> Rings;

    /// The device's status, as in [`status`].
    fn status(&mut self) -> u8;

    /// Sets it; 0 resets the device.
    fn set_status(&mut self, status: u8);

    /// The features that the device offers; a legacy device has 32 of them.
    fn device_features(&mut self) -> u64;

    /// The features that the driver takes, a subset of them.
    fn set_driver_features(&mut self, features: u64);

    /// The largest size of a queue, or the only one where the device insists on it. 0: there is no
    /// such queue.
    fn queue_size_max(&mut self, queue: u16) -> u16;

    /// Tells the device where a queue is, has it interrupt the processor for it, and enables it.
    /// Errors: an address that the registers cannot hold, or an interrupt that the device refuses.
    fn set_queue(&mut self, queue: u16, addresses: &Addresses) -> Result<(), QueueRefused>;

    /// Tells the device that something was posted on a queue.
    fn notify(&mut self, queue: u16);

    /// Called when there is nothing to do until the device acts: returns after an interrupt that
    /// came since the last call, at the latest. A kernel that runs with interrupts masked halts
    /// here with them open, so that none is missed between looking and halting. Doing nothing is
    /// correct too: it polls.
    fn wait(&mut self) {
        core::hint::spin_loop();
    }
}

/// See [`Transport::set_queue`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueRefused;

/// Bits of the device's status (section 2.1).
pub mod status {
    /// The driver has seen the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// It knows how to drive it.
    pub const DRIVER: u8 = 2;
    /// It is ready.
    pub const DRIVER_OK: u8 = 4;
    /// The features are agreed on.
    pub const FEATURES_OK: u8 = 8;
    /// The driver has given up.
    pub const FAILED: u8 = 128;
}

/// `VIRTIO_F_VERSION_1` (section 6).
pub const VERSION_1: u64 = 1 << 32;

/// How often the status is read until a reset is over. A device that needs longer does not exist
/// among the virtual ones, where a read alone takes longer than the reset.
pub const RESET_READS_MAX: u32 = 100_000;

/// Resets the device and agrees on features: `wanted`, as far as they are offered. Returns those,
/// and leaves the device ready for its queues (section 3.1.1, steps 1 to 6).
pub fn negotiate(transport: &mut impl Transport, wanted: u64) -> Result<u64, Error> {
    transport.set_status(0);
    if (0..RESET_READS_MAX).all(|_| transport.status() != 0) {
        return Err(Error::Reset);
    }
    let mut reached = status::ACKNOWLEDGE;
    transport.set_status(reached);
    reached |= status::DRIVER;
    transport.set_status(reached);
    let offered = transport.device_features();
    if transport.rings() != Rings::Free {
        // FEATURES_OK came with version 1 (section 3.1.2).
        let features = offered & wanted & u64::from(u32::MAX);
        transport.set_driver_features(features);
        return Ok(features);
    }
    if offered & VERSION_1 == 0 {
        return Err(Error::Version);
    }
    let features = offered & (wanted | VERSION_1);
    transport.set_driver_features(features);
    reached |= status::FEATURES_OK;
    transport.set_status(reached);
    match transport.status() & status::FEATURES_OK {
        0 => Err(Error::Features),
        _ => Ok(features),
    }
}

/// Lays a queue out and tells the device of it (step 7).
pub fn set_up<M: Memory>(
    transport: &mut impl Transport,
    queue: u16,
    memory: &mut Queue<M>,
) -> Result<(), Error> {
    let size_max = transport.queue_size_max(queue);
    if size_max == 0 {
        return Err(Error::NoQueue(queue));
    }
    let addresses = memory
        .configure(size_max, transport.rings())
        .map_err(|small| Error::TooSmall { queue, wanted_bytes: small.wanted_bytes })?;
    transport.set_queue(queue, &addresses).map_err(|QueueRefused| Error::QueueRefused(queue))
}

/// The device may begin (step 8).
pub fn start(transport: &mut impl Transport) {
    let reached = transport.status();
    transport.set_status(reached | status::DRIVER_OK);
}

/// The driver gives the device up.
pub fn give_up(transport: &mut impl Transport) {
    let reached = transport.status();
    transport.set_status(reached | status::FAILED);
}
