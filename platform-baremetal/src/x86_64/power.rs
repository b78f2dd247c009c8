//! Ending the machine: soft off and reset by ACPI, and what is left where that is missing.
//!
//! Sources: ACPI 6.4, 4.8.3.2.1 (PM1 control), 4.8.3.7 (sleep control), 4.8.3.6 (reset register);
//! Intel SDM 3A, 6.15 (a fault while a fault is reported, and again: the processor shuts down, the
//! machine resets).

use super::acpi::{Acpi, Register};
use super::io;
use core::arch::asm;
use core::ptr::write_volatile;

/// How long a register has to take effect, in looks at a port: a millisecond at the least.
const GRACE_LOOKS: u32 = 1000;

/// Begins to switch the machine off, which takes the hypervisor as long as it likes. Whether there
/// is a way to: without ACPI, or with one that has no soft off, there is none.
pub fn off(acpi: &Acpi) -> bool {
    const ENABLE_PM1: u16 = 1 << 13;
    const ENABLE_SLEEP: u8 = 1 << 5;
    let Some([type_a, type_b]) = acpi.off_type else { return false };
    let mut begun = false;
    if let Some(register) = acpi.sleep_control {
        begun = true;
        write8(register, type_a << 2 | ENABLE_SLEEP);
    }
    for (register, kind) in acpi.pm1_control.into_iter().zip([type_a, type_b]) {
        if let Some(Register::Port(port)) = register {
            begun = true;
            // SAFETY: the port that the tables name; what it does is wanted. The bits that tell who
            // owns ACPI stay as they are.
            unsafe {
                let kept = io::read16(port) & 0b111;
                io::write16(port, kept | u16::from(kind) << 10 | ENABLE_PM1);
            }
        }
    }
    begun
}

/// Starts the machine again.
pub fn reset(acpi: &Acpi) -> ! {
    const KEYBOARD: u16 = 0x64;
    const PULSE_RESET: u8 = 0xFE;
    if let Some((register, value)) = acpi.reset {
        write8(register, value);
        wait();
    }
    // SAFETY: the command port of the keyboard controller (8042), one of whose outputs resets a PC.
    unsafe { io::write8(KEYBOARD, PULSE_RESET) };
    wait();
    let nothing = [0u16; 5];
    // SAFETY: without a descriptor table the fault cannot be reported, and the machine resets.
    unsafe { asm!("lidt [{}]", "ud2", in(reg) &nothing, options(noreturn)) }
}

/// Stops the processor for good.
pub fn stop() -> ! {
    loop {
        // SAFETY: interrupts are off, so nothing ends this but the machine.
        unsafe { asm!("cli", "hlt", options(nostack)) };
    }
}

fn write8(register: Register, value: u8) {
    match register {
        // SAFETY: the register that the tables name; what it does is wanted.
        Register::Port(port) => unsafe { io::write8(port, value) },
        // SAFETY: as above; memory is mapped one to one.
        Register::Memory(address) => unsafe { write_volatile(address as *mut u8, value) },
    }
}

fn wait() {
    /// The port of the power-on self-test, which every PC has and nobody reads.
    const DIAGNOSTIC: u16 = 0x80;
    for _ in 0..GRACE_LOOKS {
        // SAFETY: reading it has no effect but to take a microsecond.
        unsafe { io::read8(DIAGNOSTIC) };
    }
}
