//! The log: pieces of a line in, a line of [`World::log`](crate::World::log) out. Invariant: a line
//! that comes while something is frozen is a violation.

use crate::kind::Kind;
use crate::sim::Sim;
use crate::world::LogLine;
use qga_core::platform::{Level, Log};
use qga_core::text::Phrase;

impl Log for Sim {
    fn log(&mut self, level: Level, pieces: &[Phrase]) {
        self.log_of(level, pieces, b"");
    }

    fn log_of(&mut self, level: Level, pieces: &[Phrase], path: &[u8]) {
        self.sure(Kind::Log, (), |world| {
            world.forbid_while_frozen("log");
            let words: String = pieces.iter().map(Phrase::to_string).collect();
            let text = format!("{words}{}", path.escape_ascii());
            world.log.push(LogLine { level, text });
        });
    }
}
