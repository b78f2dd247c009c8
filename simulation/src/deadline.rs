//! The end of a freeze that may not last for ever: how late it is comes in, a panic goes out if the
//! agent has not ended its freeze when it had to. Invariant: nothing puts that end off.

use crate::client::Client;
use crate::record::{Late, Record};
use crate::sight::{bits, frozen_by_agent};
use crate::source::Source;
use qga_core::platform::{Clock as _, Level};
use qga_sim::World;
use qga_sim::mounts::By;

/// Steps the agent if it asked for that by now, as every platform's loop does whatever the channel
/// is like. A freeze that has lasted too long ends.
pub fn time_comes<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (agent, sim) = client.session.parts();
    let now_ms = sim.now_ms();
    if !agent.is_frozen() || agent.deadline().is_none_or(|deadline_ms| now_ms < deadline_ms) {
        return;
    }
    let (sure, calls) = (record.sure, client.calls());
    let look = |world: &mut World| {
        let stuck = bits(world, |s| s.frozen == Some(By::Agent) && s.thaw_error.is_some());
        let errors = world.log.iter().filter(|line| line.level == Level::Error).count();
        (stuck, bits(world, |s| s.frozen == Some(By::Other)), errors)
    };
    let (stuck, others, lines) = client.session.sim.with(look);
    let (agent, sim) = client.session.parts();
    agent.step(sim);
    let thawed = !agent.is_frozen();
    let undisturbed = !client.failed_since(calls);
    let (_, others_now, lines_now) = client.session.sim.with(look);
    if sure && undisturbed {
        assert_eq!(thawed, stuck == 0, "the time is over: {stuck:b} cannot be thawed");
        assert_eq!(others, others_now, "thawed what others froze");
    } else {
        record.allow_thaws_of_others(&client.session.sim);
    }
    record.sure &= undisturbed;
    record.due_ms = None;
    record.late = if thawed { Late::Yes } else { Late::No };
    record.over_early = true;
    record.theirs = None;
    client.session.sim.with(|world| {
        let said = lines_now - lines;
        assert_eq!(said, usize::from(thawed), "lines about a freeze that was over");
        assert!(!thawed || world.log.last().is_some_and(|line| line.level == Level::Error));
        assert!(!thawed || frozen_by_agent(world) == 0 || !sure, "over, and still frozen");
    });
}

/// What must be true of the time after every act.
pub fn check_time<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (agent, sim) = client.session.parts();
    let (now_ms, deadline_ms) = (sim.now_ms(), agent.deadline());
    let limit_ms = client.session.freeze_ms_max.filter(|_| client.is_frozen());
    let Some(limit_ms) = limit_ms else {
        record.due_ms = None;
        return;
    };
    let deadline_ms = deadline_ms.expect("a freeze that may not last for ever has a deadline");
    assert!(deadline_ms > now_ms, "frozen at {now_ms}, should have ended at {deadline_ms}");
    assert!(deadline_ms - now_ms <= limit_ms, "frozen for longer than {limit_ms} ms");
    // Nothing puts the end of a freeze off.
    let due_ms = *record.due_ms.get_or_insert(deadline_ms);
    assert_eq!(deadline_ms, due_ms, "the end of a freeze was put off");
}
