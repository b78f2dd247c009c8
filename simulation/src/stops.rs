//! The acts that stop things: freezing and thawing, shutting down, the agent's own end, asked for and by kills.

use crate::channel::Rest;
use crate::play::Play;
use crate::reply::{self, Answer};
use crate::source::Source;
use crate::time::Late;
use qga_core::Errno;
use qga_core::freezer::Status;
use qga_core::mark::{HEAD_BYTES, MAGIC};
use qga_core::platform::Level;
use qga_sim::init::{Init, Sign};
use qga_sim::mounts::{By, Mount, Superblock};
use qga_sim::store::Place;
use qga_sim::{LogLine, World};

/// The superblocks for which `is` holds, as bits.
pub(crate) fn bits(world: &World, is: impl Fn(&Superblock) -> bool) -> u64 {
    let all = world.mounts.superblocks.iter().enumerate();
    all.filter(|(_, superblock)| is(superblock)).fold(0, |bits, (number, _)| bits | 1 << number)
}

/// The superblocks that the agent has frozen, as bits.
pub(crate) fn frozen_by_agent(world: &World) -> u64 {
    bits(world, |superblock| superblock.frozen == Some(By::Agent))
}

/// Whether an agent was killed in the middle of a freeze or a thaw, so that the next one must end what is frozen
/// and nothing stands in its way: no filesystem that is covered, is taken away meanwhile, or cannot be thawed.
fn is_unfinished(world: &World) -> bool {
    // The mark of a reference agent has no list, whatever was written into it since.
    let mark = world.store.mark().filter(|mark| mark.starts_with(MAGIC));
    let phase = mark.and_then(|mark| mark.get(HEAD_BYTES - 2).copied());
    matches!(phase, Some(b'f' | b't')) && {
        let reachable = world.mounts.reachable();
        let local = |mount: &&Mount| mount.device.major() != 0 || mount.kind == "btrfs";
        let mut mounts = world.mounts.list.iter().filter(local);
        mounts.all(|mount| reachable.contains(&mount.superblock))
            && world.mounts.vanishing.is_none()
            && bits(world, |superblock| superblock.thaw_error.is_some()) == 0
    }
}

impl<S: Source> Play<S> {
    pub(crate) fn status_word(&self) -> &'static str {
        match self.session.agent().state().freezer.status() {
            Status::Thawed => "\"thawed\"",
            Status::Frozen => "\"frozen\"",
            Status::Error => "\"error\"",
        }
    }

    pub(crate) fn status(&mut self) {
        let expected = self.status_word();
        if let Some(value) = self.must("guest-fsfreeze-status", format_args!("")) {
            assert_eq!(self.text(value), expected.as_bytes());
        }
    }

    /// What a freeze must do in which no call fails by the plan: the superblocks that it freezes; nothing
    /// when it must fail.
    fn freezable(&self) -> Option<u64> {
        self.session.sim.with(|world| {
            let (strict, hidden) = (self.session.freeze_strict, world.mounts.hidden());
            let reachable = world.mounts.reachable();
            // What comes cut may lead anywhere.
            let lost = |mount: &Mount| mount.is_cut() && !reachable.contains(&mount.superblock);
            if strict && !hidden.is_empty() || world.mounts.list.iter().any(lost) {
                return None;
            }
            let mut bits = 0;
            for number in reachable {
                let superblock = &world.mounts.superblocks[number];
                match (superblock.freeze_error, superblock.frozen) {
                    (Some(Errno::OPNOTSUPP), _) => {}
                    (Some(_), _) => return None,
                    (None, None) => bits |= 1 << number,
                    (None, Some(_)) if strict => return None,
                    (None, Some(_)) => {}
                }
            }
            // Nothing could be frozen, although something should have been.
            Some(bits).filter(|_| bits != 0 || hidden.is_empty())
        })
    }

    /// What a freeze that works leaves out and must speak of: where it is hidden, and how many others have frozen.
    fn left_out(&self) -> (Vec<String>, usize) {
        self.session.sim.with(|world| {
            let named = |mount: &&Mount| mount.point.escape_ascii().to_string();
            let hidden = world.mounts.hidden().iter().map(named).collect();
            let busy = |number: &usize| {
                let superblock = &world.mounts.superblocks[*number];
                superblock.freeze_error.is_none() && superblock.frozen.is_some()
            };
            (hidden, world.mounts.reachable().iter().filter(|number| busy(number)).count())
        })
    }

    /// What is left out was named in the log, from a line on: what is hidden, and how many others froze, when there is
    /// no thaw to wait for.
    fn check_left_out(&self, hidden: &[String], theirs: usize, lines: usize) {
        let warned = self.warned_since(lines);
        let named = |point: &String| warned.iter().any(|text| text.ends_with(point));
        assert!(hidden.iter().all(named), "left out {hidden:?}, and said {warned:?}");
        let silent = hidden.is_empty() && theirs == 0;
        assert!(warned.len() >= hidden.len() + theirs, "said only {warned:?}");
        assert!(!silent || warned.is_empty(), "said {warned:?} of nothing");
    }

    /// What will be taken away while the agent looks at it.
    fn vanishing(&self) -> Option<String> {
        self.session.sim.with(|world| world.mounts.vanishing.clone())
    }

    /// The warnings in the log from a line on.
    fn warned_since(&self, line: usize) -> Vec<String> {
        let warnings = |line: &&LogLine| line.level == Level::Warning;
        let text = |line: &LogLine| line.text.clone();
        self.session.sim.with(|world| world.log[line..].iter().filter(warnings).map(text).collect())
    }

    pub(crate) fn freeze(&mut self) {
        let (was_frozen, calls) = (self.session.agent().is_frozen(), self.calls());
        let (freezable, before) = (self.freezable(), self.session.sim.with(|w| frozen_by_agent(w)));
        let ((hidden, theirs), lines) = (self.left_out(), self.session.sim.with(|w| w.log.len()));
        let vanishing = self.vanishing();
        self.over_early = false;
        let answer = self.ask("guest-fsfreeze-freeze", format_args!(""));
        let failed = self.failed_since(calls);
        // What went away while the agent looked at it could not be frozen.
        let undisturbed = !failed && vanishing == self.vanishing();
        let frozen = self.session.sim.with(|world| frozen_by_agent(world));
        if !was_frozen && self.over_early {
            let expected = Answer::Error { not_found: false };
            assert_eq!(answer, expected, "told of a freeze that was over");
            assert!(frozen == 0 || !self.sure || failed || self.session.agent().is_frozen());
            self.recorded = frozen;
            return;
        }
        if !was_frozen {
            self.recorded = frozen;
            self.theirs = Some(theirs).filter(|_| undisturbed);
            self.sure &= !failed && answer != Answer::None;
            self.late = self.late.ended(answer != Answer::None);
        }
        match answer {
            Answer::Value(at) => {
                assert!(!was_frozen, "frozen twice");
                let count = reply::number(self.text(at));
                assert_eq!(count, i64::from(frozen.count_ones()), "so many are frozen");
                if undisturbed {
                    assert_eq!(Some(frozen), freezable, "froze others than it should");
                    let theirs = if count == 0 { theirs } else { 0 };
                    self.check_left_out(&hidden, theirs, lines);
                }
            }
            Answer::Error { not_found } => {
                assert_eq!(not_found, was_frozen, "the wrong class of error");
                if was_frozen {
                    let over = self.over_early;
                    assert!(over || frozen == before, "a refused freeze did something");
                    return;
                }
                let room = self.session.sim.with(|world| {
                    let is_free = |place: &Place| {
                        place.create_error.is_none() && place.bytes_max > usize::from(u8::MAX)
                    };
                    world.store.places.iter().any(is_free)
                });
                let expected = freezable.is_none() || !undisturbed || !room;
                assert!(expected, "could have frozen");
                let status = self.session.agent().state().freezer.status();
                assert!(
                    frozen == 0 || status == Status::Error,
                    "left {frozen:b} frozen: {status:?}"
                );
            }
            Answer::None => {}
        }
    }

    pub(crate) fn thaw(&mut self) {
        let (was_frozen, calls) = (self.session.agent().is_frozen(), self.calls());
        let sure = self.sure;
        let (ours, any, stuck, foreign) = self.session.sim.with(|world| {
            let reachable = world.mounts.reachable().iter().fold(0u64, |bits, n| bits | 1 << n);
            let any = bits(world, |s| s.frozen.is_some() && s.thaw_error.is_none()) & reachable;
            let ours = frozen_by_agent(world);
            let stuck = bits(world, |s| s.frozen == Some(By::Agent) && s.thaw_error.is_some());
            (ours, any, stuck, bits(world, |s| s.frozen == Some(By::Other)))
        });
        let (theirs, lines) = (self.theirs, self.session.sim.with(|world| world.log.len()));
        let vanishing = self.vanishing();
        let answer = self.ask("guest-fsfreeze-thaw", format_args!(""));
        let undisturbed = !self.failed_since(calls) && vanishing == self.vanishing();
        let (now_ours, now_foreign) = self
            .session
            .sim
            .with(|world| (frozen_by_agent(world), bits(world, |s| s.frozen == Some(By::Other))));
        let late = if was_frozen { Late::No } else { self.late };
        self.late = late.ended(answer != Answer::None);
        if late == Late::Yes {
            // It comes for a freeze that is over: what others have frozen is none of its business.
            if let Answer::Value(at) = &answer {
                assert_eq!(self.text(at.clone()), b"0", "a thaw that came too late");
            }
            assert!(matches!(answer, Answer::Value(_) | Answer::None), "a thaw that came too late");
            assert_eq!((now_ours, now_foreign), (ours, foreign), "a thaw that came too late");
            return;
        }
        if !was_frozen || !sure {
            // With nothing recorded, or no list, it is for what others froze as well.
            self.allow_thaws_of_others();
        }
        self.sure &= undisturbed && answer != Answer::None;
        match answer {
            Answer::Value(at) => {
                let count = reply::number(self.text(at));
                let left = self.session.sim.with(|world| world.mounts.is_frozen_by_agent());
                assert!(!left, "a thaw that worked left something frozen");
                if was_frozen && sure && undisturbed {
                    assert_eq!(stuck, 0, "thawed what cannot be");
                    assert_eq!(count, i64::from(ours.count_ones()), "another count than were ours");
                    assert_eq!(foreign, now_foreign, "thawed what others froze");
                    let said = self.warned_since(lines).len();
                    assert!(theirs.is_none_or(|count| count == said), "{said} of {theirs:?} named");
                }
                self.theirs = None;
                if !was_frozen && undisturbed && late == Late::No {
                    assert_eq!(count, i64::from(any.count_ones()), "another count than could be");
                }
            }
            Answer::Error { not_found } => {
                assert!(!not_found, "the wrong class of error");
                let expected = stuck != 0 || !undisturbed || !sure || !was_frozen;
                assert!(expected, "could have thawed");
                assert!(now_ours & !ours == 0, "a thaw froze something");
            }
            Answer::None => {}
        }
    }

    /// What others froze and the agent thawed by now was rightly thawed.
    pub(crate) fn allow_thaws_of_others(&mut self) {
        self.thawed_of_others = self.session.sim.with(|world| world.mounts.thawed_of_others);
    }

    pub(crate) fn shut_down(&mut self) {
        let mode = self.source.one_of(&["powerdown", "halt", "reboot"]);
        let was_frozen = self.session.agent().is_frozen();
        let before = self.session.sim.with(|world| world.machine.started.len());
        let since_ms = self.session.sim.with(|world| world.time.now_ms);
        self.begin();
        let id = self.append("guest-shutdown", format_args!("\"mode\": \"{mode}\""));
        let rest = self.exchange();
        let mut started = self.session.sim.with(|world| world.machine.started[before..].to_vec());
        // Asking systemd for its state changes nothing.
        started.retain(|line| line != "/bin/systemctl is-system-running");
        let known = |line: &String| {
            let word = line.split(' ').next().unwrap_or_default();
            [format!("/sbin/{mode}").replace("down", "off").as_str(), "/sbin/shutdown"]
                .contains(&word)
        };
        assert!(started.len() <= 2 && started.iter().all(known), "started {started:?} for {mode}");
        assert!(!was_frozen || started.is_empty(), "started {started:?} while frozen");
        self.mounts_changed();
        if rest != Rest::Idle {
            return;
        }
        if self.output.is_empty() {
            // Never silence, but when the machine is seen going down.
            let works = self.session.sim.with(|world| {
                let seen = |init: &Init| init.down_at_ms.is_some() && init.shows.1 != Sign::Nothing;
                world.machine.init.as_ref().is_some_and(seen)
            });
            assert!(works, "no reply, and nothing that shuts down");
            return;
        }
        let answer = reply::read(&self.output, 0..self.output.len(), id);
        assert_eq!(answer, Answer::Error { not_found: was_frozen }, "guest-shutdown {mode}");
        let took_ms = self.session.sim.with(|world| world.time.now_ms) - since_ms;
        // A machine that does not run the agent for a minute is not the agent's fault.
        assert!(took_ms % 60_000 <= 20_000, "an answer after {took_ms} ms");
    }

    /// The agent is killed and another one started; while calls fail it may not start, then they
    /// stop failing.
    pub(crate) fn restart(&mut self) {
        self.model.files.clear();
        self.model.complete = true;
        self.dirty = false;
        (self.due_ms, self.late, self.theirs) = (None, Late::No, None);
        let status = self.session.agent().state().freezer.status();
        let (sure, calls) = (self.sure, self.calls());
        self.session.sim.with(|world| world.faults.uncut());
        let unfinished = self.session.sim.with(|world| is_unfinished(world));
        let mut undisturbed = true;
        if self.session.restart().is_err() {
            assert!(self.failed_since(calls), "no start, and nothing failed");
            undisturbed = false;
            self.session.sim.with(|world| world.faults.mend());
            self.session.restart().expect("without faults it starts");
        }
        undisturbed &= !self.failed_since(calls);
        let now = self.session.agent().state().freezer.status();
        let finished = now == Status::Thawed || !undisturbed;
        assert!(finished || !unfinished, "a freeze or thaw was cut off, and is not ended: {now:?}");
        if status != Status::Frozen || !undisturbed || !sure {
            // It may have gone on thawing, and what it does not know it may take for its own.
            self.sure &= undisturbed && sure && status != Status::Error;
            self.allow_thaws_of_others();
        } else {
            assert_eq!(self.session.agent().state().freezer.status(), status, "after a restart");
        }
    }

    /// Asked to end: it thaws first, and stays while it cannot.
    pub(crate) fn stop(&mut self) {
        let (was_frozen, sure, calls) = (self.session.agent().is_frozen(), self.sure, self.calls());
        self.session.stop();
        self.theirs = None;
        self.sure &= !self.failed_since(calls);
        if was_frozen && !sure {
            self.allow_thaws_of_others();
        }
        let (stopping, state) = (self.session.agent().is_stopping(), self.session.agent().state());
        let busy = self.session.agent().is_frozen() || state.shutdown.ends_all();
        assert_eq!(stopping, !busy, "stops while frozen or ending the machine, or does not");
    }

    /// The agent is killed in the middle of a command, and perhaps the next one while it recovers.
    pub(crate) fn killed_amid(&mut self) {
        let command = self.source.byte() % 6;
        let calls = u64::from(self.source.byte() % 64);
        self.dirty = true;
        self.session.sim.with(|world| world.faults.cut_after(world.faults.calls() + calls));
        self.sure = false;
        match command {
            0 | 1 => self.freeze(),
            2 => self.thaw(),
            3 => self.open(),
            4 => self.write(),
            _ => self.shut_down(),
        }
        let again = self.source.byte();
        if again & 1 == 1 && !self.session.sim.with(|world| world.machine.ending.is_some()) {
            let calls = u64::from(again >> 3);
            self.session.sim.with(|world| {
                world.faults.uncut();
                world.faults.cut_after(world.faults.calls() + calls);
            });
            // Whether it came so far or not: it is killed then.
            let _ = self.session.restart();
        }
        self.sure = false;
        if !self.over() {
            self.restart();
        }
    }
}
