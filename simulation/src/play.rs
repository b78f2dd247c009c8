//! A session under way: one act after the other comes in; its memory goes out at the end, to be
//! used again. Invariant: what must be true is looked at after each act.

use crate::abandon::abandon;
use crate::burst::burst;
use crate::channel::settle;
use crate::check::check;
use crate::client::{Agent, Client};
use crate::cut::{break_off, killed_amid, stall};
use crate::end::end;
use crate::guest::guest;
use crate::record::Record;
use crate::restart::{over, restart, start, stop};
use crate::source::{Act, Source};
use crate::{files, freezing, mounting, outliving, requests, shutdown, time, trouble};
use qga_sim::{Fault, Sim};

/// A session under way.
pub struct Play<S> {
    /// Who asks, and is answered.
    pub client: Client<S>,
    /// What the oracle remembers.
    record: Record,
}

impl<S: Source> Play<S> {
    /// A new guest and a new agent in it; `old` is a session whose memory may be used again,
    /// `faults` is what fails there from the beginning.
    pub fn new(mut source: S, seed: u64, old: Option<Agent>, faults: &[Fault], show: bool) -> Self {
        let sim = guest(source.byte(), seed);
        faults.iter().for_each(|&fault| sim.with(|world| world.faults.fail(fault)));
        let mut client = Client::new(source, sim, old, show);
        let record = start(&mut client);
        Play { client, record }
    }

    /// All acts, each judged; then the end. Gives the session's memory back.
    pub fn run(mut self) -> Agent {
        self.run_acts();
        self.end()
    }

    /// All acts, each judged.
    pub fn run_acts(&mut self) {
        let Play { client, record } = self;
        while let Some(next) = client.source.act() {
            if over(client, record) {
                break;
            }
            if client.show {
                println!("-- {next:?}");
            }
            act(client, record, next);
            if client.show {
                show_guest(&client.session.sim);
            }
            check(client, record);
        }
    }

    /// The end. Gives the session's memory back.
    pub fn end(mut self) -> Agent {
        end(&mut self.client, &mut self.record);
        self.client.session
    }
}

/// Prints what is frozen, and what failed, by now.
fn show_guest(sim: &Sim) {
    sim.with(|world| {
        let frozen = world.mounts.superblocks.iter().any(|superblock| superblock.frozen.is_some());
        for mount in world.mounts.list.iter().filter(|_| frozen) {
            let (number, point) = (mount.superblock, mount.point.escape_ascii());
            let by = world.mounts.superblocks[number].frozen;
            print!("   {point} ({number}{})", by.map_or(String::new(), |by| format!(", {by:?}")));
        }
        if frozen {
            println!();
        }
        if let Some(mark) = world.store.mark() {
            println!("   mark: {}", mark.escape_ascii());
        }
        let calls = world.faults.trace();
        for (number, call) in calls.iter().enumerate().filter(|(_, call)| call.failed.is_some()) {
            println!("   failed: {number} {call:?}");
        }
    });
}

/// Whether what an act does depends on what a shutdown that is under way may still do.
fn needs_quiet(act: Act) -> bool {
    use Act::*;
    matches!(
        act,
        Simple
            | Open
            | Close
            | Read
            | Write
            | Seek
            | Flush
            | Freeze
            | Thaw
            | ShutDown
            | Stall
            | BreakOff
            | Abandon
            | KilledAmid
    )
}

/// Does what comes next.
fn act<S: Source>(client: &mut Client<S>, record: &mut Record, act: Act) {
    if needs_quiet(act) {
        settle(client, record);
        if over(client, record) {
            return;
        }
    }
    match act {
        Act::Raw => requests::raw(client, record),
        Act::Simple => requests::simple(client, record),
        Act::Open => files::open(client, record),
        Act::Close => files::close(client, record),
        Act::Read => files::read(client, record),
        Act::Write => files::write(client, record),
        Act::Seek => files::seek(client, record),
        Act::Flush => files::flush(client, record),
        Act::Status => freezing::status(client, record),
        Act::Freeze => freezing::freeze(client, record),
        Act::Thaw => freezing::thaw(client, record),
        Act::ShutDown => shutdown::shut_down(client, record),
        Act::Odd => requests::odd(client, record),
        Act::Disconnect => client.hang_up(),
        Act::Restart => restart(client, record),
        Act::KilledAmid => killed_amid(client, record),
        Act::Break => trouble::break_something(client),
        Act::Meddle => trouble::meddle(client, record),
        Act::Pieces => {
            client.manner.piece_bytes = usize::from(client.source.byte()) + 1;
            client.manner.take_bytes = usize::from(client.source.byte()) * 16 + 1;
        }
        Act::TimePasses => time::time_passes(client, record),
        Act::Stop => stop(client, record),
        Act::Burst => burst(client, record),
        Act::Stall => stall(client, record),
        Act::BreakOff => break_off(client, record),
        Act::Mount => mounting::mount(client, record),
        Act::Damage => outliving::damage(client, record),
        Act::Reclaim => trouble::reclaim(client),
        Act::Abandon => abandon(client, record),
        Act::Store => outliving::store(client, record),
        Act::Limit => time::limit(client, record),
    }
}
