//! PCI: consoles on the buses that the firmware has numbered, out of configuration space through
//! its two ports.
//!
//! A console of version 1 is driven by its capabilities, one that has none by its legacy ports.
//! Interrupts come by line: one way for all of them, and no table of vectors. Source: PCI 3.0,
//! 3.2.2.3.2 (the ports), 6.1 (header), 6.2.5.1 (base addresses); PCI-to-PCI bridge 1.2, 3.2.5 (bus
//! numbers); VIRTIO 1.2, sections 4.1.2 (ids) and 4.1.4 (capabilities).

use super::legacy::Legacy;
use super::modern::{Modern, Place, Structures};
use crate::arch::io;

const ADDRESS_PORT: u16 = 0xCF8;
const DATA_PORT: u16 = 0xCFC;

const VENDOR: u8 = 0x00;
const COMMAND: u8 = 0x04;
const HEADER: u8 = 0x0C;
const BASE_ADDRESSES: u8 = 0x10;
const BUSES: u8 = 0x18;
const CAPABILITIES: u8 = 0x34;

/// A console as `vendor | device << 16`: transitional, and of version 1 only.
const CONSOLES: [u32; 2] = [0x1003_1AF4, 0x1043_1AF4];
/// No function is there.
const ABSENT: u32 = 0xFFFF_FFFF;

const DEVICES_PER_BUS: u8 = 32;
const FUNCTIONS_PER_DEVICE: u8 = 8;
/// Most capabilities that fit into the 192 bytes after the header: a longer list goes in a circle.
const CAPABILITIES_MAX: usize = 48;

/// Capability of a vendor's own; virtio's are of this kind.
const CAPABILITY_VENDOR: u8 = 0x09;

/// One function of one device on one bus.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// `bus << 16 | device << 11 | function << 8`.
    address: u32,
}

/// How a console on PCI is driven.
pub enum Console {
    /// By its capabilities.
    Modern(Modern),
    /// By its ports.
    Legacy(Legacy),
}

impl Function {
    fn read(self, register: u8) -> u32 {
        // SAFETY: the ports of the host bridge. Reading configuration space has no effect.
        unsafe {
            io::write32(ADDRESS_PORT, 1 << 31 | self.address | u32::from(register & 0xFC));
            io::read32(DATA_PORT)
        }
    }

    fn write(self, register: u8, value: u32) {
        // SAFETY: as above; only the command register of a console is written.
        unsafe {
            io::write32(ADDRESS_PORT, 1 << 31 | self.address | u32::from(register & 0xFC));
            io::write32(DATA_PORT, value);
        }
    }

    fn byte(self, register: u8) -> u8 {
        (self.read(register) >> (8 * (register & 3))) as u8
    }

    /// Takes the console over: it may access memory and raise its line.
    pub fn console(self) -> Option<Console> {
        const PORTS_MEMORY_MASTER: u32 = 0b111;
        const NO_LINE: u32 = 1 << 10;
        // Writing zeroes to the status in the upper half clears nothing.
        let command = self.read(COMMAND) & 0xFFFF & !NO_LINE | PORTS_MEMORY_MASTER;
        self.write(COMMAND, command);
        if let Some(modern) = self.structures().and_then(Modern::new) {
            return Some(Console::Modern(modern));
        }
        let ports = self.read(BASE_ADDRESSES);
        let port = u16::try_from(ports & !3).ok().filter(|&port| ports & 1 == 1 && port != 0)?;
        // SAFETY: the ports that the firmware gave to this console, which is ours.
        Some(Console::Legacy(unsafe { Legacy::new(port) }))
    }

    /// Finds the four structures of a device of version 1 (section 4.1.4).
    fn structures(self) -> Option<Structures> {
        let mut found = [None; 3];
        let mut multiplier = 0;
        let mut at = self.byte(CAPABILITIES) & 0xFC;
        for _ in 0..CAPABILITIES_MAX {
            if at == 0 {
                break;
            }
            let [kind, next, _, structure] = self.read(at).to_le_bytes();
            if kind == CAPABILITY_VENDOR {
                let [bar, ..] = self.read(at.wrapping_add(4)).to_le_bytes();
                let place = self.base_address(bar).map(|base| Place {
                    base,
                    offset: self.read(at.wrapping_add(8)),
                    bytes: self.read(at.wrapping_add(12)),
                });
                // Of several of a kind the first that can be used is the preferred one.
                if let Some(found) = found.get_mut(usize::from(structure).wrapping_sub(1))
                    && found.is_none()
                    && place.is_some()
                {
                    *found = place;
                    if structure == Structures::NOTIFY {
                        multiplier = self.read(at.wrapping_add(16));
                    }
                }
            }
            at = next & 0xFC;
        }
        let [Some(common), Some(notify), Some(interrupt)] = found else { return None };
        Some(Structures { common, notify, interrupt, multiplier })
    }

    /// The memory behind a base address register; nothing where there are ports or where nothing
    /// was assigned.
    fn base_address(self, bar: u8) -> Option<u64> {
        if bar > 5 {
            return None;
        }
        let register = BASE_ADDRESSES + 4 * bar;
        let low = self.read(register);
        let high = match low & 0b111 {
            0b000 => 0,
            0b100 if bar < 5 => self.read(register + 4),
            _ => return None,
        };
        let base = u64::from(high) << 32 | u64::from(low & !15);
        (base != 0).then_some(base)
    }
}

/// All consoles, in the order of their addresses.
pub fn consoles() -> impl Iterator<Item = Function> {
    functions().filter(|function| CONSOLES.contains(&function.read(VENDOR)))
}

/// All functions on bus 0 and on the buses behind bridges, which the firmware has numbered.
fn functions() -> impl Iterator<Item = Function> {
    let mut last_bus = 0;
    let mut next = (0u8, 0u8, 0u8);
    core::iter::from_fn(move || {
        loop {
            let (bus, device, number) = next;
            if bus > last_bus || device >= DEVICES_PER_BUS {
                return None;
            }
            let (bus_bits, device_bits) = (u32::from(bus) << 16, u32::from(device) << 11);
            let function = Function { address: bus_bits | device_bits | u32::from(number) << 8 };
            let present = function.read(VENDOR) != ABSENT;
            let [_, _, header, _] =
                if present { function.read(HEADER).to_le_bytes() } else { [0; 4] };
            if present && header & 0x7F == 1 {
                let [_, secondary, _, _] = function.read(BUSES).to_le_bytes();
                last_bus = last_bus.max(secondary);
            }
            // Functions other than 0 are looked for only where function 0 says that there may be
            // some.
            let more = number != 0 || present && header & 0x80 != 0;
            next = match (number + 1, device + 1) {
                (number, _) if more && number < FUNCTIONS_PER_DEVICE => (bus, device, number),
                (_, device) if device < DEVICES_PER_BUS => (bus, device, 0),
                _ if bus < last_bus => (bus + 1, 0, 0),
                _ => (bus, DEVICES_PER_BUS, 0),
            };
            if present {
                return Some(function);
            }
        }
    })
}
