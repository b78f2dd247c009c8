//! Texts and names of the guest, as the agent reads them: what its data says goes out.

use super::text::Text;
use crate::kind::Kind;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::limits::LIST_BYTES;
use qga_core::platform::{Name, Texts};
use std::collections::BTreeSet;

/// An open folder, with the names that it had when it was opened.
#[derive(Debug)]
pub struct Folder {
    sim: Sim,
    names: BTreeSet<Vec<u8>>,
    last: Vec<u8>,
    failed: Option<Errno>,
}

impl qga_core::platform::Folder for Folder {
    fn next_name(&mut self) -> Option<&[u8]> {
        match self.sim.call(Kind::NextName, |_| Ok(self.names.pop_first())) {
            Ok(name) => {
                self.last = name?;
                Some(&self.last)
            }
            Err(errno) => {
                self.failed = Some(errno);
                None
            }
        }
    }

    fn ended(&self) -> Result<(), Errno> {
        self.failed.map_or(Ok(()), Err)
    }
}

impl Texts for Sim {
    const INFO: bool = true;
    const USERS: bool = true;
    const CPUS: bool = true;
    const LOAD: bool = true;
    const ZONES: bool = true;
    const MEMORY: bool = true;
    type Text = Text;
    type Folder = Folder;
    type Room = [u8; 2 * LIST_BYTES];

    fn text(&mut self, path: &[u8]) -> Result<Text, Errno> {
        let kinds = (Kind::Text, Kind::ReadText);
        Text::open(
            self,
            kinds,
            |open| &mut open.texts,
            |world| {
                let path = std::str::from_utf8(path).map_err(|_| Errno::NOENT)?;
                if path == "/proc/self/mountinfo" {
                    return Ok(world.mounts.table());
                }
                if world.system.hanging.contains(path) {
                    return Err(world.tasks.hang());
                }
                let path = world.system.resolve(path);
                world.system.texts.get(&path).cloned().ok_or(Errno::NOENT)
            },
        )
    }

    fn folder(&mut self, path: &[u8]) -> Result<Folder, Errno> {
        let names =
            self.call(Kind::Folder, |world| world.system.entries(path).ok_or(Errno::NOENT))?;
        Ok(Folder { sim: self.clone(), names, last: Vec::new(), failed: None })
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
