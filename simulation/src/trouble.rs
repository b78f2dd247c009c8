//! The acts that make trouble: calls and filesystems that fail, what others freeze, thaw, mount and take away, and
//! what outlives the agent.

use crate::guest::{MORE_POINTS, POINTS, SUBVOLUMES};
use crate::play::{Agent, Play};
use crate::source::{Source, Trouble};
use crate::stops::bits;
use qga_core::Errno;
use qga_core::mark::MAGIC;
use qga_core::platform::Device;
use qga_sim::mounts::{By, Mount};
use qga_sim::store::PLACES;
use qga_sim::{Fault, Kind, World};

/// How far time goes on when the saved state is damaged: handle numbers then begin at the time of day, and
/// no agent opens a file each millisecond.
const DAMAGE_MS: u64 = 10_000;

fn mounted(world: &World, point: &str) -> bool {
    world.mounts.list.iter().any(|mount| mount.point == point.as_bytes())
}

impl<S: Source> Play<S> {
    pub(crate) fn break_something(&mut self) {
        let trouble = self.source.trouble();
        let (what, which, how) = (self.source.byte(), self.source.byte(), self.source.byte());
        let point = POINTS[usize::from(which) % POINTS.len()];
        self.session.sim.with(|world| match trouble {
            Trouble::Clear => world.faults.mend(),
            Trouble::Chance => world.faults.chance(u64::from(which) + 2),
            Trouble::Short => world.faults.shorten(usize::from(which) + 1),
            Trouble::Interrupted => world.faults.interrupt(),
            Trouble::Planned => {
                let kind = Kind::ALL[usize::from(which) % Kind::ALL.len()];
                let errnos = kind.errnos();
                if let Some(&errno) = errnos.get(usize::from(how) % errnos.len().max(1)) {
                    let number = world.faults.count(kind) + u64::from(what >> 5);
                    let lasting = what & 16 != 0;
                    world.faults.fail(Fault { kind: Some(kind), number, errno, lasting });
                }
            }
            Trouble::Freeze if mounted(world, point) => {
                let errors = [None, Some(Errno::IO), Some(Errno::OPNOTSUPP), Some(Errno::NOMEM)];
                world.mounts.at(point).freeze_error = errors[usize::from(how) % 4];
            }
            Trouble::Thaw if mounted(world, point) => {
                world.mounts.at(point).thaw_error = [None, Some(Errno::IO)][usize::from(how) % 2];
            }
            _ if what & 7 == 7 => world.faults.limit_descriptors(usize::from(how & 7)),
            _ => world.files.free_bytes = u64::from(how),
        });
    }

    /// Somebody else freezes or thaws.
    pub(crate) fn meddle(&mut self) {
        let (point, freeze) = (self.source.one_of(&POINTS), self.source.byte() & 1 == 0);
        let recorded = self.recorded;
        let confused = self.session.sim.with(|world| {
            if !mounted(world, point) {
                return false;
            }
            let superblock = world.mounts.at(point);
            match (superblock.frozen, freeze) {
                (None, true) => superblock.frozen = Some(By::Other),
                (Some(_), true) => {}
                (_, false) => superblock.frozen = None,
            }
            // What is on record as ours and was frozen anew by somebody else is taken for ours.
            recorded & bits(world, |s| s.frozen == Some(By::Other)) != 0
        });
        self.sure &= !(confused && self.session.agent().is_frozen());
    }

    /// A filesystem is mounted, also over another one, or one is taken away.
    pub(crate) fn mount(&mut self) {
        let (point, what) = (self.source.one_of(&MORE_POINTS), self.source.byte());
        if self.listless {
            return;
        }
        let subvolume = SUBVOLUMES[usize::from(what >> 4 & 1)];
        self.session.sim.with(|world| match what & 1 {
            0 if world.mounts.list.len() < 12 => {
                match what >> 5 {
                    // Something without a device over what has none either.
                    7 if mounted(world, subvolume) => {
                        world.mount("tmpfs", Device::new(0, 90), subvolume);
                    }
                    6 => world.mount("tmpfs", Device::new(0, 91), point),
                    5 => {
                        world.mount("ext4", Device::new(8, u32::from(what >> 1) % 5), point);
                        // What is mounted there lies so deep that its line of the table is longer than any.
                        let last = world.mounts.list.last_mut().expect("what was just mounted");
                        last.root = "/deep".repeat(5000);
                    }
                    _ => world.mount("ext4", Device::new(8, u32::from(what >> 1) % 5), point),
                }
            }
            // Not now, but while the agent looks at it.
            _ if what >> 5 == 6 => world.mounts.vanishing = Some(point.to_owned()),
            _ => {
                // A quarter is for a subvolume, where there are any.
                let which = what & 12 == 12 && mounted(world, subvolume);
                world.mounts.detach(if which { subvolume } else { point });
            }
        });
        self.mounts_changed();
    }

    /// Takes away what was mounted over others, and everything since; and what else nobody could find it by.
    pub(crate) fn uncover(&mut self) {
        let covers = |upper: &Mount, lower: &Mount| {
            let rest = lower.point.strip_prefix(&upper.point[..]);
            upper.point != b"/" && rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        };
        self.session.sim.with(|world| {
            let list = &world.mounts.list;
            let first = (0..list.len()).find(|&at| list[..at].iter().any(|m| covers(&list[at], m)));
            let kept = first.unwrap_or(list.len());
            while world.mounts.list.len() > kept {
                let point = world.mounts.list.last().map(|last| last.point.clone());
                let point = String::from_utf8(point.unwrap_or_default()).expect("a path of ours");
                assert!(world.mounts.detach(&point), "{point} cannot be taken away");
            }
            world.mounts.list.iter_mut().for_each(|mount| mount.root = "/".to_owned());
            world.mounts.vanishing = None;
        });
        self.mounts_changed();
    }

    /// What is frozen may not be found any more by an agent that comes later.
    pub(crate) fn mounts_changed(&mut self) {
        self.sure &= !self.session.agent().is_frozen();
    }

    /// What outlives the agent: its saved state is damaged, a reference agent was here, the guest was reset.
    pub(crate) fn damage(&mut self) {
        match self.source.byte() % 3 {
            0 if !std::mem::replace(&mut self.damaged, true) => self.session.sim.with(|world| {
                world.time.advance(DAMAGE_MS);
                // A clock that works: without it there is no telling what was given out.
                world.time.epoch_ms = 1_704_067_200_000;
                world.store.state = Some(b"[global]\nfd_counter=nonsense\n".to_vec());
                world.faults.mend();
            }),
            1 if !self.session.agent().is_frozen() => {
                let freeze = self.source.byte() & 1 == 0;
                self.uncover();
                self.listless = true;
                self.session.sim.with(|world| {
                    if freeze {
                        for number in world.mounts.reachable() {
                            world.mounts.superblocks[number].frozen.get_or_insert(By::Agent);
                        }
                    }
                    world.store.set_mark(Some(b""));
                });
                self.sure = false;
            }
            2 => self.session.sim.with(|world| {
                let digit = &mut world.store.boot_id[0];
                *digit = if *digit == b'0' { b'1' } else { b'0' };
                for superblock in &mut world.mounts.superblocks {
                    superblock.frozen = None;
                }
            }),
            _ => {}
        }
        // The agent that runs knows nothing of it.
        self.sure = false;
        self.restart();
    }

    /// The places for marks: full, gone, with something planted, covered; and a second agent, which is turned away.
    pub(crate) fn store(&mut self) {
        let (what, which) = (self.source.byte(), usize::from(self.source.byte()) % PLACES);
        let sim = self.session.sim.clone();
        let is_covered = sim.with(|world| {
            let store = &mut world.store;
            let other_speaks =
                store.mark_in(PLACES - 1 - which).is_some_and(|mark| mark.starts_with(MAGIC));
            let marked = store.is_marked();
            let place = &mut store.places[which];
            match what % 8 {
                0 => place.create_error = Some(Errno::NOSPC),
                1 => {
                    place.create_error =
                        Some([Errno::EXIST, Errno::OPNOTSUPP][usize::from(what >> 7)])
                }
                2 | 3 => place.bytes_max = usize::from(what),
                4 => {
                    (place.create_error, place.bytes_max) = (None, usize::MAX);
                }
                5 if !marked => {
                    store.set_mark_in(which, Some(b"qga-frozen 2 what anybody can have put there"));
                    store.places[which].planted = true;
                }
                6 if other_speaks || !marked => {
                    store.cover(which);
                    return true;
                }
                _ => {}
            }
            false
        });
        if is_covered {
            // What it says comes from the other place now.
            return self.restart();
        }
        if what % 8 == 7 {
            let calls = self.calls();
            let second = Agent::start_beside(&sim).err();
            assert_eq!(second, Some(Errno::BUSY), "a second agent");
            assert_eq!(self.calls(), calls, "a second agent touched something");
        }
    }

    /// The memory of large requests is given back: it is zero then.
    pub(crate) fn reclaim(&mut self) {
        let (agent, _) = self.session.parts();
        if let Some(memory) = agent.reclaim() {
            memory.fill(0);
        }
    }
}
