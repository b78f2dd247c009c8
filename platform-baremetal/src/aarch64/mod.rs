//! The aarch64 machine: QEMU's `virt`, with a GICv2. The device tree in; clocks, the serial line,
//! interrupts and power out, under the names that `crate::arch` has on every architecture.
//!
//! Where devices are is the machine's own convention (QEMU, hw/arm/virt); the tree is asked for
//! what differs from start to start: words, files, how to call the firmware.

#[cfg(not(test))]
mod boot;
pub mod interrupts;
pub mod power;
pub mod uart;

use crate::device_tree::{self, HEADER_BYTES, cells, property};
use crate::files::archive;
use crate::single::Single;
use core::arch::asm;
use core::ptr::read_volatile;
pub use interrupts::sleep;
use power::Conduit;
use qga_core::Errno;
pub use uart::{QUEUE_BYTES as UART_QUEUE_BYTES, Uart};

/// What the machine is made of.
pub struct Machine {
    conduit: Conduit,
    /// The words that the hypervisor hands over (`-append`).
    pub command_line: &'static [u8],
    /// The file that it hands over (`-initrd`), empty if there is none; why it was dropped if it
    /// cannot be one.
    pub archive: Result<&'static [u8], Errno>,
}

/// Where the memory ends that [`map_memory`] maps.
const MAPPED_END: u64 = 512 << 30;

/// The clock PL031: seconds since 1970 (Arm DDI 0224C, 3.3.1).
const CLOCK: usize = 0x0901_0000;
/// The virtio-mmio windows: the first, how far apart, how many, the first one's interrupt line.
const VIRTIO_MMIO: (usize, usize, usize, u32) = (0x0A00_0000, 0x200, 32, 48);

/// The first-level table: 512 blocks of 1 GiB (Arm ARM, D5.3).
#[repr(C, align(4096))]
struct Blocks([u64; 512]);

static BLOCKS: Single<Blocks> = Single::new(Blocks([0; 512]));

/// Says the last words of a guest that cannot go on, on the serial line.
pub fn last_words(text: &str, words: &[u64]) {
    let Some(uart) = Uart::find(0) else { return };
    crate::words::write(text, words, |byte| uart.send_waiting(byte));
}

impl Machine {
    /// Takes the machine over: memory, interrupts, tables.
    ///
    /// # Safety
    /// `start` is what the hypervisor handed over, and nothing was taken over before.
    pub unsafe fn take_over(start: usize) -> Machine {
        map_memory();
        interrupts::start();
        // SAFETY: the hypervisor's own tree.
        let tree = unsafe { tree(start) };
        let conduit = match property(tree, b"psci", b"method") {
            Some(b"smc\0") => Conduit::Secure,
            _ => Conduit::Hypervisor,
        };
        let words = property(tree, b"chosen", b"bootargs").unwrap_or(&[]);
        let begin = property(tree, b"chosen", b"linux,initrd-start").and_then(cells);
        let end = property(tree, b"chosen", b"linux,initrd-end").and_then(cells);
        let archive = match (begin, end) {
            (Some(begin), Some(end)) if begin < end => {
                // SAFETY: the hypervisor has put the file there for the guest to keep, and nobody
                // writes to it.
                unsafe { archive::at(begin, end - begin, MAPPED_END) }
            }
            _ => Ok(&[][..]),
        };
        Machine { conduit, command_line: words.strip_suffix(b"\0").unwrap_or(words), archive }
    }

    /// Milliseconds of a clock that never jumps: the virtual counter.
    pub fn now_ms(&self) -> u64 {
        let (count, hertz): (u64, u64);
        // SAFETY: reading the counter and its frequency has no effect.
        unsafe {
            asm!("isb", "mrs {}, cntvct_el0", "mrs {}, cntfrq_el0", out(reg) count, out(reg) hertz,
                options(nostack, preserves_flags));
        }
        count.checked_div((hertz / 1000).max(1)).unwrap_or(0)
    }

    /// Seconds since 1970.
    pub fn wall_seconds(&self) -> Option<i64> {
        // SAFETY: the data register of the clock; reading it has no effect.
        Some(i64::from(unsafe { read_volatile(CLOCK as *const u32) }))
    }

    /// Switches off. Returns where that cannot be done.
    pub fn off(&self) {
        power::off(self.conduit);
    }

    /// Stops the processor for good.
    pub fn stop(&self) -> ! {
        power::stop()
    }

    /// Starts again.
    pub fn reset(&self) -> ! {
        power::reset(self.conduit)
    }

    /// Sleeps until an interrupt comes or a slice of the time until then is over.
    pub fn sleep_until(&self, deadline_ms: u64) {
        if self.now_ms() < deadline_ms {
            interrupts::sleep_slice();
        }
    }

    /// Where virtio-mmio devices may be, and their interrupt lines.
    pub fn virtio_mmio(&self) -> impl Iterator<Item = (usize, u32)> + use<> {
        let (first, step, count, line) = VIRTIO_MMIO;
        (0..count).map(move |n| (first + n * step, line + n as u32))
    }
}

/// Where a device's memory at this address can be accessed: below 1 GiB, where all devices of the
/// machine are that this guest drives.
pub fn map_device(address: u64) -> Option<usize> {
    (address < 1 << 30).then_some(address as usize)
}

/// Switches translation on: one to one, the first GiB devices, the rest memory, all of it cached.
fn map_memory() {
    // A block that may be accessed (D5.3.3): index into MAIR, shareability, access flag.
    const DEVICE: u64 = 1 | 1 << 10 | 0b11 << 53;
    const MEMORY: u64 = 1 | 1 << 2 | 0b11 << 8 | 1 << 10;
    // Attribute 0: device, strictly ordered; 1: memory, write-back (D13.2.97).
    const MAIR: u64 = 0xFF00;
    // 39 bits of addresses from the lower half only, walks cached, 40 bits out (D13.2.131).
    const TCR: u64 = 25 | 0b01 << 8 | 0b01 << 10 | 0b11 << 12 | 1 << 23 | 0b010 << 32;
    BLOCKS.with(|blocks| {
        for (gib, block) in blocks.0.iter_mut().enumerate() {
            *block = (gib as u64) << 30 | if gib == 0 { DEVICE } else { MEMORY };
        }
        // SAFETY: every address means what it meant before, and the table is static. Nothing was
        // cached before.
        unsafe {
            asm!("msr mair_el1, {mair}", "msr tcr_el1, {tcr}", "msr ttbr0_el1, {table}",
                "dsb sy", "isb",
                "tlbi vmalle1", "ic iallu", "dsb sy", "isb", "mrs {old}, sctlr_el1",
                "orr {old}, {old}, {on}", "msr sctlr_el1, {old}", "isb", mair = in(reg) MAIR,
                tcr = in(reg) TCR, table = in(reg) blocks.0.as_ptr(), old = out(reg) _,
                // Translation, data cache, instruction cache.
                on = in(reg) 0x1005u64, options(nostack));
        }
    });
}

/// The device tree at an address; empty where none is.
///
/// # Safety
/// The address is 0 or mapped, and nobody writes to the tree.
unsafe fn tree(address: usize) -> &'static [u8] {
    if address == 0 {
        return &[];
    }
    // SAFETY: the caller vouches for it, first for the header, then for as many bytes as that
    // tells.
    unsafe {
        let header = core::slice::from_raw_parts(address as *const u8, HEADER_BYTES);
        match device_tree::length(header) {
            Some(len) => core::slice::from_raw_parts(address as *const u8, len),
            None => &[],
        }
    }
}
