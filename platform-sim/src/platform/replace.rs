//! Files that are replaced: texts of the guest, by their paths. Invariant: a text changes only as a
//! whole, and what a copy does in a home that it has not become the owner of is a violation.

use crate::kind::Kind;
use crate::sim::Sim;
use crate::world::World;
use embedded_io::{ErrorType, Read, Write};
use qga_core::Errno;
use qga_core::limits::LOCK_PAUSE_MS;
use qga_core::platform::Replace;

/// A folder, by its path.
#[derive(Debug)]
pub struct Parent(String);

/// A file as it was.
#[derive(Debug)]
pub struct Old {
    sim: Sim,
    text: Vec<u8>,
    position: usize,
}

/// A new file.
#[derive(Debug)]
pub struct Draft {
    sim: Sim,
    path: String,
    is_published: bool,
}

impl ErrorType for Old {
    type Error = Errno;
}

impl Read for Old {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let len = self.sim.call(Kind::ReadOld, |world| Ok(world.faults.transfer(into.len())))?;
        let from = &self.text[self.position..];
        let len = len.min(from.len());
        into[..len].copy_from_slice(&from[..len]);
        self.position += len;
        Ok(len)
    }
}

impl ErrorType for Draft {
    type Error = Errno;
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.sim.call(Kind::WriteDraft, |world| {
            let len = world.faults.transfer(bytes.len());
            let text = world.system.texts.get_mut(&self.path).ok_or(Errno::IO)?;
            text.extend_from_slice(&bytes[..len]);
            Ok(len)
        })
    }

    fn flush(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.sim.with(|world| {
            // Who was killed removes nothing.
            if !self.is_published && world.tasks.is_at_work() {
                world.system.texts.remove(&self.path);
            }
        });
    }
}

impl Parent {
    fn path(&self, name: &[u8]) -> String {
        format!("{}/{}", self.0, String::from_utf8_lossy(name))
    }
}

impl World {
    /// Whether what is called may be done in a folder.
    fn may_change(&mut self, folder: &str, what: &str) {
        let owner = self.accounts.folders.get(folder).copied().unwrap_or(0);
        let is = self.accounts.became.as_ref().map_or(0, |(user, ..)| *user);
        if owner != is {
            self.violations.push(format!("{what} in {folder} of user {owner} as {is}"));
        }
        if folder == "/etc" && !self.accounts.has_lock {
            self.violations.push(format!("{what} in {folder} without the lock"));
        }
    }

    fn folder(&mut self, path: &str) -> Result<(), Errno> {
        if self.system.hanging.contains(path) {
            return Err(self.tasks.hang());
        }
        if self.accounts.links.contains(path) {
            return Err(Errno::LOOP);
        }
        self.accounts.folders.contains_key(path).then_some(()).ok_or(Errno::NOENT)
    }
}

impl Replace for Sim {
    const PASSWORDS: bool = true;
    const KEYS: bool = true;
    type Parent = Parent;
    type Old = Old;
    type Draft = Draft;

    fn become_user(&mut self, user: u32, group: u32, groups: &[u32]) -> Result<(), Errno> {
        self.call(Kind::BecomeUser, |world| {
            world.accounts.became = Some((user, group, groups.to_vec()));
            Ok(())
        })
    }

    fn parent(&mut self, path: &[u8]) -> Result<Parent, Errno> {
        let path = String::from_utf8_lossy(path).into_owned();
        self.call(Kind::Parent, |world| world.folder(&path))?;
        Ok(Parent(path))
    }

    fn folder_in(&mut self, parent: &Parent, name: &[u8]) -> Result<Parent, Errno> {
        let path = parent.path(name);
        self.call(Kind::Parent, |world| world.folder(&path))?;
        Ok(Parent(path))
    }

    fn make_folder(&mut self, parent: &Parent, name: &[u8]) -> Result<(), Errno> {
        let path = parent.path(name);
        self.call(Kind::MakeFolder, |world| {
            world.may_change(&parent.0, "makes a folder");
            let user = world.accounts.became.as_ref().map_or(0, |(user, ..)| *user);
            world.accounts.folders.insert(path, user);
            Ok(())
        })
    }

    fn old(&mut self, parent: &Parent, name: &[u8]) -> Result<Old, Errno> {
        let path = parent.path(name);
        let text = self.call(Kind::Old, |world| {
            if world.accounts.links.contains(&path) {
                return Err(Errno::LOOP);
            }
            world.system.texts.get(&path).cloned().ok_or(Errno::NOENT)
        })?;
        Ok(Old { sim: self.clone(), text, position: 0 })
    }

    fn draft(
        &mut self,
        parent: &Parent,
        name: &'static [u8],
        _: Option<&Old>,
    ) -> Result<Draft, Errno> {
        let path = parent.path(name);
        self.call(Kind::Draft, |world| {
            world.may_change(&parent.0, "makes a file");
            if world.system.texts.contains_key(&path) {
                return Err(Errno::EXIST);
            }
            world.system.texts.insert(path.clone(), Vec::new());
            Ok(())
        })?;
        Ok(Draft { sim: self.clone(), path, is_published: false })
    }

    fn publish(&mut self, parent: &Parent, mut draft: Draft, name: &[u8]) -> Result<(), Errno> {
        let path = parent.path(name);
        self.call(Kind::Publish, |world| {
            let text = world.system.texts.remove(&draft.path).ok_or(Errno::NOENT)?;
            world.system.texts.insert(path, text);
            Ok(())
        })?;
        draft.is_published = true;
        Ok(())
    }

    fn remove(&mut self, parent: &Parent, name: &[u8]) -> Result<(), Errno> {
        let path = parent.path(name);
        self.call(Kind::RemoveFile, |world| {
            world.system.texts.remove(&path).map(drop).ok_or(Errno::NOENT)
        })
    }

    fn lock_users(&mut self) -> Result<(), Errno> {
        self.call(Kind::LockUsers, |world| {
            if world.accounts.locked_times > 0 {
                world.accounts.locked_times -= 1;
                return Err(Errno::AGAIN);
            }
            world.accounts.has_lock = true;
            Ok(())
        })
    }

    fn lock_file(&mut self, parent: &Parent, name: &'static [u8]) -> Result<(), Errno> {
        let path = parent.path(name);
        self.call(Kind::LockFile, |world| {
            world.may_change(&parent.0, "locks");
            if world.system.texts.contains_key(&path) {
                return Err(Errno::EXIST);
            }
            world.system.text(&path, "4711");
            Ok(())
        })
    }

    fn is_alive(&mut self, process: u64) -> bool {
        self.with(|world| world.accounts.processes.contains(&process))
    }

    fn pause(&mut self) {
        self.with(|world| {
            world.accounts.waited_ms += LOCK_PAUSE_MS;
            world.time.advance(LOCK_PAUSE_MS);
        });
    }
}
