//! The acts that cut others short: a request goes in, and on its way the client hangs up or does
//! not read, or the agent is killed. Invariant: nothing is sure after a kill.

use crate::burst::burst;
use crate::client::Client;
use crate::files::{open, read, write};
use crate::freezing::{freeze, thaw};
use crate::record::Record;
use crate::restart::{over, restart};
use crate::shutdown::shut_down;
use crate::source::Source;

/// The client hangs up in the middle of the next request, or of the reply to it.
pub fn break_off<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (into, out) = (client.source.byte(), client.source.byte());
    client.manner.break_off = Some(match into & 1 {
        0 => (usize::from(into >> 1), 0),
        _ => (0, usize::from(out)),
    });
    match client.source.byte() % 6 {
        0 => open(client, record),
        1 => read(client, record),
        2 => write(client, record),
        3 => freeze(client, record),
        4 => thaw(client, record),
        _ => burst(client, record),
    }
    client.manner.break_off = None;
}

/// The client asks and does not read for a while.
pub fn stall<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let byte = client.source.byte();
    client.manner.stalled = u32::from(byte & 15);
    if byte & 0xC0 == 0xC0 { freeze(client, record) } else { burst(client, record) }
}

/// The agent is killed in the middle of a command, and perhaps the next one while it recovers.
pub fn killed_amid<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let command = client.source.byte() % 6;
    let calls = u64::from(client.source.byte() % 64);
    client.dirty = true;
    client.session.sim.with(|world| world.faults.cut_after(world.faults.calls() + calls));
    record.sure = false;
    match command {
        0 | 1 => freeze(client, record),
        2 => thaw(client, record),
        3 => open(client, record),
        4 => write(client, record),
        _ => shut_down(client, record),
    }
    let again = client.source.byte();
    if again & 1 == 1 && !client.session.sim.with(|world| world.machine.ending.is_some()) {
        let calls = u64::from(again >> 3);
        client.session.sim.with(|world| {
            world.faults.uncut();
            world.faults.cut_after(world.faults.calls() + calls);
        });
        // Whether it came so far or not: it is killed then.
        let _ = client.session.restart();
    }
    record.sure = false;
    if !over(client, record) {
        restart(client, record);
    }
}
