//! The acts that make trouble: freezing, shutting down, kills, faults, what others do to
//! filesystems; and what must be true after every act and at the end.

use super::*;

impl Play {
    pub(super) fn frozen_by_agent(&self) -> usize {
        let by_agent = |by: Option<By>| by == Some(By::Agent);
        self.session.sim.with(|world| {
            world.mounts.superblocks.iter().filter(|superblock| by_agent(superblock.frozen)).count()
        })
    }

    pub(super) fn status(&mut self) {
        let status = self.ask("guest-fsfreeze-status", json!({})).expect("a status");
        let expected = match self.session.agent().state().freezer.status() {
            Status::Thawed => "thawed",
            Status::Frozen => "frozen",
            Status::Error => "error",
        };
        assert_eq!(status, expected);
    }

    pub(super) fn freeze(&mut self) {
        let was_frozen = self.session.agent().is_frozen();
        let count = self.ask("guest-fsfreeze-freeze", json!({}));
        let frozen = self.frozen_by_agent();
        if let Some(count) = count {
            assert!(!was_frozen, "frozen twice");
            assert_eq!(count, frozen, "so many are frozen");
        } else if !was_frozen && frozen > 0 {
            let status = self.session.agent().state().freezer.status();
            assert_eq!(status, Status::Error, "a freeze that failed left {frozen} frozen");
        }
    }

    pub(super) fn thaw(&mut self) {
        let before = self.frozen_by_agent();
        if let Some(count) = self.ask("guest-fsfreeze-thaw", json!({})) {
            assert_eq!(self.frozen_by_agent(), 0, "a thaw that worked left something frozen");
            assert!(self.meddled || count == before, "{count} thawed, {before} were frozen");
        }
    }

    pub(super) fn shut_down(&mut self, input: &mut Input) {
        let mode = input.one_of(&["powerdown", "halt", "reboot"]);
        let request = json!({"execute": "guest-shutdown", "arguments": {"mode": mode}});
        let bytes = [request.to_string().as_bytes(), b"\n"].concat();
        let bytes =
            if std::mem::take(&mut self.dirty) { [b"\xFF", &bytes[..]].concat() } else { bytes };
        let replies = parse(&self.session.send(&bytes));
        let [] = replies.as_slice() else {
            assert!(replies.len() == 1 && replies[0].get("error").is_some(), "{replies:?}");
            return;
        };
    }

    /// The agent is killed and another one started; while calls fail it may not start, then they
    /// stop failing.
    pub(super) fn restart(&mut self) {
        self.model.files.clear();
        self.dirty = false;
        if self.session.restart().is_err() {
            self.meddled = true;
            self.session.sim.with(|world| world.faults.clear());
            self.session.restart().expect("without faults it starts");
        }
    }

    /// The agent is killed in the middle of a command.
    pub(super) fn killed_amid(&mut self, input: &mut Input) {
        let command = input.one_of(&["fsfreeze-freeze", "fsfreeze-thaw", "file-open", "ping"]);
        let calls = u64::from(input.byte() % 64);
        let request = match command {
            "file-open" => json!({"path": "/d/new", "mode": "w"}),
            _ => json!({}),
        };
        let request = json!({"execute": format!("guest-{command}"), "arguments": request});
        let bytes = [b"\xFF", request.to_string().as_bytes()].concat();
        self.session.sim.with(|world| world.faults.cut_after(world.faults.calls() + calls));
        self.session.send(&bytes);
        self.session.sim.with(|world| world.faults.clear());
        // Handle numbers that were saved and never told to anybody are skipped.
        self.meddled = true;
        self.restart();
    }

    pub(super) fn break_something(&mut self, input: &mut Input) {
        let (what, which, how) = (input.byte(), input.byte(), input.byte());
        let errno = faults::HONEST[usize::from(how) % faults::HONEST.len()];
        let point = POINTS[usize::from(which) % POINTS.len()];
        self.meddled = true;
        self.session.sim.with(|world| match what % 8 {
            0 => world.faults.clear(),
            1 => world.faults.chance(u64::from(which) + 2),
            2 => world.faults.shorten(usize::from(which) + 1),
            3 => world.faults.interrupt(),
            4 => {
                let kind = Kind::ALL[usize::from(which) % Kind::ALL.len()];
                let number = world.faults.count(kind) + u64::from(what >> 5);
                let lasting = what & 16 != 0;
                world.faults.fail(Fault { kind: Some(kind), number, errno, lasting });
            }
            5 if mounted(world, point) => {
                let errors = [None, Some(Errno::IO), Some(Errno::OPNOTSUPP), Some(Errno::NOMEM)];
                world.mounts.at(point).freeze_error = errors[usize::from(how) % 4];
            }
            6 if mounted(world, point) => {
                let errors = [None, Some(Errno::IO)];
                world.mounts.at(point).thaw_error = errors[usize::from(how) % 2];
            }
            _ => world.files.free_bytes = u64::from(how),
        });
    }

    /// Somebody else freezes or thaws.
    pub(super) fn meddle(&mut self, input: &mut Input) {
        let (point, freeze) = (input.one_of(&POINTS), input.byte() & 1 == 0);
        self.meddled = true;
        self.session.sim.with(|world| {
            if !mounted(world, point) {
                return;
            }
            let superblock = world.mounts.at(point);
            superblock.frozen = match (superblock.frozen, freeze) {
                (None, true) => Some(By::Other),
                (Some(by), true) => Some(by),
                (_, false) => None,
            };
        });
    }

    /// What must be true after every act.
    pub(super) fn check(&mut self) {
        let handles = self.session.agent().state().files.len();
        let status = self.session.agent().state().freezer.status();
        let frozen = self.frozen_by_agent();
        self.session.sim.with(|world| {
            assert_eq!(world.violations, Vec::<String>::new());
            if world.machine.ending.is_none() {
                assert_eq!(world.open.files, handles, "files are open that no handle owns");
                assert_eq!((world.open.marks, world.open.tables), (0, 0));
            }
        });
        assert!(self.model.files.len() <= handles, "an open file is gone");
        if status == Status::Thawed {
            assert_eq!(frozen, 0, "called thawed, and is not");
        } else if !self.meddled {
            assert!(frozen > 0, "called {status:?}, and is not");
        }
    }

    /// Everything that was broken is repaired: the agent answers, and what it froze runs again.
    pub(super) fn end(mut self) {
        if self.over() {
            return;
        }
        self.session.sim.with(|world| {
            world.faults.clear();
            world.mounts.superblocks.iter_mut().for_each(|superblock| superblock.thaw_error = None);
        });
        self.dirty = true;
        assert_eq!(self.ask("guest-sync", json!({"id": 7})), Some(json!(7)));
        // A mark that could not be removed makes the next agent careful, once.
        for _ in 0..2 {
            if self.session.agent().is_frozen() {
                let thawed = self.ask("guest-fsfreeze-thaw", json!({})).is_some();
                // What a shutdown that failed has unmounted is reported, and off the record.
                let gone = |world: &mut World| POINTS.iter().any(|point| !mounted(world, point));
                let excused = self.session.sim.with(gone) && !self.session.agent().is_frozen();
                assert!(thawed || excused, "a thaw without faults");
            }
            self.restart();
        }
        assert_eq!(self.session.agent().state().freezer.status(), Status::Thawed);
        self.check();
        self.session.sim.with(|world| {
            assert_eq!(world.open.files, 0);
            assert_eq!(world.open.filesystems, 0);
        });
    }
}

fn mounted(world: &World, point: &str) -> bool {
    world.mounts.list.iter().any(|mount| mount.point == point.as_bytes())
}
