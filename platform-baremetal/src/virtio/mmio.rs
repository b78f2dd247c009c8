//! virtio-mmio: the address of a window in, a console's registers out, in both layouts, version 1
//! (legacy) and version 2. Source: VIRTIO 1.2, sections 4.2.2 and 4.2.4 (legacy).

use super::window::Window;
use virtio_console::Rings;
use virtio_console::memory::ALIGNMENT_BYTES;
use virtio_console::queue::Addresses;
use virtio_console::transport::{QueueRefused, Transport};

/// "virt".
const MAGIC: u32 = 0x7472_6976;
/// A console (section 5.3.1).
const DEVICE_CONSOLE: u32 = 3;

const MAGIC_VALUE: usize = 0x00;
const VERSION: usize = 0x04;
const DEVICE_ID: usize = 0x08;
const DEVICE_FEATURES: usize = 0x10;
const DEVICE_FEATURES_SELECT: usize = 0x14;
const DRIVER_FEATURES: usize = 0x20;
const DRIVER_FEATURES_SELECT: usize = 0x24;
const LEGACY_PAGE_BYTES: usize = 0x28;
const QUEUE_SELECT: usize = 0x30;
const QUEUE_SIZE_MAX: usize = 0x34;
const QUEUE_SIZE: usize = 0x38;
const LEGACY_QUEUE_ALIGN: usize = 0x3C;
const LEGACY_QUEUE_PAGE: usize = 0x40;
const QUEUE_READY: usize = 0x44;
const QUEUE_NOTIFY: usize = 0x50;
const INTERRUPT_STATUS: usize = 0x60;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const STATUS: usize = 0x70;
const QUEUE_DESCRIPTORS: usize = 0x80;
const QUEUE_AVAILABLE: usize = 0x90;
const QUEUE_USED: usize = 0xA0;

/// A console behind virtio-mmio.
pub struct Mmio {
    window: Window,
    legacy: bool,
}

impl Mmio {
    /// The console in the window at `base`, if one is there.
    ///
    /// # Safety
    /// As for [`Window::new`], or reading there has no effect; 512 bytes.
    pub unsafe fn probe(base: usize) -> Option<Self> {
        // SAFETY: the caller vouches for it.
        let window = unsafe { Window::new(base) };
        if window.read::<u32>(MAGIC_VALUE) != MAGIC
            || window.read::<u32>(DEVICE_ID) != DEVICE_CONSOLE
        {
            return None;
        }
        let legacy = match window.read::<u32>(VERSION) {
            1 => true,
            2 => false,
            _ => return None,
        };
        Some(Mmio { window, legacy })
    }

    /// Lets go of the interrupt line.
    pub fn acknowledge(&self) {
        let status: u32 = self.window.read(INTERRUPT_STATUS);
        if status != 0 {
            self.window.write(INTERRUPT_ACKNOWLEDGE, status);
        }
    }

    /// Writes an address into a pair of registers, the lower half first.
    fn write_address(&self, register: usize, address: u64) {
        self.window.write(register, address as u32);
        self.window.write(register + 4, (address >> 32) as u32);
    }
}

impl Transport for Mmio {
    fn rings(&self) -> Rings {
        if self.legacy { Rings::Paged } else { Rings::Free }
    }

    fn status(&mut self) -> u8 {
        self.window.read::<u32>(STATUS) as u8
    }

    fn set_status(&mut self, status: u8) {
        self.window.write(STATUS, u32::from(status));
    }

    fn device_features(&mut self) -> u64 {
        [0u32, 1].into_iter().fold(0, |features, half| {
            self.window.write(DEVICE_FEATURES_SELECT, half);
            features | u64::from(self.window.read::<u32>(DEVICE_FEATURES)) << (32 * half)
        })
    }

    fn set_driver_features(&mut self, features: u64) {
        for half in [0u32, 1] {
            self.window.write(DRIVER_FEATURES_SELECT, half);
            self.window.write(DRIVER_FEATURES, (features >> (32 * half)) as u32);
        }
        if self.legacy {
            // Before any queue is used (section 4.2.4).
            self.window.write(LEGACY_PAGE_BYTES, ALIGNMENT_BYTES as u32);
        }
    }

    fn queue_size_max(&mut self, queue: u16) -> u16 {
        self.window.write(QUEUE_SELECT, u32::from(queue));
        u16::try_from(self.window.read::<u32>(QUEUE_SIZE_MAX)).unwrap_or(u16::MAX)
    }

    fn set_queue(&mut self, queue: u16, addresses: &Addresses) -> Result<(), QueueRefused> {
        let window = self.window;
        window.write(QUEUE_SELECT, u32::from(queue));
        window.write(QUEUE_SIZE, u32::from(addresses.size));
        if self.legacy {
            let page = addresses.descriptors / ALIGNMENT_BYTES as u64;
            let page = u32::try_from(page).map_err(|_| QueueRefused)?;
            window.write(LEGACY_QUEUE_ALIGN, ALIGNMENT_BYTES as u32);
            window.write(LEGACY_QUEUE_PAGE, page);
            return Ok(());
        }
        self.write_address(QUEUE_DESCRIPTORS, addresses.descriptors);
        self.write_address(QUEUE_AVAILABLE, addresses.available);
        self.write_address(QUEUE_USED, addresses.used);
        window.write(QUEUE_READY, 1u32);
        match window.read::<u32>(QUEUE_READY) {
            0 => Err(QueueRefused),
            _ => Ok(()),
        }
    }

    fn notify(&mut self, queue: u16) {
        self.window.write(QUEUE_NOTIFY, u32::from(queue));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Registers that do nothing but keep what is written.
    fn registers(magic: u32, version: u32, device: u32) -> usize {
        let words = vec![0u64; 64].leak();
        let base = words.as_mut_ptr() as usize;
        // SAFETY: 512 bytes that live for ever.
        let window = unsafe { Window::new(base) };
        for (offset, value) in [(MAGIC_VALUE, magic), (VERSION, version), (DEVICE_ID, device)] {
            window.write(offset, value);
        }
        base
    }

    #[test]
    fn only_consoles_of_known_versions_are_driven() {
        // SAFETY: see `registers`.
        let probe =
            |magic, version, device| unsafe { Mmio::probe(registers(magic, version, device)) };
        assert!(probe(0, 0, 0).is_none() && probe(MAGIC, 2, 0).is_none());
        assert!(probe(MAGIC, 2, 1).is_none() && probe(MAGIC, 3, DEVICE_CONSOLE).is_none());
        let rings = |version| probe(MAGIC, version, DEVICE_CONSOLE).map(|device| device.rings());
        assert_eq!((rings(1), rings(2)), (Some(Rings::Paged), Some(Rings::Free)));
    }

    #[test]
    fn queues_are_told_as_each_version_wants_it() {
        let base = registers(MAGIC, 1, DEVICE_CONSOLE);
        // SAFETY: see `registers`.
        let (window, mut device) =
            unsafe { (Window::new(base), Mmio::probe(base).expect("legacy")) };
        let place = |address| Addresses { size: 8, descriptors: address, available: 2, used: 4 };
        assert_eq!(device.set_queue(5, &place(0x1234_5000)), Ok(()));
        assert_eq!(window.read::<u32>(LEGACY_QUEUE_PAGE), 0x12345);
        assert_eq!((window.read::<u32>(QUEUE_SELECT), window.read::<u32>(QUEUE_SIZE)), (5, 8));
        assert_eq!(device.set_queue(5, &place(1 << 44)), Err(QueueRefused), "too high");
        let base = registers(MAGIC, 2, DEVICE_CONSOLE);
        // SAFETY: see `registers`.
        let (window, mut device) = unsafe { (Window::new(base), Mmio::probe(base).expect("new")) };
        assert_eq!(device.set_queue(4, &place(0x12_3456_7000)), Ok(()));
        let read = |offset| window.read::<u32>(offset);
        assert_eq!((read(QUEUE_DESCRIPTORS), read(QUEUE_DESCRIPTORS + 4)), (0x3456_7000, 0x12));
        assert_eq!((read(QUEUE_AVAILABLE), read(QUEUE_USED), read(QUEUE_READY)), (2, 4, 1));
        device.notify(4);
        assert_eq!(read(QUEUE_NOTIFY), 4);
    }
}
