//! Interfaces and addresses of the guest, as the agent lists them: what its data says goes out.

use crate::kind::Kind;
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::{Address, Dump, Link, Network};

/// A list as it was when it was begun.
#[derive(Debug, Default)]
pub enum Listed {
    /// None.
    #[default]
    Nothing,
    /// Of interfaces: what is left of it, and whether it is to be begun anew.
    Links(Vec<Link>, bool),
    /// Of the addresses of one.
    Addresses(Vec<Address>),
}

impl Dump for Listed {
    const NEW: Self = Listed::Nothing;

    fn close(&mut self) {
        *self = Listed::Nothing;
    }
}

impl Network for Sim {
    const OFFERED: bool = true;
    type Dump = Listed;

    fn excluded(&self) -> &'static [u8] {
        self.with(|world| world.system.excluded)
    }

    fn links(&mut self, dump: &mut Listed) -> Result<(), Errno> {
        *dump = self.call(Kind::Links, |world| {
            let links = world.system.links.iter().rev().map(|(link, _)| *link);
            let mut links: Vec<_> = links.collect();
            let changes = world.system.changes > 0;
            if changes {
                // The last one comes with the next list only.
                world.system.changes -= 1;
                links.drain(..1.min(links.len()));
            }
            Ok(Listed::Links(links, changes))
        })?;
        Ok(())
    }

    fn next_link(&mut self, dump: &mut Listed) -> Result<Option<Link>, Errno> {
        self.call(Kind::NextLink, |_| match dump {
            Listed::Links(links, changes) => match links.pop() {
                None if *changes => Err(Errno::INTR),
                link => Ok(link),
            },
            _ => Err(Errno::BADF),
        })
    }

    fn addresses(&mut self, dump: &mut Listed, index: u32) -> Result<(), Errno> {
        *dump = self.call(Kind::Addresses, |world| {
            let found = world.system.links.iter().find(|(link, _)| link.index == index);
            let (_, addresses) = found.ok_or(Errno::NODEV)?;
            Ok(Listed::Addresses(addresses.iter().rev().copied().collect()))
        })?;
        Ok(())
    }

    fn next_address(&mut self, dump: &mut Listed) -> Result<Option<Address>, Errno> {
        self.call(Kind::NextAddress, |_| match dump {
            Listed::Addresses(addresses) => Ok(addresses.pop()),
            _ => Err(Errno::BADF),
        })
    }
}
