//! virtio-pci's legacy interface: the first of its ports in, a console's registers out. Source:
//! VIRTIO 1.2, section 4.1.4.10.

use crate::arch::io;
use virtio_console::Rings;
use virtio_console::memory::ALIGNMENT_BYTES;
use virtio_console::queue::Addresses;
use virtio_console::transport::{QueueRefused, Transport};

const DEVICE_FEATURES: u16 = 0;
const DRIVER_FEATURES: u16 = 4;
const QUEUE_PAGE: u16 = 8;
const QUEUE_SIZE: u16 = 12;
const QUEUE_SELECT: u16 = 14;
const QUEUE_NOTIFY: u16 = 16;
const STATUS: u16 = 18;
const INTERRUPT_STATUS: u16 = 19;

/// A console behind ports.
pub struct Legacy {
    port: u16,
}

impl Legacy {
    /// # Safety
    /// From `port` on there are the ports of a virtio-pci device that the caller alone drives.
    pub unsafe fn new(port: u16) -> Self {
        Legacy { port }
    }

    fn at(&self, register: u16) -> u16 {
        self.port.wrapping_add(register)
    }

    /// Lets go of the interrupt line, which reading the register does (section 4.1.4.5).
    pub fn acknowledge(&self) {
        // SAFETY: all ports here are the device's own, by `new`, and do what its specification
        // says.
        unsafe { io::read8(self.at(INTERRUPT_STATUS)) };
    }
}

impl Transport for Legacy {
    fn rings(&self) -> Rings {
        Rings::PagedGiven
    }

    fn status(&mut self) -> u8 {
        // SAFETY: as in `acknowledge`.
        unsafe { io::read8(self.at(STATUS)) }
    }

    fn set_status(&mut self, status: u8) {
        // SAFETY: as in `acknowledge`.
        unsafe { io::write8(self.at(STATUS), status) }
    }

    fn device_features(&mut self) -> u64 {
        // SAFETY: as in `acknowledge`.
        u64::from(unsafe { io::read32(self.at(DEVICE_FEATURES)) })
    }

    fn set_driver_features(&mut self, features: u64) {
        // SAFETY: as in `acknowledge`.
        unsafe { io::write32(self.at(DRIVER_FEATURES), features as u32) }
    }

    fn queue_size_max(&mut self, queue: u16) -> u16 {
        // SAFETY: as in `acknowledge`.
        unsafe {
            io::write16(self.at(QUEUE_SELECT), queue);
            io::read16(self.at(QUEUE_SIZE))
        }
    }

    fn set_queue(&mut self, queue: u16, addresses: &Addresses) -> Result<(), QueueRefused> {
        let page = addresses.descriptors / ALIGNMENT_BYTES as u64;
        let page = u32::try_from(page).map_err(|_| QueueRefused)?;
        // SAFETY: as in `acknowledge`; the page is that of the queue's own memory.
        unsafe {
            io::write16(self.at(QUEUE_SELECT), queue);
            io::write32(self.at(QUEUE_PAGE), page);
        }
        Ok(())
    }

    fn notify(&mut self, queue: u16) {
        // SAFETY: as in `acknowledge`.
        unsafe { io::write16(self.at(QUEUE_NOTIFY), queue) }
    }
}
