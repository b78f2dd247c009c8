//! A console device as data, for tests: memory that both sides see, registers, ports with clients.
//!
//! It behaves as QEMU's does where the specification leaves it open (a message for which there is
//! no buffer is lost, bytes for nobody are taken and dropped, a buffer whose bytes a client did not
//! take when it went never comes back), and it holds the driver to the rules: whatever a driver
//! must not do is a panic.

#![allow(dead_code)] // Each test file uses a part of it.

mod device;
mod memory;

pub use device::SimDevice;
pub use memory::{Block, Random};

use std::cell::RefCell;
use std::rc::Rc;
use virtio_console::queue::Addresses;
use virtio_console::regions::{
    CONTROL_RECEIVE_BYTES, CONTROL_TRANSMIT_BYTES, RECEIVE_BYTES, Regions, TRANSMIT_BYTES,
};
use virtio_console::transport::{QueueRefused, Transport};
use virtio_console::{Console, Rings};

/// The name that the tests look for.
pub const NAME: &[u8] = b"org.qemu.guest_agent.0";

/// The driver's end of the registers.
#[derive(Clone)]
pub struct Registers {
    pub device: Rc<RefCell<SimDevice>>,
    pub rings: Rings,
    /// What happens while the driver waits; nothing left is a driver that waits for ever.
    pub meanwhile: Rc<RefCell<Vec<Meanwhile>>>,
}

/// Something that happens while the driver waits.
pub type Meanwhile = Box<dyn FnOnce(&mut SimDevice)>;

impl Registers {
    pub fn new(rings: Rings) -> Self {
        let device = Rc::new(RefCell::new(SimDevice::new(rings)));
        Registers { device, rings, meanwhile: Rc::default() }
    }

    /// Four blocks of memory of the usual size.
    pub fn regions(&self) -> Regions<Block> {
        let block = |bytes| Block::new(&self.device, bytes);
        Regions {
            control_receive: block(CONTROL_RECEIVE_BYTES),
            control_transmit: block(CONTROL_TRANSMIT_BYTES),
            receive: block(RECEIVE_BYTES),
            transmit: block(TRANSMIT_BYTES),
        }
    }

    pub fn console(&self) -> Console<'static, Registers, Block> {
        Console::new(self.clone(), self.regions(), NAME)
    }

    pub fn with<R>(&self, run: impl FnOnce(&mut SimDevice) -> R) -> R {
        run(&mut self.device.borrow_mut())
    }
}

impl Transport for Registers {
    fn rings(&self) -> Rings {
        self.rings
    }

    fn status(&mut self) -> u8 {
        self.with(|device| device.status)
    }

    fn set_status(&mut self, status: u8) {
        self.with(|device| device.set_status(status));
    }

    fn device_features(&mut self) -> u64 {
        self.with(|device| device.features)
    }

    fn set_driver_features(&mut self, features: u64) {
        self.with(|device| device.set_driver_features(features));
    }

    fn queue_size_max(&mut self, queue: u16) -> u16 {
        self.with(|device| device.queue_size_max(queue))
    }

    fn set_queue(&mut self, queue: u16, addresses: &Addresses) -> Result<(), QueueRefused> {
        self.with(|device| device.set_queue(queue, *addresses))
    }

    fn notify(&mut self, queue: u16) {
        self.with(|device| device.notify(queue));
    }

    fn wait(&mut self) {
        let mut meanwhile = self.meanwhile.borrow_mut();
        assert!(!meanwhile.is_empty(), "the driver waits for ever");
        let next = meanwhile.remove(0);
        self.with(next);
    }
}
