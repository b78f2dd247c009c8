//! The port of a virtio console, found by its name on any of the machine's consoles: embedded-io
//! out of registers and memory.
//!
//! ```text
//!  pci -> modern, legacy \
//!                    mmio -> device (one of them) -> virtio_console::Console -> Port
//!                  region (memory of the queues)  /
//! ```
//!
//! All `unsafe` of the virtio console is here: registers ([`window`], [`legacy`]) and shared memory
//! ([`region`]). Source: VIRTIO 1.2; the logic is in the crate `virtio-console`.

pub mod device;
#[cfg(target_arch = "x86_64")]
pub mod legacy;
pub mod mmio;
#[cfg(target_arch = "x86_64")]
pub mod modern;
#[cfg(target_arch = "x86_64")]
pub mod pci;
pub mod region;
pub mod window;

use crate::arch::{self, Machine};
use device::{Device, devices};
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use qga_core::Errno;
use region::Region;
use virtio_console::transport::Transport;
use virtio_console::{Console, Ends, Error};

/// How long a console has to tell the names of its ports. QEMU takes less than a millisecond.
const ANSWER_MS_MAX: u64 = 1000;

/// The hypervisor's side of a port. Reading gives 0 bytes once for each client that has gone.
pub struct Port {
    console: Console<'static, Device, Region>,
    /// The console was restarted and the restart failed: nothing will come any more.
    dead: bool,
}

/// Looks for the port of this name on all consoles; without one, for a console whose only port has
/// no name. `None` as well where this was called before: there is memory for one.
pub fn find(machine: &Machine, name: &'static [u8]) -> Option<Port> {
    let mut console = Console::new(devices(machine).next()?, region::regions()?, name);
    console.set_ends(Ends::ReadInDoubt);
    for names in [true, false] {
        for device in devices(machine) {
            *console.transport() = device;
            if ask(&mut console, machine) && console.has_names() == names {
                return Some(Port { console, dead: false });
            }
            console.transport().set_status(0);
        }
    }
    None
}

/// Starts a console and lets it tell its ports. Whether the one that is wanted is among them.
fn ask(console: &mut Console<'_, Device, Region>, machine: &Machine) -> bool {
    let deadline_ms = machine.now_ms() + ANSWER_MS_MAX;
    let mut alive = console.restart();
    while alive.is_ok()
        && console.found().is_none()
        && !console.is_settled()
        && machine.now_ms() < deadline_ms
    {
        alive = console.poll();
    }
    alive.inspect_err(complain).is_ok() && console.found().is_some()
}

/// Says on the first serial line what is wrong with a console: the queue and the number that belong
/// to it after the words.
fn complain(error: &Error) {
    let (queue, number) = error.numbers();
    arch::last_words(error.text(), &[u64::from(queue.unwrap_or(0)), number.unwrap_or(0)]);
}

impl Port {
    /// Looks, and where there is nothing lets go of the interrupt line and looks once more: what
    /// comes after that look raises the line and ends the sleep that follows.
    fn look(
        &mut self,
        ready: impl Fn(&mut Console<'static, Device, Region>) -> Result<bool, Error>,
    ) -> Result<bool, Errno> {
        if self.dead {
            return Ok(false);
        }
        let console = &mut self.console;
        let looked = ready(console).and_then(|first| match first {
            true => Ok(true),
            false => {
                console.transport().acknowledge();
                ready(console)
            }
        });
        looked.map_err(|error| self.restart(error))
    }

    /// Begins anew after an error, which it returns: the client's half request is lost. A device
    /// that does not come back is left alone.
    fn restart(&mut self, error: Error) -> Errno {
        complain(&error);
        if let Err(error) = self.console.restart() {
            complain(&error);
            self.dead = true;
        }
        Errno::IO
    }
}

impl ErrorType for Port {
    type Error = Errno;
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, Errno> {
        self.look(ReadReady::read_ready)
    }
}

impl WriteReady for Port {
    fn write_ready(&mut self) -> Result<bool, Errno> {
        self.look(WriteReady::write_ready)
    }
}

impl Read for Port {
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Errno> {
        self.console.read(to).map_err(|error| self.restart(error))
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.console.write(bytes).map_err(|error| self.restart(error))
    }

    fn flush(&mut self) -> Result<(), Errno> {
        self.console.flush().map_err(|error| self.restart(error))
    }
}
