//! A console behind any of the transports that the machine has: one value for all of them.

use super::mmio::Mmio;
#[cfg(target_arch = "x86_64")]
use super::{legacy::Legacy, modern::Modern, pci};
use crate::arch::{self, Machine};
use virtio_console::Rings;
use virtio_console::queue::Addresses;
use virtio_console::transport::{QueueRefused, Transport};

/// A console device.
pub enum Device {
    /// Behind virtio-mmio.
    Mmio(Mmio),
    /// Behind virtio-pci of version 1.
    #[cfg(target_arch = "x86_64")]
    Modern(Modern),
    /// Behind virtio-pci's ports.
    #[cfg(target_arch = "x86_64")]
    Legacy(Legacy),
}

/// Calls a method of whichever it is.
macro_rules! each {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            Device::Mmio(device) => device.$method($($argument),*),
            #[cfg(target_arch = "x86_64")]
            Device::Modern(device) => device.$method($($argument),*),
            #[cfg(target_arch = "x86_64")]
            Device::Legacy(device) => device.$method($($argument),*),
        }
    };
}

/// All consoles of the machine, their interrupt lines open.
pub fn devices(machine: &Machine) -> impl Iterator<Item = Device> + use<> {
    let mmio = machine.virtio_mmio().filter_map(|(base, line)| {
        // SAFETY: the machine's own windows; without a device reading finds zeroes.
        let device = unsafe { Mmio::probe(base) }?;
        arch::interrupts::enable(line);
        Some(Device::Mmio(device))
    });
    #[cfg(target_arch = "x86_64")]
    let all = mmio.chain(pci::consoles().filter_map(|function| {
        let device = function.console()?;
        arch::interrupts::enable_pci();
        Some(match device {
            pci::Console::Modern(device) => Device::Modern(device),
            pci::Console::Legacy(device) => Device::Legacy(device),
        })
    }));
    #[cfg(not(target_arch = "x86_64"))]
    let all = mmio;
    all
}

impl Device {
    /// Lets go of the interrupt line, until the next time.
    pub fn acknowledge(&self) {
        each!(self.acknowledge())
    }
}

impl Transport for Device {
    fn rings(&self) -> Rings {
        each!(self.rings())
    }

    fn status(&mut self) -> u8 {
        each!(self.status())
    }

    fn set_status(&mut self, status: u8) {
        each!(self.set_status(status))
    }

    fn device_features(&mut self) -> u64 {
        each!(self.device_features())
    }

    fn set_driver_features(&mut self, features: u64) {
        each!(self.set_driver_features(features))
    }

    fn queue_size_max(&mut self, queue: u16) -> u16 {
        each!(self.queue_size_max(queue))
    }

    fn set_queue(&mut self, queue: u16, addresses: &Addresses) -> Result<(), QueueRefused> {
        each!(self.set_queue(queue, addresses))
    }

    fn notify(&mut self, queue: u16) {
        each!(self.notify(queue))
    }

    /// The line is let go of after the sleep, and whoever called looks again then. The other way
    /// round what happens between looking and letting go would end no sleep.
    fn wait(&mut self) {
        arch::sleep();
        self.acknowledge();
    }
}
