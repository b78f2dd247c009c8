//! Interrupts as the end of a sleep, and as nothing else.
//!
//! In: the lines that somebody waits for. Out: [`sleep`]. Invariant: no interrupt is ever taken.
//! They are masked at the processor and pending at the controller, which ends WFI; a line that its
//! device has let go of is pending no more. So no code runs beside other code, and no wake-up is
//! lost. Sources: Arm GICv2 (IHI 0048B), 4.3 and 4.4; Arm ARM, D1.6.2 (WFI), D11.2 (timers); QEMU,
//! hw/arm/virt (addresses).

use core::arch::asm;
use core::ptr::write_volatile;

const DISTRIBUTOR: usize = 0x0800_0000;
const CPU_INTERFACE: usize = 0x0801_0000;

/// The virtual timer's own line.
const LINE_TIMER: u32 = 27;
/// Lines that the distributor of the virt machine has.
const LINES: u32 = 288;

/// How long one slice of a timed sleep is: 10 ms at QEMU's 62.5 MHz. Whoever sleeps looks at a
/// clock afterwards.
const SLICE_TICKS: u32 = 625_000;

fn write(address: usize, value: u32) {
    // SAFETY: a register of the interrupt controller, which nobody else drives.
    unsafe { write_volatile(address as *mut u32, value) };
}

/// Takes over interrupts, all lines off. Call it once, first.
pub fn start() {
    write(DISTRIBUTOR, 0);
    for word in 0..LINES as usize / 32 {
        write(DISTRIBUTOR + 0x180 + 4 * word, u32::MAX);
        // In no group but the one whose interrupts are told to this processor.
        write(DISTRIBUTOR + 0x80 + 4 * word, 0);
    }
    write(DISTRIBUTOR, 1);
    // Every priority is told, and the interface is on.
    write(CPU_INTERFACE + 4, 0xFF);
    write(CPU_INTERFACE, 1);
    enable(LINE_TIMER);
}

/// Lets a line end sleeps. The device keeps it raised until it is acknowledged there.
pub fn enable(line: u32) {
    if line >= LINES {
        return;
    }
    let at = line as usize;
    if line >= 32 {
        // SAFETY: registers of one byte a line: to the first processor, and the highest priority.
        unsafe { write_volatile((DISTRIBUTOR + 0x800 + at) as *mut u8, 1) };
    }
    // SAFETY: as above.
    unsafe { write_volatile((DISTRIBUTOR + 0x400 + at) as *mut u8, 0) };
    // Lines of shared devices are level-triggered after a reset, and stay so.
    write(DISTRIBUTOR + 0x100 + at / 32 * 4, 1 << (line % 32));
}

/// Waits until an interrupt is pending.
pub fn sleep() {
    // SAFETY: it waits, and all that was written before is seen by the devices.
    unsafe { asm!("dsb sy", "wfi", options(nostack, preserves_flags)) };
}

/// As [`sleep`], for one slice of the timer at most.
pub fn sleep_slice() {
    // SAFETY: the virtual timer is this guest's own: a count, and on.
    unsafe {
        asm!("msr cntv_tval_el0, {}", "msr cntv_ctl_el0, {}", "isb",
            in(reg) u64::from(SLICE_TICKS), in(reg) 1u64, options(nostack, preserves_flags));
    }
    sleep();
    // SAFETY: as above; off, so that its line falls.
    unsafe { asm!("msr cntv_ctl_el0, xzr", "isb", options(nostack, preserves_flags)) };
}
