//! Texts and names of the guest, as the agent reads them: what its data says goes out.

use super::text::Text;
use crate::kind::Kind;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::limits::LIST_BYTES;
use qga_core::platform::{Name, Texts};

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
        let kinds = (Kind::Text, Kind::ReadText);
        Text::open(
            self,
            kinds,
            |open| &mut open.texts,
            |world| {
                let path = std::str::from_utf8(path).map_err(|_| Errno::NOENT)?;
                world.system.texts.get(path).cloned().ok_or(Errno::NOENT)
            },
        )
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
