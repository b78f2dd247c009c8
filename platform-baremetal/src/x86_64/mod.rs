//! The x86-64 machine: a PC as QEMU builds it (q35, pc, microvm). The start information of PVH in;
//! clocks, serial lines, interrupts and power out, under the names that `crate::arch` has on every
//! architecture.

pub mod acpi;
#[cfg(not(test))]
mod boot;
mod clock;
mod exceptions;
pub mod interrupts;
pub mod io;
mod io_apic;
mod memory;
pub mod power;
pub mod uart;

use crate::files::archive;
use acpi::Acpi;
use clock::Clocks;
use core::ffi::CStr;
use core::ptr::read_unaligned;
pub use exceptions::last_words;
pub use interrupts::sleep;
use memory::MAPPED_END;
pub use memory::map_device;
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

/// Where microvm puts its virtio-mmio windows, and how far apart (QEMU,
/// docs/system/i386/microvm.rst).
const VIRTIO_MMIO: usize = 0xFEB0_0000;
const VIRTIO_MMIO_STEP: usize = 512;

/// Longest command line that is looked at.
const COMMAND_LINE_BYTES_MAX: usize = 4096;

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
        interrupts::start(&acpi.io_apics, exceptions::fault);
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
