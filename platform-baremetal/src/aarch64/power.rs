//! Ending the machine: PSCI (Arm DEN 0022D, 5.9 SYSTEM_OFF, 5.10 SYSTEM_RESET).

use core::arch::asm;

const SYSTEM_OFF: u32 = 0x8400_0008;
const SYSTEM_RESET: u32 = 0x8400_0009;

/// How the firmware is called, as the device tree says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conduit {
    /// HVC: the hypervisor itself.
    Hypervisor,
    /// SMC: firmware above it.
    Secure,
}

/// Switches the machine off. Returns where that is refused.
pub fn off(conduit: Conduit) {
    call(conduit, SYSTEM_OFF);
}

/// Starts the machine again.
pub fn reset(conduit: Conduit) -> ! {
    call(conduit, SYSTEM_RESET);
    stop()
}

/// Stops the processor for good.
pub fn stop() -> ! {
    loop {
        // SAFETY: every line is off then but those that were on; each ends one wait, and the next
        // begins.
        unsafe { asm!("wfi", options(nomem, nostack, preserves_flags)) };
    }
}

fn call(conduit: Conduit, function: u32) {
    let function = u64::from(function);
    // SAFETY: both functions end the machine or refuse; the calling convention (Arm DEN 0028, 2.6)
    // keeps all registers but X0 to X17.
    unsafe {
        match conduit {
            Conduit::Hypervisor => asm!("hvc #0", inout("x0") function => _, clobber_abi("C")),
            Conduit::Secure => asm!("smc #0", inout("x0") function => _, clobber_abi("C")),
        }
    }
}
