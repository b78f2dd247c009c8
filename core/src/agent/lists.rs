//! Lists of commands, as an administrator writes them: names in, which commands may be used out.

use super::Agent;
use crate::bytes::trimmed;
use crate::command::{Needs, Table};
use crate::platform::{Freezing as _, Level, Platform};
use crate::rules::{GIVEN, Rule};

impl<P: Platform, const FRAME: usize, const WINDOW: usize> Agent<P, FRAME, WINDOW> {
    /// Lets clients use no commands but those in a list, or none of those in it. Commas and
    /// semicolons divide the names, blanks around them do not count. Several lists count as one of
    /// each rule. A list without a name that allows, allows what tells nothing of the guest:
    /// guest-sync, guest-sync-delimited, guest-ping and guest-info. A name that this agent does not
    /// know is a warning in the log, and nothing else. To be called before the first step.
    #[inline(never)]
    pub fn restrict(&mut self, platform: &mut P, rule: Rule, names: &[u8]) {
        let rules = &mut self.state.rules;
        let mut is_empty = true;
        for name in names.split(|byte| matches!(byte, b',' | b';')).map(trimmed) {
            if name.is_empty() {
                continue;
            }
            is_empty = false;
            match Table::find(platform, name) {
                Some((row, _)) => rules.add(rule, row),
                None if self.state.freezer.may_write() => {
                    let what = phrase!("unknown command in a list of commands: ");
                    platform.log_of(Level::Warning, &[what], name);
                }
                None => {}
            }
        }
        rules.add(rule, GIVEN);
        for (number, row) in (0..).zip(Table::<P>::rows()) {
            if is_empty && rule == Rule::Allow && row.command.needs == Needs::Nothing {
                rules.add(rule, number);
            }
        }
    }

    /// The names of all commands of this guest, in the order of guest-info.
    pub fn commands() -> impl Iterator<Item = &'static str> {
        Table::<P>::rows().map(|row| row.command.name).filter(|name| !name.is_empty())
    }

    /// Whether there was a list of this rule.
    pub fn has_list(&self, rule: Rule) -> bool {
        self.state.rules.has(rule, GIVEN)
    }

    /// The commands that lists of this rule have named.
    pub fn named(&self, rule: Rule) -> impl Iterator<Item = &'static str> {
        let rules = self.state.rules;
        let rows = (0..).zip(Table::<P>::rows());
        rows.filter(move |(row, _)| rules.has(rule, *row)).map(|(_, row)| row.command.name)
    }
}
