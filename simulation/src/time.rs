//! The acts of time: how far the clocks go on or jump, or how long a freeze may last from now on,
//! comes in. Invariant: an agent whose time has come is stepped, whatever the channel is like.

use crate::client::Client;
use crate::deadline::time_comes;
use crate::record::Record;
use crate::restart::restart;
use crate::source::Source;

/// The clocks go on, or the time of day jumps.
pub fn time_passes<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (what, ms) = (client.source.byte(), u64::from(client.source.byte()) * 100);
    client.session.sim.with(|world| match what & 7 {
        // The time of day jumps, to and fro and out of range.
        0 => world.time.epoch_ms = world.time.epoch_ms.saturating_sub(ms * 100_000),
        1 => world.time.epoch_ms = world.time.epoch_ms.saturating_add(ms * 1_000_000_000),
        // A guest that was stopped for days.
        2 => world.time.advance(ms * 100_000),
        _ => world.time.advance(ms),
    });
    time_comes(client, record);
}

/// The agent is killed, and another one started with another longest time of a freeze.
pub fn limit<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let which = client.source.byte();
    client.session.freeze_ms_max = [None, Some(1), Some(700), Some(9000)][usize::from(which % 4)];
    client.session.freeze_strict = which >> 2 & 3 == 3;
    restart(client, record);
}
