//! The x86-64 machine: a PC as QEMU builds it (q35, pc, microvm). The start information of PVH in;
//! clocks, serial lines, interrupts and power out, under the names that `crate::arch` has on every
//! architecture.

pub mod acpi;
#[cfg(not(test))]
mod boot;
mod clock;
pub mod interrupts;
pub mod io;
pub mod power;
pub mod uart;

use crate::files::archive;
use crate::single::Single;
use acpi::Acpi;
use clock::Clocks;
use core::ffi::CStr;
use core::ptr::read_unaligned;
pub use interrupts::sleep;
use qga_core::Errno;
pub use uart::{QUEUE_BYTES as UART_QUEUE_BYTES, Uart};

/// What the machine is made of.
pub struct Machine {
    acpi: Acpi,
    clocks: Clocks,
    /// The words that the hypervisor hands over (`-append`).
    pub command_line: &'static [u8],
    /// The file that it hands over (`-initrd`), empty if there is none; why it was dropped if it
    /// cannot be one.
    pub archive: Result<&'static [u8], Errno>,
}

/// Where the memory ends that boot.rs has mapped one to one.
const MAPPED_END: u64 = 1 << 32;

/// Where microvm puts its virtio-mmio windows, and how far apart (QEMU,
/// docs/system/i386/microvm.rst).
const VIRTIO_MMIO: usize = 0xFEB0_0000;
const VIRTIO_MMIO_STEP: usize = 512;

/// Longest command line that is looked at.
const COMMAND_LINE_BYTES_MAX: usize = 4096;

/// Says the last words of a guest that cannot go on, on the first serial line.
pub fn last_words(text: &str, words: &[u64]) {
    let Some(uart) = Uart::find(0) else { return };
    crate::words::write(text, words, |byte| uart.send_waiting(byte));
}

impl Machine {
    /// Takes the machine over: interrupts, tables, clocks.
    ///
    /// # Safety
    /// `start` is what the hypervisor handed over, and nothing was taken over before.
    pub unsafe fn take_over(start: usize) -> Machine {
        /// `struct hvm_start_info` (Xen, public/arch-x86/hvm/start_info.h): its magic number.
        const MAGIC: u32 = 0x336E_C578;
        // SAFETY: the structure has these fields at these places, and lies in mapped memory.
        let (magic, modules, list, command_line, root) = unsafe {
            (
                read_unaligned(start as *const u32),
                read_unaligned((start + 12) as *const u32),
                read_unaligned((start + 16) as *const usize),
                read_unaligned((start + 24) as *const usize),
                read_unaligned((start + 32) as *const usize),
            )
        };
        let (modules, command_line, root) = match magic {
            MAGIC => (modules, command_line, root),
            _ => (0, 0, 0),
        };
        // SAFETY: a module is described by its address and its length (`struct hvm_modlist_entry`);
        // the hypervisor has put it there for the guest to keep, and nobody writes to it.
        let archive = match modules {
            0 => Ok(&[][..]),
            _ => unsafe {
                let [begin, len] = read_unaligned(list as *const [u64; 2]);
                archive::at(begin, len, MAPPED_END)
            },
        };
        // SAFETY: the hypervisor's own pointer.
        let acpi = unsafe { Acpi::read(root) };
        interrupts::start(&acpi.io_apics);
        let clocks = Clocks::new(acpi.century);
        // SAFETY: the hypervisor's own text, which nobody writes to.
        let command_line = unsafe { text(command_line) };
        Machine { acpi, clocks, command_line, archive }
    }

    /// Milliseconds of a clock that never jumps.
    pub fn now_ms(&self) -> u64 {
        self.clocks.now_ms()
    }

    /// Seconds since 1970, if there is a clock.
    pub fn wall_seconds(&self) -> Option<i64> {
        self.clocks.wall_seconds()
    }

    /// Switches off. Returns where that cannot be done.
    pub fn off(&self) {
        /// A hypervisor that has much to do takes its time, and meanwhile the guest runs on.
        const GRACE_MS: u64 = 10_000;
        if power::off(&self.acpi) {
            let end_ms = self.now_ms().saturating_add(GRACE_MS);
            while self.now_ms() < end_ms {
                interrupts::sleep_slice();
            }
        }
    }

    /// Stops the processor for good.
    pub fn stop(&self) -> ! {
        power::stop()
    }

    /// Starts again.
    pub fn reset(&self) -> ! {
        power::reset(&self.acpi)
    }

    /// Sleeps until an interrupt comes or a slice of the time until then is over.
    pub fn sleep_until(&self, deadline_ms: u64) {
        if self.now_ms() < deadline_ms {
            interrupts::sleep_slice();
        }
    }

    /// Where virtio-mmio devices may be, and their interrupt lines: on microvm only. With ACPI
    /// there are 24 windows on the second I/O APIC, or 8 from line 16 on; without, 8 from line 5
    /// on.
    pub fn virtio_mmio(&self) -> impl Iterator<Item = (usize, u32)> + use<> {
        let named = find(self.command_line, b"virtio_mmio.device=512@0xfeb0").is_some();
        let (first, count) = match (self.acpi.hardware_reduced, self.acpi.io_apics_listed) {
            (true, 2..) => (24, 24),
            (true, _) => (16, 8),
            (false, _) if named => (5, 8),
            (false, _) => (0, 0),
        };
        (0..count).map(move |n| (VIRTIO_MMIO + n * VIRTIO_MMIO_STEP, first + n as u32))
    }
}

/// Where a device's memory at this address can be accessed. Up to 4 GiB that is the address itself;
/// above, the 2 GiB around the first such address are mapped behind the fourth GiB. Nothing for an
/// address outside them, or that needs more than 4 levels of tables.
pub fn map_device(address: u64) -> Option<usize> {
    const GIB: u64 = 1 << 30;
    if address < 4 * GIB {
        return Some(address as usize);
    }
    if address >> 46 != 0 {
        return None;
    }
    HIGH.with(|high| high.map(address))?
}

/// A table of 512 entries (Intel SDM 3A, 4.5).
#[repr(C, align(4096))]
struct PageTable([u64; 512]);

/// The window onto devices above 4 GiB.
struct High {
    /// The first GiB that it shows; 0 while it shows none.
    first_gib: u64,
    pages: [PageTable; 2],
}

static HIGH: Single<High> =
    Single::new(High { first_gib: 0, pages: [const { PageTable([0; 512]) }; 2] });

impl High {
    /// Behind what boot.rs has mapped.
    const WINDOW_GIB: u64 = 4;

    fn map(&mut self, address: u64) -> Option<usize> {
        let gib = address >> 30;
        if self.first_gib == 0 {
            self.first_gib = gib;
            self.fill();
        }
        let offset_gib = gib.checked_sub(self.first_gib).filter(|&offset| offset < 2)?;
        Some(((Self::WINDOW_GIB + offset_gib) << 30 | address & ((1 << 30) - 1)) as usize)
    }

    fn fill(&mut self) {
        // Present, writable, write-through, not cached; 2 MiB where it is the last level.
        const DEVICE: u64 = 0b1_1011;
        const LARGE: u64 = 0b1000_0000;
        for (n, table) in self.pages.iter_mut().enumerate() {
            for (page, entry) in table.0.iter_mut().enumerate() {
                let gib = self.first_gib + n as u64;
                *entry = gib << 30 | (page as u64) << 21 | LARGE | DEVICE;
            }
            let entry = table.0.as_ptr() as u64 | 0b11;
            #[cfg(not(test))]
            // SAFETY: the third-level table of boot.rs, whose fifth and sixth entries are free;
            // what was not present is in no cache of translations (SDM 3A, 4.10.2.3).
            unsafe {
                boot::third_level()
                    .wrapping_add(Self::WINDOW_GIB as usize + n)
                    .write_volatile(entry);
            }
            #[cfg(test)]
            let _ = entry;
        }
    }
}

/// The text at an address, up to its NUL; empty at 0.
///
/// # Safety
/// There is a text that lives for ever.
unsafe fn text(address: usize) -> &'static [u8] {
    if address == 0 {
        return b"";
    }
    // SAFETY: the caller vouches for it.
    let text = unsafe { CStr::from_ptr(address as *const core::ffi::c_char) }.to_bytes();
    text.get(..COMMAND_LINE_BYTES_MAX).unwrap_or(text)
}

/// Where `part` begins in `text`.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
