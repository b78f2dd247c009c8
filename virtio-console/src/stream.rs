//! The port of a console as embedded-io's traits: bytes in, bytes out.
//!
//! Nothing here waits but [`Read::read`] and [`Write::write`], and those only after [`ReadReady`]
//! or [`WriteReady`] said no, in [`Transport::wait`]. While nobody is at the other end nothing
//! comes, and what is written is dropped, so that a guest never waits for a client that has gone.
//! Source: VIRTIO 1.2, section 5.3.6.

use crate::console::{Console, Ends, on};
use crate::error::Error;
use crate::memory::Memory;
use crate::port::Next;
use crate::transport::Transport;
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};

impl<T, M> ErrorType for Console<'_, T, M> {
    type Error = Error;
}

impl<T: Transport, M: Memory> ReadReady for Console<'_, T, M> {
    fn read_ready(&mut self) -> Result<bool, Error> {
        Ok(match self.look()? {
            Next::Bytes => true,
            Next::End => self.ends != Ends::Told,
            Next::Nothing => false,
        })
    }
}

impl<T: Transport, M: Memory> Read for Console<'_, T, M> {
    /// Waits for bytes in [`Transport::wait`]. 0 bytes: `to` is empty, or as [`Ends`] says.
    fn read(&mut self, to: &mut [u8]) -> Result<usize, Error> {
        while !to.is_empty() {
            match self.look()? {
                Next::Bytes => {
                    let len = self.port.read(to);
                    self.refill();
                    return Ok(len);
                }
                Next::End if self.ends != Ends::Told => {
                    self.port.pass_end();
                    break;
                }
                Next::End | Next::Nothing => self.transport.wait(),
            }
        }
        Ok(0)
    }
}

impl<T: Transport, M: Memory> WriteReady for Console<'_, T, M> {
    fn write_ready(&mut self) -> Result<bool, Error> {
        self.poll()?;
        on(self.id.transmit_queue(), self.port.has_room())
    }
}

impl<T: Transport, M: Memory> Write for Console<'_, T, M> {
    /// Waits for room in [`Transport::wait`] while somebody is at the other end and does not read.
    /// When they go, what is written is dropped and counts as written.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        while !bytes.is_empty() {
            self.poll()?;
            let queue = self.id.transmit_queue();
            if let Some(len) = on(queue, self.port.write(bytes))? {
                if self.port.is_connected() && self.port.transmit.wants_notification() {
                    self.transport.notify(queue);
                }
                return Ok(len);
            }
            self.transport.wait();
        }
        Ok(0)
    }

    /// Written bytes are with the device already; [`Console::is_drained`] tells when it has used
    /// them.
    fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
