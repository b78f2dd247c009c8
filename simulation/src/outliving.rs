//! The acts on what outlives an agent: what and how comes in; the saved state, marks and the boot
//! are damaged, places for marks are full, covered or planted, a second agent starts. Invariant:
//! that one is turned away and touches nothing.

use crate::client::{Agent, Client};
use crate::mounting::uncover;
use crate::record::Record;
use crate::restart::restart;
use crate::source::Source;
use qga_core::Errno;
use qga_core::internals::mark::MAGIC;
use qga_sim::mounts::By;
use qga_sim::store::PLACES;

/// How far time goes on when the saved state is damaged: handle numbers then begin at the time of
/// day, and no agent opens a file each millisecond.
const DAMAGE_MS: u64 = 10_000;

/// What outlives the agent: its saved state is damaged, a reference agent was here, the guest was
/// reset.
pub fn damage<S: Source>(client: &mut Client<S>, record: &mut Record) {
    match client.source.byte() % 3 {
        0 if !std::mem::replace(&mut record.damaged, true) => client.session.sim.with(|world| {
            world.time.advance(DAMAGE_MS);
            // A clock that works: without it there is no telling what was given out.
            world.time.epoch_ms = 1_704_067_200_000;
            world.store.state = Some(b"[global]\nfd_counter=nonsense\n".to_vec());
            world.faults.mend();
        }),
        1 if !client.is_frozen() => {
            let freeze = client.source.byte() & 1 == 0;
            uncover(client, record);
            record.listless = true;
            client.session.sim.with(|world| {
                if freeze {
                    for number in world.mounts.reachable() {
                        world.mounts.superblocks[number].frozen.get_or_insert(By::Agent);
                    }
                }
                world.store.set_mark(Some(b""));
            });
            record.sure = false;
        }
        2 => client.session.sim.with(|world| {
            let digit = &mut world.store.boot_id[0];
            *digit = if *digit == b'0' { b'1' } else { b'0' };
            for superblock in &mut world.mounts.superblocks {
                superblock.frozen = None;
            }
        }),
        _ => {}
    }
    // The agent that runs knows nothing of it.
    record.sure = false;
    restart(client, record);
}

/// The places for marks: full, gone, with something planted, covered; and a second agent, which is
/// turned away.
pub fn store<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (what, which) = (client.source.byte(), usize::from(client.source.byte()) % PLACES);
    let sim = client.session.sim.clone();
    let is_covered = sim.with(|world| {
        let store = &mut world.store;
        let other_speaks =
            store.mark_in(PLACES - 1 - which).is_some_and(|mark| mark.starts_with(MAGIC));
        let marked = store.is_marked();
        let place = &mut store.places[which];
        match what % 8 {
            0 => place.create_error = Some(Errno::NOSPC),
            1 => {
                place.create_error = Some([Errno::EXIST, Errno::OPNOTSUPP][usize::from(what >> 7)])
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
        return restart(client, record);
    }
    if what % 8 == 7 {
        let calls = client.calls();
        let second = Agent::start_beside(&sim).err();
        assert_eq!(second, Some(Errno::BUSY), "a second agent");
        assert_eq!(client.calls(), calls, "a second agent touched something");
    }
}
