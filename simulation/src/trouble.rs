//! The acts that make trouble for the agent that runs: what, where and how comes in; calls and
//! filesystems fail, others freeze and thaw, memory is given back. Invariant: the record is not
//! sure of what others may be taken for.

use crate::client::Client;
use crate::guest::POINTS;
use crate::record::Record;
use crate::sight::{bits, mounted};
use crate::source::{Source, Trouble};
use qga_core::Errno;
use qga_sim::mounts::By;
use qga_sim::{Fault, Kind};

/// From now on something fails, or nothing any more.
pub fn break_something<S: Source>(client: &mut Client<S>) {
    let trouble = client.source.trouble();
    let (what, which, how) = (client.source.byte(), client.source.byte(), client.source.byte());
    let point = POINTS[usize::from(which) % POINTS.len()];
    client.session.sim.with(|world| match trouble {
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
pub fn meddle<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (point, freeze) = (client.source.one_of(&POINTS), client.source.byte() & 1 == 0);
    let recorded = record.recorded;
    let confused = client.session.sim.with(|world| {
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
    record.sure &= !(confused && client.is_frozen());
}

/// The memory of large requests is given back: it is zero then.
pub fn reclaim<S: Source>(client: &mut Client<S>) {
    let (agent, _) = client.session.parts();
    while let Some(memory) = agent.reclaim() {
        memory.fill(0);
    }
}
