//! ACPI, as far as interrupts and power need it: the address of the root pointer in, [`Acpi`] out.
//!
//! No byte code is run; of the DSDT the package `\_S5` alone is looked for. A table that lies about
//! its length or is not there leaves defaults. Source: ACPI 6.4, 5.2.5 (RSDP), 5.2.9 (FADT), 5.2.12
//! (MADT), 4.8.3.7 and 4.8.3.6 (sleep control, reset register), 7.4.2.6 (`\_S5`), 20.2 (encoding).

use super::io_apic::{IO_APICS_MAX, IoApic};
use super::memory::MAPPED_END;
use core::ptr::read_unaligned;

/// Where the first I/O APIC is on every PC, should nobody tell.
const IO_APIC_USUAL: usize = 0xFEC0_0000;
/// Longest table that is believed; the DSDT of q35 has 8 KiB.
const TABLE_BYTES_MAX: u32 = 1 << 20;

/// A register somewhere (ACPI 5.2.3.2, Generic Address Structure).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// At a port.
    Port(u16),
    /// In memory.
    Memory(usize),
}

/// What the tables say.
#[derive(Clone, Copy)]
pub struct Acpi {
    /// The I/O APICs.
    pub io_apics: [IoApic; IO_APICS_MAX],
    /// How many of them the tables list.
    pub io_apics_listed: usize,
    /// PM1a and PM1b control: sleep type and enable (4.8.3.2.1).
    pub pm1_control: [Option<Register>; 2],
    /// Sleep control of a machine without those (4.8.3.7).
    pub sleep_control: Option<Register>,
    /// The sleep type of "soft off" for the two registers of PM1.
    pub off_type: Option<[u8; 2]>,
    /// The reset register, and what to write into it.
    pub reset: Option<(Register, u8)>,
    /// Whether the machine has none of the classic PC's hardware (FADT flag HW_REDUCED_ACPI).
    pub hardware_reduced: bool,
    /// The CMOS register of the century, if there is one.
    pub century: u8,
}

/// A table in memory that is mapped, its length checked.
#[derive(Clone, Copy)]
struct Table {
    address: usize,
    len: usize,
}

impl Acpi {
    /// What is assumed where no table says anything.
    pub const fn unknown() -> Self {
        const NONE: IoApic = IoApic { address: 0, first_line: 0 };
        let first = IoApic { address: IO_APIC_USUAL, first_line: 0 };
        Acpi {
            io_apics: [first, NONE, NONE, NONE],
            io_apics_listed: 0,
            pm1_control: [None; 2],
            sleep_control: None,
            off_type: None,
            reset: None,
            hardware_reduced: false,
            century: 0,
        }
    }

    /// Reads the tables. `root` is the address of the root pointer, 0 if there is none.
    ///
    /// # Safety
    /// `root` comes from the hypervisor, and what lies below [`MAPPED_END`] can be read.
    pub unsafe fn read(root: usize) -> Self {
        let mut acpi = Acpi::unknown();
        let Some(pointer) = Table::new(root as u64, 36) else { return acpi };
        if pointer.bytes(0) != Some(*b"RSD PTR ") {
            return acpi;
        }
        let extended = pointer.number::<1>(15).unwrap_or(0) >= 2;
        let (list, step) = match extended {
            true => (pointer.number::<8>(24), 8),
            false => (pointer.number::<4>(16), 4),
        };
        let Some(list) = list.and_then(Table::at) else { return acpi };
        let mut offset = 36;
        while offset < list.len {
            let address =
                if extended { list.number::<8>(offset) } else { list.number::<4>(offset) };
            if let Some(table) = address.and_then(Table::at) {
                match table.bytes::<4>(0).as_ref() {
                    Some(b"APIC") => acpi.read_madt(&table),
                    Some(b"FACP") => acpi.read_fadt(&table),
                    _ => {}
                }
            }
            offset += step;
        }
        acpi
    }

    fn read_madt(&mut self, madt: &Table) {
        const IO_APIC: u64 = 1;
        let mut offset = 44;
        while let (Some(kind), Some(len @ 2..)) =
            (madt.number::<1>(offset), madt.number::<1>(offset + 1))
        {
            let place = self.io_apics.get_mut(self.io_apics_listed);
            if let (IO_APIC, Some(place)) = (kind, place)
                && let Some(address) = madt.number::<4>(offset + 4)
                && let Some(first_line) = madt.number::<4>(offset + 8)
            {
                *place = IoApic { address: address as usize, first_line: first_line as u32 };
                self.io_apics_listed += 1;
            }
            offset += len as usize;
        }
    }

    fn read_fadt(&mut self, fadt: &Table) {
        const RESET_SUPPORTED: u64 = 1 << 10;
        const HARDWARE_REDUCED: u64 = 1 << 20;
        let flags = fadt.number::<4>(112).unwrap_or(0);
        self.hardware_reduced = flags & HARDWARE_REDUCED != 0;
        self.century = fadt.number::<1>(108).unwrap_or(0) as u8;
        if flags & RESET_SUPPORTED != 0 {
            let value = fadt.number::<1>(128).unwrap_or(0) as u8;
            self.reset = fadt.register(116).map(|register| (register, value));
        }
        if self.hardware_reduced {
            self.sleep_control = fadt.register(244);
        } else {
            let port = |offset| match fadt.number::<4>(offset) {
                Some(port @ 1..=0xFFFF) => Some(Register::Port(port as u16)),
                _ => None,
            };
            self.pm1_control = [port(64), port(68)];
        }
        let wide = fadt.number::<8>(140).filter(|&address| address != 0);
        let dsdt = wide.or(fadt.number::<4>(40)).and_then(Table::at);
        self.off_type = dsdt.and_then(|dsdt| dsdt.off_type());
    }
}

impl Table {
    /// What lies at an address, if that can be a table: below is none, above nothing is mapped.
    fn new(address: u64, len: u32) -> Option<Table> {
        let end = address.checked_add(u64::from(len))?;
        let fits = address >= 0x400 && end <= MAPPED_END;
        fits.then_some(Table { address: address as usize, len: len as usize })
    }

    /// The table at an address, if its header makes sense.
    fn at(address: u64) -> Option<Table> {
        let len = Table::new(address, 36)?.number::<4>(4)? as u32;
        if !(36..=TABLE_BYTES_MAX).contains(&len) {
            return None;
        }
        Table::new(address, len)
    }

    fn bytes<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        if offset.checked_add(N)? > self.len {
            return None;
        }
        // SAFETY: within the table, which is mapped (see `Acpi::read`).
        Some(unsafe { read_unaligned((self.address + offset) as *const [u8; N]) })
    }

    /// The little-endian number of `N` bytes (8 at most) at an offset.
    fn number<const N: usize>(&self, offset: usize) -> Option<u64> {
        let bytes = self.bytes::<N>(offset)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn register(&self, offset: usize) -> Option<Register> {
        let address = self.number::<8>(offset + 4)?;
        match self.number::<1>(offset)? {
            0 if (1..0xFFFF_FFFF).contains(&address) => Some(Register::Memory(address as usize)),
            1 => u16::try_from(address).ok().filter(|&port| port != 0).map(Register::Port),
            _ => None,
        }
    }

    /// The two numbers that the package `\_S5` begins with.
    fn off_type(&self) -> Option<[u8; 2]> {
        const PACKAGE: u64 = 0x12;
        let name = (36..self.len).find(|&at| self.bytes(at) == Some(*b"_S5_"))?;
        let mut at = name + 4;
        if self.number::<1>(at)? != PACKAGE {
            return None;
        }
        // The length has as many bytes more as its first byte's upper two bits say; then the count.
        at += 1 + 1 + (self.number::<1>(at + 1)? >> 6) as usize + 1;
        let mut types = [0; 2];
        for kind in &mut types {
            let (value, len) = match self.number::<1>(at)? {
                number @ 0..=1 => (number, 1),
                0x0A => (self.number::<1>(at + 1)?, 2),
                0x0B => (self.number::<2>(at + 1)?, 3),
                0x0C => (self.number::<4>(at + 1)?, 5),
                _ => return None,
            };
            *kind = (value & 7) as u8;
            at += len;
        }
        Some(types)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_where_nothing_is_mapped() {
        // On a host these addresses are not mapped either: a test that reads there ends.
        assert!(Table::at(0).is_none() && Table::at(0x3FF).is_none());
        for address in [MAPPED_END - 35, MAPPED_END, 1 << 52, u64::MAX - 35, u64::MAX] {
            assert!(Table::at(address).is_none(), "{address:#x}");
            // SAFETY: what is asked for lies above what can be read.
            let acpi = unsafe { Acpi::read(address as usize) };
            assert_eq!(acpi.io_apics_listed, 0);
        }
        // SAFETY: as above.
        assert_eq!(unsafe { Acpi::read(0) }.off_type, None);
    }

    #[test]
    fn a_table_ends_where_memory_ends() {
        let len = |address, len| Table::new(address, len).map(|table| table.len);
        assert_eq!(len(MAPPED_END - 36, 36), Some(36));
        assert_eq!(len(MAPPED_END - 36, 37), None);
        assert_eq!(len(MAPPED_END - (1 << 20), TABLE_BYTES_MAX), Some(1 << 20));
        assert_eq!(len(0x400, 36), Some(36));
    }
}
