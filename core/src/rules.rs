//! Which commands may be used: rows of THE TABLE by number and what is frozen in, why one may not
//! be used out. Names and lists of them become rows elsewhere ([`crate::Agent::restrict`]).

use crate::command::Command;
use crate::text::Text;

/// What a list of commands means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// These may not be used.
    Block = 0,
    /// Nothing but these may be used; what is blocked may not all the same.
    Allow = 1,
}

/// In a set: a list was given. No row has this number (table.rs).
pub const GIVEN: u32 = 63;

/// The commands that may be used, as numbers of rows. All zero when new: all of them.
#[derive(Clone, Copy)]
pub struct Rules {
    /// A set of rows for each [`Rule`].
    sets: [u64; 2],
}

impl Rules {
    /// Without any list.
    pub const fn new() -> Self {
        Rules { sets: [0; 2] }
    }

    /// Puts a row into a set, or [`GIVEN`].
    pub fn add(&mut self, rule: Rule, row: u32) {
        self.sets[rule as usize] |= bit(row);
    }

    /// Whether a row is in a set, or [`GIVEN`] is.
    pub fn has(&self, rule: Rule, row: u32) -> bool {
        self.sets[rule as usize] & bit(row) != 0
    }

    /// Why the command of a row may not be used now, if it may not. While something is frozen that
    /// alone decides, as with the reference: whoever froze it must be heard.
    #[inline(never)]
    pub fn refuse(&self, command: &Command, row: u32, frozen: bool) -> Option<Text> {
        if frozen {
            let why = text!("the agent is in frozen state");
            return (!command.while_frozen).then_some(why);
        }
        let allowed = !self.has(Rule::Allow, GIVEN) || self.has(Rule::Allow, row);
        let why = text!("the command is not allowed");
        (!allowed || self.has(Rule::Block, row)).then_some(why)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules::new()
    }
}

fn bit(row: u32) -> u64 {
    1u64.wrapping_shl(row)
}
