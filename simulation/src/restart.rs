//! The end of an agent and the start of the next one: what stands on record comes in, what is still
//! known of it goes out. Invariant: a freeze outlives its agent as it was, unless something fails
//! or it was not sure.

use crate::client::Client;
use crate::record::{Late, Record};
use crate::sight::is_unfinished;
use crate::source::Source;
use qga_core::platform::FreezeStatus;

/// The first agent of a session; what is known then. While calls fail it may not start, then they
/// stop failing.
pub fn start<S: Source>(client: &mut Client<S>) -> Record {
    let started = client.session.restart();
    // Who could not look for a mark takes everything for frozen.
    let sure = !client.failed_since(0);
    if let Err(errno) = started {
        assert!(!sure, "no start, although nothing failed: {errno}");
        client.session.sim.with(|world| world.faults.mend());
        client.session.restart().expect("without faults it starts");
    }
    Record::new(&client.session.sim, sure)
}

/// The agent is killed and another one started; while calls fail it may not start, then they
/// stop failing.
pub fn restart<S: Source>(client: &mut Client<S>, record: &mut Record) {
    record.model.files.clear();
    record.model.complete = true;
    client.dirty = false;
    (record.due_ms, record.late, record.theirs) = (None, Late::No, None);
    let status = client.status();
    let (sure, calls) = (record.sure, client.calls());
    client.session.sim.with(|world| world.faults.uncut());
    let unfinished = client.session.sim.with(|world| is_unfinished(world));
    let mut undisturbed = true;
    if client.session.restart().is_err() {
        assert!(client.failed_since(calls), "no start, and nothing failed");
        undisturbed = false;
        client.session.sim.with(|world| world.faults.mend());
        client.session.restart().expect("without faults it starts");
    }
    undisturbed &= !client.failed_since(calls);
    let now = client.status();
    let finished = now == FreezeStatus::Thawed || !undisturbed;
    assert!(finished || !unfinished, "a freeze or thaw was cut off, and is not ended: {now:?}");
    if status != FreezeStatus::Frozen || !undisturbed || !sure {
        // It may have gone on thawing, and what it does not know it may take for its own.
        record.sure &= undisturbed && sure && status != FreezeStatus::Error;
        record.allow_thaws_of_others(&client.session.sim);
    } else {
        assert_eq!(client.status(), status, "after a restart");
    }
}

/// Whether the guest has ended. An agent that only has exited is started again.
pub fn over<S: Source>(client: &mut Client<S>, record: &mut Record) -> bool {
    let ended = client.session.sim.with(|world| world.machine.ending.is_some());
    if !ended && client.session.agent().is_stopping() {
        restart(client, record);
    }
    ended
}

/// Asked to end: it thaws first, and stays while it cannot.
pub fn stop<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (was_frozen, sure, calls) = (client.is_frozen(), record.sure, client.calls());
    client.session.stop();
    record.theirs = None;
    record.sure &= !client.failed_since(calls);
    if was_frozen && !sure {
        record.allow_thaws_of_others(&client.session.sim);
    }
    let (stopping, state) = (client.session.agent().is_stopping(), client.session.agent().state());
    let busy = client.is_frozen() || state.shutdown.ends_all();
    assert_eq!(stopping, !busy, "stops while frozen or ending the machine, or does not");
}
