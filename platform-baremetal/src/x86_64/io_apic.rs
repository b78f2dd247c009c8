//! An I/O APIC: a pin and how it is to be set in, the registers that do so out. Invariant: every
//! line is level-triggered and comes as [`VECTOR_LINE`]. Source: Intel 82093AA, 3.2.

use core::ptr::{read_volatile, write_volatile};

/// The vector of every device's line: who it was is found out by looking at the devices.
pub const VECTOR_LINE: u8 = 0x40;

/// Most I/O APICs that are used; microvm has two, other machines of QEMU one.
pub const IO_APICS_MAX: usize = 4;

/// An I/O APIC: its address, and the number of its first line among all lines.
#[derive(Clone, Copy, Default)]
pub struct IoApic {
    /// Where its registers are.
    pub address: usize,
    /// The global number of its pin 0.
    pub first_line: u32,
}

/// How a pin of an I/O APIC is set: always level-triggered, so that no interrupt is ever lost.
#[derive(Clone, Copy)]
pub enum Pin {
    /// Off.
    Off,
    /// On, and raised while it is high.
    ActiveHigh,
    /// On, and raised while it is low.
    ActiveLow,
}

impl IoApic {
    /// How many pins it has; none if it is not there.
    pub fn pins(&self) -> u32 {
        match (self.address, self.read_register(1)) {
            (0, _) | (_, 0 | u32::MAX) => 0,
            (_, version) => (version >> 16 & 0xFF) + 1,
        }
    }

    /// Sets a pin.
    pub fn write(&self, pin: u32, kind: Pin) {
        const LEVEL: u32 = 1 << 15;
        let low = match kind {
            Pin::Off => 1 << 16,
            Pin::ActiveHigh => LEVEL | u32::from(VECTOR_LINE),
            Pin::ActiveLow => LEVEL | 1 << 13 | u32::from(VECTOR_LINE),
        };
        // To the processor with the local APIC 0: the one that the firmware starts.
        self.write_register(0x11 + 2 * pin, 0);
        self.write_register(0x10 + 2 * pin, low);
    }

    fn read_register(&self, register: u32) -> u32 {
        if self.address == 0 {
            return 0;
        }
        // SAFETY: the registers of an I/O APIC, named by ACPI.
        unsafe {
            write_volatile(self.address as *mut u32, register);
            read_volatile((self.address + 0x10) as *const u32)
        }
    }

    fn write_register(&self, register: u32, value: u32) {
        // SAFETY: as above; `pins` was not 0.
        unsafe {
            write_volatile(self.address as *mut u32, register);
            write_volatile((self.address + 0x10) as *mut u32, value);
        }
    }
}
