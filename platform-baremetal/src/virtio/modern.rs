//! virtio-pci of version 1 and later: where its structures are in, a console's registers out.
//! Source: VIRTIO 1.2, sections 4.1.4.3 (common configuration), 4.1.4.4 (notification), 4.1.4.5
//! (interrupt status).

use super::window::Window;
use crate::arch::map_device;
use virtio_console::Rings;
use virtio_console::queue::Addresses;
use virtio_console::transport::{QueueRefused, Transport};

const DEVICE_FEATURE_SELECT: usize = 0;
const DEVICE_FEATURE: usize = 4;
const DRIVER_FEATURE_SELECT: usize = 8;
const DRIVER_FEATURE: usize = 12;
const STATUS: usize = 20;
const QUEUE_SELECT: usize = 22;
const QUEUE_SIZE: usize = 24;
const QUEUE_ENABLE: usize = 28;
const QUEUE_NOTIFY_OFFSET: usize = 30;
const QUEUE_DESCRIPTORS: usize = 32;
const QUEUE_AVAILABLE: usize = 40;
const QUEUE_USED: usize = 48;
/// Bytes of the common configuration that are used.
const COMMON_BYTES: u32 = 56;

/// Where a structure lies.
#[derive(Clone, Copy)]
pub struct Place {
    /// The memory that the firmware gave to the device.
    pub base: u64,
    /// From there on.
    pub offset: u32,
    /// Its length.
    pub bytes: u32,
}

/// The structures of a device.
pub struct Structures {
    /// Kind 1.
    pub common: Place,
    /// Kind 2.
    pub notify: Place,
    /// Kind 3.
    pub interrupt: Place,
    /// How far apart the notification registers of queues are.
    pub multiplier: u32,
}

impl Structures {
    /// The kind of the notification structure.
    pub const NOTIFY: u8 = 2;
}

/// A console behind memory.
pub struct Modern {
    common: Window,
    notify: Window,
    interrupt: Window,
    notify_bytes: u32,
    multiplier: u32,
    /// Where in `notify` queues are notified, by their number's place in `queues`.
    offsets: [(u16, usize); QUEUES],
    set: usize,
}

/// Queues that a console uses: two for control, two for a port.
const QUEUES: usize = 4;

impl Modern {
    /// Drives the device with these structures; nothing where they cannot be reached or are too
    /// short.
    pub fn new(places: Structures) -> Option<Self> {
        let Structures { common, notify, interrupt, multiplier } = places;
        if common.bytes < COMMON_BYTES || notify.bytes < 2 || interrupt.bytes < 1 {
            return None;
        }
        Some(Modern {
            common: window(common)?,
            notify: window(notify)?,
            interrupt: window(interrupt)?,
            notify_bytes: notify.bytes,
            multiplier,
            offsets: [(0, 0); QUEUES],
            set: 0,
        })
    }

    /// Lets go of the interrupt line, which reading the register does.
    pub fn acknowledge(&self) {
        self.interrupt.read::<u8>(0);
    }

    /// Writes an address as two halves, which every device takes (section 4.1.3.1).
    fn write_address(&self, register: usize, address: u64) {
        self.common.write(register, address as u32);
        self.common.write(register + 4, (address >> 32) as u32);
    }
}

/// The registers of a structure.
fn window(place: Place) -> Option<Window> {
    let first = place.base.checked_add(u64::from(place.offset))?;
    let last = first.checked_add(u64::from(place.bytes))?;
    let (first, last) = (map_device(first)?, map_device(last)?);
    if !first.is_multiple_of(4) || last - first != place.bytes as usize {
        return None;
    }
    // SAFETY: memory of the device, by its base address register, mapped in one piece; this is its
    // only driver.
    Some(unsafe { Window::new(first) })
}

impl Transport for Modern {
    fn rings(&self) -> Rings {
        Rings::Free
    }

    fn status(&mut self) -> u8 {
        self.common.read(STATUS)
    }

    fn set_status(&mut self, status: u8) {
        if status == 0 {
            self.set = 0;
        }
        self.common.write(STATUS, status);
    }

    fn device_features(&mut self) -> u64 {
        [0u32, 1].into_iter().fold(0, |features, half| {
            self.common.write(DEVICE_FEATURE_SELECT, half);
            features | u64::from(self.common.read::<u32>(DEVICE_FEATURE)) << (32 * half)
        })
    }

    fn set_driver_features(&mut self, features: u64) {
        for half in [0u32, 1] {
            self.common.write(DRIVER_FEATURE_SELECT, half);
            self.common.write(DRIVER_FEATURE, (features >> (32 * half)) as u32);
        }
    }

    fn queue_size_max(&mut self, queue: u16) -> u16 {
        self.common.write(QUEUE_SELECT, queue);
        self.common.read(QUEUE_SIZE)
    }

    fn set_queue(&mut self, queue: u16, addresses: &Addresses) -> Result<(), QueueRefused> {
        self.common.write(QUEUE_SELECT, queue);
        let number: u16 = self.common.read(QUEUE_NOTIFY_OFFSET);
        let offset = u64::from(number) * u64::from(self.multiplier);
        if offset + 2 > u64::from(self.notify_bytes) || !offset.is_multiple_of(2) {
            return Err(QueueRefused);
        }
        let place = self.offsets.get_mut(self.set).ok_or(QueueRefused)?;
        *place = (queue, offset as usize);
        self.set += 1;
        self.common.write(QUEUE_SIZE, addresses.size);
        self.write_address(QUEUE_DESCRIPTORS, addresses.descriptors);
        self.write_address(QUEUE_AVAILABLE, addresses.available);
        self.write_address(QUEUE_USED, addresses.used);
        self.common.write(QUEUE_ENABLE, 1u16);
        match self.common.read::<u16>(QUEUE_ENABLE) {
            0 => Err(QueueRefused),
            _ => Ok(()),
        }
    }

    fn notify(&mut self, queue: u16) {
        let set = self.offsets.get(..self.set).unwrap_or_default();
        if let Some(&(_, offset)) = set.iter().find(|&&(number, _)| number == queue) {
            self.notify.write(offset, queue);
        }
    }
}
