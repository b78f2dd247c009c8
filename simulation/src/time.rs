//! The acts of time: clocks that go on or jump, and freezes that may not last for ever.

use crate::play::Play;
use crate::source::Source;
use crate::stops::{bits, frozen_by_agent};
use qga_core::platform::{Clock as _, Level};
use qga_sim::World;
use qga_sim::mounts::By;

/// What the next guest-fsfreeze-thaw finds, if nothing is frozen then.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Late {
    /// Nothing of ours: it tries everything.
    #[default]
    No,
    /// A freeze that was over by itself: it does nothing.
    Yes,
    /// One of both: what was asked before had no reply.
    Unknown,
}

impl Late {
    /// Once something was asked that ends it, with a reply or without.
    pub(crate) fn ended(self, answered: bool) -> Late {
        match self {
            Late::Yes | Late::Unknown if !answered => Late::Unknown,
            _ => Late::No,
        }
    }
}

impl<S: Source> Play<S> {
    pub(crate) fn time_passes(&mut self) {
        let (what, ms) = (self.source.byte(), u64::from(self.source.byte()) * 100);
        self.session.sim.with(|world| match what & 7 {
            // The time of day jumps, to and fro and out of range.
            0 => world.time.epoch_ms = world.time.epoch_ms.saturating_sub(ms * 100_000),
            1 => world.time.epoch_ms = world.time.epoch_ms.saturating_add(ms * 1_000_000_000),
            // A guest that was stopped for days.
            2 => world.time.advance(ms * 100_000),
            _ => world.time.advance(ms),
        });
        self.time_comes();
    }

    /// The agent is killed, and another one started with another longest time of a freeze.
    pub(crate) fn limit(&mut self) {
        let which = self.source.byte();
        self.session.freeze_ms_max = [None, Some(1), Some(700), Some(9000)][usize::from(which % 4)];
        self.session.freeze_strict = which >> 2 & 3 == 3;
        self.restart();
    }

    /// Steps the agent if it asked for that by now, as every platform's loop does whatever the channel is
    /// like. A freeze that has lasted too long ends.
    pub(crate) fn time_comes(&mut self) {
        let (agent, sim) = self.session.parts();
        let now_ms = sim.now_ms();
        if !agent.is_frozen() || agent.deadline().is_none_or(|deadline_ms| now_ms < deadline_ms) {
            return;
        }
        let (sure, calls) = (self.sure, self.calls());
        let look = |world: &mut World| {
            let stuck = bits(world, |s| s.frozen == Some(By::Agent) && s.thaw_error.is_some());
            let errors = world.log.iter().filter(|line| line.level == Level::Error).count();
            (stuck, bits(world, |s| s.frozen == Some(By::Other)), errors)
        };
        let (stuck, others, lines) = self.session.sim.with(look);
        let (agent, sim) = self.session.parts();
        agent.step(sim);
        let thawed = !agent.is_frozen();
        let undisturbed = !self.failed_since(calls);
        let (_, others_now, lines_now) = self.session.sim.with(look);
        if sure && undisturbed {
            assert_eq!(thawed, stuck == 0, "the time is over: {stuck:b} cannot be thawed");
            assert_eq!(others, others_now, "thawed what others froze");
        } else {
            self.allow_thaws_of_others();
        }
        self.sure &= undisturbed;
        self.due_ms = None;
        self.late = if thawed { Late::Yes } else { Late::No };
        self.over_early = true;
        self.theirs = None;
        self.session.sim.with(|world| {
            let said = lines_now - lines;
            assert_eq!(said, usize::from(thawed), "lines about a freeze that was over");
            assert!(!thawed || world.log.last().is_some_and(|line| line.level == Level::Error));
            assert!(!thawed || frozen_by_agent(world) == 0 || !sure, "over, and still frozen");
        });
    }

    /// What must be true of the time after every act.
    pub(crate) fn check_time(&mut self) {
        let (agent, sim) = self.session.parts();
        let (now_ms, deadline_ms) = (sim.now_ms(), agent.deadline());
        let limit_ms = self.session.freeze_ms_max.filter(|_| self.session.agent().is_frozen());
        let Some(limit_ms) = limit_ms else {
            self.due_ms = None;
            return;
        };
        let deadline_ms = deadline_ms.expect("a freeze that may not last for ever has a deadline");
        assert!(deadline_ms > now_ms, "frozen at {now_ms}, should have ended at {deadline_ms}");
        assert!(deadline_ms - now_ms <= limit_ms, "frozen for longer than {limit_ms} ms");
        // Nothing puts the end of a freeze off.
        let due_ms = *self.due_ms.get_or_insert(deadline_ms);
        assert_eq!(deadline_ms, due_ms, "the end of a freeze was put off");
    }
}
