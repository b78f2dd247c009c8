//! Process 1 as data: which signals it catches and obeys, and what of it is seen when it goes down.

use qga_core::Errno;
use qga_core::platform::About;

/// How an init that goes down is seen to do so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    /// Its command line is another.
    CommandLine,
    /// It catches no signals any more.
    Deaf,
    /// /bin/systemctl says `stopping`.
    State,
    /// Not at all.
    Nothing,
}

/// Process 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Init {
    /// The path of the program that it runs; nothing when that is not shown.
    pub program: Option<String>,
    /// Its name.
    pub name: String,
    /// The signals that it catches.
    pub caught: u64,
    /// The signals that it blocks, and reads.
    pub blocked: u64,
    /// The signals that make it go down, which need not be among those.
    pub obeys: u64,
    /// How long it takes until that shows, and how it does.
    pub shows: (u64, Sign),
    /// Why it cannot be signalled.
    pub error: Option<Errno>,
    /// The signals that it got.
    pub signals: Vec<u8>,
    /// Since when it goes down.
    pub down_at_ms: Option<u64>,
    /// Whether it ends when the processes do, and the kernel panics.
    pub ends_with_others: bool,
    /// Whether it is stopped.
    pub is_held: bool,
}

impl Init {
    /// An init that catches these signals, blocks those, and obeys all of them: one that is seen
    /// going down at once, by its command line.
    pub fn new(program: &str, caught: &[u8], blocked: &[u8]) -> Self {
        let set = |signals: &[u8]| signals.iter().fold(0, |set, signal| set | 1 << (signal - 1));
        let (caught, blocked) = (set(caught), set(blocked));
        Init {
            program: Some(program.to_owned()),
            name: program.rsplit('/').next().unwrap_or_default().to_owned(),
            caught,
            blocked,
            obeys: caught | blocked,
            shows: (0, Sign::CommandLine),
            error: None,
            signals: Vec::new(),
            down_at_ms: None,
            ends_with_others: false,
            is_held: false,
        }
    }

    pub(crate) fn shows(&self, sign: Sign, now_ms: u64) -> bool {
        let (after_ms, own) = self.shows;
        own == sign && self.down_at_ms.is_some_and(|at_ms| now_ms >= at_ms + after_ms)
    }

    pub(crate) fn obey(&mut self, now_ms: u64) {
        self.down_at_ms = self.down_at_ms.or(Some(now_ms));
    }

    pub(crate) fn signal(&mut self, signal: u8, now_ms: u64) -> Result<(), Errno> {
        self.error.map_or(Ok(()), Err)?;
        self.signals.push(signal);
        let bit = 1 << (signal - 1);
        if self.obeys & bit != 0 {
            self.obey(now_ms);
        }
        Ok(())
    }

    pub(crate) fn text(&self, about: About, now_ms: u64) -> Result<String, Errno> {
        let heard = if self.shows(Sign::Deaf, now_ms) { 0 } else { u64::MAX };
        let (blocked, caught) = (self.blocked & heard, self.caught & heard);
        let name = &self.name;
        Ok(match about {
            About::Program => self.program.clone().ok_or(Errno::ACCES)?,
            About::Status => format!(
                "Name:\t{name}\nState:\tS (sleeping)\nSigPnd:\t{:016x}\nSigBlk:\t{blocked:016x}\n\
                 SigIgn:\t{:016x}\nSigCgt:\t{caught:016x}\nCapInh:\t{:016x}\n",
                0, 0x1000, 0
            ),
            About::CommandLine if self.shows(Sign::CommandLine, now_ms) => "init [6]  \0".into(),
            _ => format!("/sbin/{name}\0"),
        })
    }
}
