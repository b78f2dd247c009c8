//! A driver for the virtio console device (VIRTIO 1.2, section 5.3) that finds a port by its
//! *name*, as a `virtserialport,name=org.qemu.guest_agent.0` of the hypervisor has one.
//!
//! * [`control`]: the MULTIPORT control protocol, bytes in, bytes out, no I/O.
//! * [`queue`]: a split virtqueue over memory that the caller supplies, [`memory::Memory`].
//! * [`transport`]: what a virtio transport must offer (PCI, PCI legacy, MMIO) and how a device is
//!   initialised over it.
//! * [`port`]: a pair of queues that carries bytes, and where in them one client ends.
//! * [`regions`]: how much memory the queues of a console take.
//! * [`console`]: all of it as one device, which is [`embedded_io::Read`],
//!   [`embedded_io::ReadReady`], [`embedded_io::Write`] and [`embedded_io::WriteReady`].
//!
//! ```text
//!  device ==control queues 2,3==> Control: which port has the name? is somebody at its other end?
//!         <====queues of the port====> Port: bytes   <==> Read, Write of the caller
//! ```
//!
//! ```
//! use embedded_io::{Read, Write};
//! use virtio_console::{Console, Error, Regions, memory::Memory, transport::Transport};
//!
//! /// Sends back whatever comes on the port called "echo".
//! fn echo<T: Transport, M: Memory>(transport: T, memory: Regions<M>) -> Result<(), Error> {
//!     let mut console = Console::new(transport, memory, b"echo");
//!     console.restart()?;
//!     loop {
//!         let mut bytes = [0; 64];
//!         let len = console.read(&mut bytes)?;
//!         console.write_all(&bytes[..len])?;
//!     }
//! }
//! ```
//!
//! What must stay outside is small: [`memory::Memory`] touches the shared memory,
//! [`transport::Transport`] the registers. Nothing here panics, allocates or trusts the device:
//! what a device must not do is an [`Error`] that says so, and no index of it is followed outside
//! the memory that it was given. Every call is bounded in its work, but for a read or write that
//! waits because its user did not ask first.
//!
//! Guests on big-endian processors can use devices that offer `VIRTIO_F_VERSION_1`, which are
//! little-endian; a legacy device has the guest's own order, in its queues (section 2.7.3) and in
//! its configuration space (section 2.5.3), here taken to be little-endian.

#![no_std]
#![forbid(unsafe_code)]

pub mod console;
pub mod control;
mod error;
mod layout;
pub mod memory;
pub mod port;
pub mod queue;
pub mod regions;
mod stream;
pub mod transport;

pub use console::{Console, Ends};
pub use error::Error;
pub use layout::{Layout, Rings, region_bytes};
pub use regions::Regions;
