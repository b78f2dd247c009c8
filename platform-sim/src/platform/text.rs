//! A text of the guest, open: what it was then in, pieces of it out.

use crate::kind::Kind;
use crate::sim::Sim;
use crate::world::{Open, World};
use embedded_io::{ErrorType, Read};
use qga_core::Errno;

/// An open text, or the mount table: what it was when it was opened.
#[derive(Debug)]
pub struct Text {
    sim: Sim,
    text: Vec<u8>,
    position: usize,
    /// What a read of it is.
    read: Kind,
    /// Where it is counted while it is open.
    count: fn(&mut Open) -> &mut usize,
}

impl Text {
    /// Opens what a call of kind `open` finds.
    pub(crate) fn open(
        sim: &Sim,
        (open, read): (Kind, Kind),
        count: fn(&mut Open) -> &mut usize,
        find: impl FnOnce(&mut World) -> Result<Vec<u8>, Errno>,
    ) -> Result<Text, Errno> {
        let text = sim.call(open, |world| {
            let text = find(world)?;
            *count(&mut world.open) += 1;
            Ok(text)
        })?;
        Ok(Text { sim: sim.clone(), text, position: 0, read, count })
    }
}

impl ErrorType for Text {
    type Error = Errno;
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = self.sim.call(self.read, |world| Ok(world.faults.transfer(into.len())))?;
        let from = &self.text[self.position..];
        let len = len.min(from.len());
        into[..len].copy_from_slice(&from[..len]);
        self.position += len;
        Ok(len)
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.sim.with(|world| *(self.count)(&mut world.open) -= 1);
    }
}
