//! Port I/O: one instruction a function (Intel SDM 2, IN and OUT).
//!
//! Every function is unsafe for the same reason: what a port does is the device's affair, and it
//! may write to memory. Callers name the device whose port it is.

use core::arch::asm;

macro_rules! ports {
    ($read:ident, $write:ident, $type:ty, $register:tt, $unit:literal) => {
        #[doc = concat!("Reads ", $unit, " from a port.")]
        ///
        /// # Safety
        /// The port is that of a device which the caller drives, or reading it has no effect.
        pub unsafe fn $read(port: u16) -> $type {
            let value: $type;
            // SAFETY: the caller vouches for what the device does.
            unsafe {
                asm!(concat!("in ", $register, ", dx"), out($register) value, in("dx") port,
                    options(nostack, preserves_flags));
            }
            value
        }

        #[doc = concat!("Writes ", $unit, " to a port.")]
        ///
        /// # Safety
        /// The port is that of a device which the caller drives, and what it does then is wanted.
        pub unsafe fn $write(port: u16, value: $type) {
            // SAFETY: the caller vouches for what the device does.
            unsafe {
                asm!(concat!("out dx, ", $register), in($register) value, in("dx") port,
                    options(nostack, preserves_flags));
            }
        }
    };
}

ports!(read8, write8, u8, "al", "a byte");
ports!(read16, write16, u16, "ax", "16 bits");
ports!(read32, write32, u32, "eax", "32 bits");
