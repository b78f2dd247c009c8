//! The mount table, open: its text as it was then in, pieces of it out.

use crate::kind::Kind;
use crate::sim::Sim;
use embedded_io::{ErrorType, Read};
use qga_core::Errno;

/// The mount table, open: the text as it was when it was opened.
#[derive(Debug)]
pub struct Table {
    sim: Sim,
    text: Vec<u8>,
    position: usize,
}

impl Table {
    pub(crate) fn new(sim: Sim, text: Vec<u8>) -> Self {
        Table { sim, text, position: 0 }
    }
}

impl ErrorType for Table {
    type Error = Errno;
}

impl Read for Table {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = self.sim.call(Kind::ReadTable, |world| Ok(world.faults.transfer(into.len())))?;
        let from = &self.text[self.position..];
        let len = len.min(from.len());
        into[..len].copy_from_slice(&from[..len]);
        self.position += len;
        Ok(len)
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.sim.with(|world| world.open.tables -= 1);
    }
}
