//! Freezing: calls of [`Freeze`] come in, mount points that are open, frozen or thawed go out.
//! Invariant: what is frozen stays so until somebody thaws it or it is neither mounted nor open.

use super::mark::Mark;
use super::text::Text;
use crate::canary::Canary;
use crate::kind::Kind;
use crate::mounts::{By, Hang, Lies};
use crate::sim::Sim;
use crate::store::PLACES;
use qga_core::Errno;
use qga_core::freezer::Freezer;
use qga_core::platform::{Below, Device, Freeze, Freezing as _, Inode, Report, Strings, Task};

/// An open mount point.
#[derive(Debug)]
pub struct Filesystem {
    sim: Sim,
    superblock: usize,
    inode: Inode,
}

impl Clone for Filesystem {
    /// As fork(2) and SCM_RIGHTS do.
    fn clone(&self) -> Self {
        self.sim.with(|world| {
            world.open.filesystems += 1;
            world.mounts.superblocks[self.superblock].opened += 1;
        });
        Filesystem { sim: self.sim.clone(), ..*self }
    }
}

impl Drop for Filesystem {
    fn drop(&mut self) {
        self.sim.with(|world| {
            world.open.filesystems -= 1;
            world.mounts.superblocks[self.superblock].opened -= 1;
            world.mounts.bury(self.superblock);
        });
    }
}

impl Freeze for Sim {
    const OFFERED: bool = true;
    type Table = Text;
    type Filesystem = Filesystem;
    type Mark = Mark;
    type Freezer = Freezer<Filesystem>;

    fn mounts(&mut self) -> Result<Text, Errno> {
        let kinds = (Kind::Mounts, Kind::ReadTable);
        Text::open(self, kinds, |open| &mut open.tables, |world| Ok(world.mounts.table()))
    }

    fn inspect(&mut self, path: &[u8]) -> Result<Inode, Errno> {
        self.call(Kind::Inspect, |world| {
            world.hang_at(path)?;
            let inode = world.inspect(path)?;
            let vanishes = |point: &mut String| point.as_bytes() == path;
            if let Some(point) = world.mounts.vanishing.take_if(vanishes) {
                world.mounts.detach(&point);
            }
            Ok(inode)
        })
    }

    fn open_mount(&mut self, path: &[u8]) -> Result<Filesystem, Errno> {
        let (superblock, inode) = self.call(Kind::OpenMount, |world| {
            let inode = world.inspect(path)?;
            let mount = world.mounts.covering(path).ok_or(Errno::NOENT)?.superblock;
            world.open.filesystems += 1;
            world.mounts.superblocks[mount].opened += 1;
            Ok((mount, inode))
        })?;
        Ok(Filesystem { sim: self.clone(), superblock, inode })
    }

    fn inspect_open(&mut self, filesystem: &Filesystem) -> Result<Inode, Errno> {
        self.call(Kind::InspectOpen, |_| Ok(filesystem.inode))
    }

    fn below(&mut self, device: Device, below: &mut Below) {
        let told = self.call(Kind::Below, |world| {
            let superblocks = &world.mounts.superblocks;
            if let Some(number) = superblocks.iter().position(|found| found.device == device) {
                world.hang_of(number, Hang::Below)?;
            }
            for &(_, lies) in world.mounts.lies.iter().filter(|(upper, _)| *upper == device) {
                match lies {
                    Lies::Made(of) => _ = below.add(of),
                    Lies::File(on) => below.add_filesystem(on),
                }
            }
            Ok(())
        });
        if told.is_err() {
            self.with(|world| world.mounts.lies_untold = true);
        }
    }

    fn freeze(&mut self, filesystem: &Filesystem) -> Result<(), Errno> {
        self.call(Kind::Freeze, |world| {
            world.hang_of(filesystem.superblock, Hang::Freeze)?;
            world.forbid_above_frozen(filesystem.superblock);
            let superblock = &mut world.mounts.superblocks[filesystem.superblock];
            if let Some(errno) = superblock.freeze_error {
                return Err(errno);
            }
            if superblock.frozen.is_some() {
                return Err(Errno::BUSY);
            }
            superblock.frozen = Some(By::Agent);
            world.mounts.changes.push((true, filesystem.superblock));
            Ok(())
        })
    }

    fn thaw(&mut self, filesystem: &Filesystem) -> Result<(), Errno> {
        let failed_before =
            self.with(|world| std::mem::replace(&mut world.mounts.thaw_failed, true));
        self.call(Kind::Thaw, |world| {
            world.hang_of(filesystem.superblock, Hang::Thaw)?;
            let superblock = &mut world.mounts.superblocks[filesystem.superblock];
            if let (Some(errno), Some(_)) = (superblock.thaw_error, superblock.frozen) {
                return Err(errno);
            }
            let by = superblock.frozen.ok_or(Errno::INVAL)?;
            world.mounts.thaw_failed = false;
            if failed_before && world.canary == Some(Canary::SwallowedThaw) {
                return Ok(());
            }
            superblock.frozen = None;
            world.mounts.thawed_of_others += usize::from(by == By::Other);
            world.mounts.changes.push((false, filesystem.superblock));
            Ok(())
        })
    }

    fn create_mark(&mut self, place: usize) -> Result<Mark, Errno> {
        if place >= PLACES {
            return Err(Errno::OPNOTSUPP);
        }
        let bytes = self.call(Kind::CreateMark, |world| world.store.begin_mark(place))?;
        Ok(Mark::new(self.clone(), place, bytes))
    }

    fn publish_mark(&mut self, place: usize) -> Result<(), Errno> {
        if place >= PLACES {
            return Err(Errno::OPNOTSUPP);
        }
        self.call(Kind::PublishMark, |world| world.store.publish_mark(place))
    }

    fn open_mark(&mut self, place: usize) -> Result<Mark, Errno> {
        if place >= PLACES {
            return Err(Errno::NOENT);
        }
        let bytes = self.call(Kind::OpenMark, |world| world.store.open_mark(place))?;
        Ok(Mark::new(self.clone(), place, bytes))
    }

    fn remove_mark(&mut self, place: usize) -> Result<(), Errno> {
        if place >= PLACES {
            return Err(Errno::NOENT);
        }
        self.call(Kind::RemoveMark, |world| {
            // More than one freeze has begun a mark in each place.
            if world.store.marks_begun == 2 * PLACES && world.canary == Some(Canary::LastingMark) {
                return Ok(());
            }
            world.store.remove_mark(place)
        })
    }

    fn boot_id(&mut self, id: &mut [u8; 36]) -> Result<(), Errno> {
        self.call(Kind::BootId, |world| {
            *id = world.store.boot_id;
            Ok(())
        })
    }

    fn work(
        &mut self,
        freezer: &mut Freezer<Filesystem>,
        task: Task,
        only: Option<Strings<'_>>,
    ) -> Result<(), Errno> {
        if !self.with(|world| world.workers.offered) {
            return Err(Errno::OPNOTSUPP);
        }
        self.call(Kind::Work, |_| Ok(()))?;
        let mut copy = Box::new(freezer.clone());
        self.with(|world| world.workers.begin());
        copy.run(self, task, only);
        self.with(|world| world.workers.end());
        Ok(())
    }

    fn tell(&mut self, report: &Report, held: Option<&Filesystem>, undo: Option<&Filesystem>) {
        let told = (*report, held.map(|filesystem| (filesystem.superblock, filesystem.inode)));
        let undo = undo.map(|filesystem| filesystem.superblock);
        self.with(|world| world.workers.tell(told, undo));
    }

    fn hear(&mut self, report: &mut Report) -> Result<Option<Filesystem>, Errno> {
        let (told, held) = self.with(|world| world.workers.hear())?;
        let filesystem = held.map(|(superblock, inode)| {
            self.with(|world| {
                world.open.filesystems += 1;
                world.mounts.superblocks[superblock].opened += 1;
            });
            Filesystem { sim: self.clone(), superblock, inode }
        });
        *report = told;
        Ok(filesystem)
    }

    fn dismiss(&mut self) {
        self.with(|world| {
            if let Some(number) = world.workers.dismiss() {
                world.mounts.superblocks[number].frozen = None;
                world.mounts.changes.push((false, number));
            }
        });
    }

    fn is_worker(&self) -> bool {
        self.with(|world| world.workers.is_inside())
    }

    fn lingers(&mut self) -> bool {
        self.with(|world| world.workers.lingers())
    }
}
