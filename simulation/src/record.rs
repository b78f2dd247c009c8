//! The record: what happened in a session comes in, what the oracle must remember of it goes out.
//! Invariant: what is not known for sure is said to be unknown, so that no judgement rests on it.

use crate::model::Model;
use qga_sim::Sim;

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
    pub fn ended(self, answered: bool) -> Late {
        match self {
            Late::Yes | Late::Unknown if !answered => Late::Unknown,
            _ => Late::No,
        }
    }
}

/// What is remembered of a session.
pub struct Record {
    /// What the client knows of its files.
    pub model: Model,
    /// What is on record as frozen is what the agent froze, and can all be found.
    pub sure: bool,
    /// The superblocks that it froze, as bits.
    pub recorded: u64,
    /// The mark in force may be one without a list: what is covered then cannot be known.
    pub listless: bool,
    /// How often others' freezes were thawed, rightly.
    pub thawed_of_others: usize,
    /// When the present freeze must be over.
    pub due_ms: Option<u64>,
    /// What the next thaw may find.
    pub late: Late,
    /// A freeze was over before its reply could leave.
    pub over_early: bool,
    /// How many filesystems the present freeze found frozen by others, if that is known.
    pub theirs: Option<usize>,
    /// The saved state was damaged already: twice could give a handle twice.
    pub damaged: bool,
}

impl Record {
    /// That of a guest to which nothing has happened; `sure` says whether its agent could look for
    /// a mark.
    pub fn new(sim: &Sim, sure: bool) -> Self {
        Record {
            model: sim.with(|world| Model::new(world)),
            sure,
            recorded: 0,
            listless: false,
            thawed_of_others: 0,
            due_ms: None,
            late: Late::No,
            over_early: false,
            theirs: None,
            damaged: false,
        }
    }

    /// What others froze and the agent thawed by now was rightly thawed.
    pub fn allow_thaws_of_others(&mut self, sim: &Sim) {
        self.thawed_of_others = sim.with(|world| world.mounts.thawed_of_others);
    }

    /// What is frozen, if anything is, may not be found any more by an agent that comes later.
    pub fn mounts_changed(&mut self, is_frozen: bool) {
        self.sure &= !is_frozen;
    }

    /// What the client knows is looked up anew, after a request whose reply was lost.
    pub fn look_again(&mut self, sim: &Sim) {
        self.model.complete = false;
        self.model.files.iter_mut().for_each(|file| file.position = None);
        // The request that was lost may have closed one.
        self.model.files.clear();
        let next = sim.with(|world| {
            self.model.look_at_all(world);
            // Without a state no file was opened yet.
            world.store.state.as_deref().map_or(Some(1000), |state| {
                let line = std::str::from_utf8(state).ok()?.lines().nth(1)?;
                line.strip_prefix("fd_counter=")?.parse().ok()
            })
        });
        // Numbers that were saved and never told to anybody are skipped.
        self.model.next_handle = self.model.next_handle.max(next.unwrap_or(0));
    }
}
