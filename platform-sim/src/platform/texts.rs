//! Texts and names of the guest, as the agent reads them: what its data says goes out.

use crate::kind::Kind;
use crate::sim::Sim;
use embedded_io::{ErrorType, Read};
use qga_core::Errno;
use qga_core::limits::LIST_BYTES;
use qga_core::platform::{Name, Texts};

/// An open text: what it was when it was opened.
#[derive(Debug)]
pub struct Text {
    sim: Sim,
    text: Vec<u8>,
    position: usize,
}

impl ErrorType for Text {
    type Error = Errno;
}

impl Read for Text {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = self.sim.call(Kind::ReadText, |world| Ok(world.faults.transfer(into.len())))?;
        let from = &self.text[self.position..];
        let len = len.min(from.len());
        into[..len].copy_from_slice(&from[..len]);
        self.position += len;
        Ok(len)
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        self.sim.with(|world| world.open.texts -= 1);
    }
}

impl Texts for Sim {
    const INFO: bool = true;
    const USERS: bool = true;
    const CPUS: bool = true;
    const LOAD: bool = true;
    const ZONES: bool = true;
    const DISKS: bool = true;
    const MEMORY: bool = true;
    type Text = Text;
    type Room = [u8; LIST_BYTES];

    fn text(&mut self, path: &[u8]) -> Result<Text, Errno> {
        let text = self.call(Kind::Text, |world| {
            let path = std::str::from_utf8(path).map_err(|_| Errno::NOENT)?;
            let text = world.system.texts.get(path).cloned().ok_or(Errno::NOENT)?;
            world.open.texts += 1;
            Ok(text)
        })?;
        Ok(Text { sim: self.clone(), text, position: 0 })
    }

    fn entries(&mut self, path: &[u8], visit: &mut dyn FnMut(&[u8])) -> Result<(), Errno> {
        let names =
            self.call(Kind::Entries, |world| world.system.entries(path).ok_or(Errno::NOENT))?;
        names.iter().for_each(|name| visit(name));
        Ok(())
    }

    fn name(&mut self, name: Name, into: &mut [u8]) -> Result<usize, Errno> {
        self.call(Kind::Name, |world| {
            let name = &world.system.names[name as usize];
            let len = name.len().min(into.len());
            into[..len].copy_from_slice(&name[..len]);
            Ok(len)
        })
    }

    fn variable(&mut self, name: &str) -> Option<&'static [u8]> {
        self.with(|world| world.system.environment.get(name).copied())
    }
}
