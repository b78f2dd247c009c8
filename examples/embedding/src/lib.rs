//! The code of docs/embedding.md, as it stands there. The tests drive it over a channel in memory;
//! with the feature `freestanding` it is a whole program's worth of agent for a machine without an
//! operating system, in which a panic that can be reached calls a function that does not exist.

#![no_std]

include!(concat!(env!("OUT_DIR"), "/tutorial.rs"));

#[cfg(feature = "freestanding")]
mod freestanding {
    use crate::{Agent, Guest, Port, Registers, run};

    unsafe extern "C" {
        /// Does not exist: a panic that can be reached wants it.
        fn a_panic_is_reachable() -> !;
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // SAFETY: never linked.
        unsafe { a_panic_is_reachable() }
    }

    /// Where a kernel would call the agent.
    ///
    /// # Safety
    /// `agent` points to a new agent that nobody else uses.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn tutorial_run(agent: *mut Agent, guest: &mut Guest, uart: *mut u8) {
        struct Mapped(*mut u8);
        impl Registers for Mapped {
            fn receive(&mut self) -> Option<u8> {
                // SAFETY: the caller's device.
                unsafe { (self.0.wrapping_add(5).read_volatile() & 1 != 0).then(|| self.0.read()) }
            }
            fn transmit(&mut self, byte: u8) -> bool {
                // SAFETY: the caller's device.
                unsafe {
                    let ready = self.0.wrapping_add(5).read_volatile() & 0x20 != 0;
                    if ready {
                        self.0.write_volatile(byte);
                    }
                    ready
                }
            }
        }
        // SAFETY: the caller's promise.
        let agent = unsafe { &mut *agent };
        let _ = run(agent, guest, &mut Port::new(Mapped(uart)), |_| core::hint::spin_loop());
    }
}
