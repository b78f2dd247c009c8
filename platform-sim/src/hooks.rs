//! The freeze hook as data: how it ends comes in, what it was told goes out.

use qga_core::Errno;
use qga_core::platform::{Exit, Moment};

/// The hook.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    /// How long it runs; without an end it runs for ever.
    pub runs_ms: Option<u64>,
    /// How it ends when it is told of a freeze.
    pub freeze_exit: Exit,
    /// How it ends when it is told of a thaw.
    pub thaw_exit: Exit,
    /// What it prints.
    pub output: Vec<u8>,
    /// Why it cannot be executed.
    pub error: Option<Errno>,
    /// What it was told, in this order.
    pub told: Vec<Moment>,
    /// How often it was killed.
    pub killed: usize,
    /// What it runs for, and since when.
    pub running: Option<(Moment, u64)>,
}

impl Default for Hook {
    /// One that ends at once, content and silent.
    fn default() -> Self {
        Hook {
            runs_ms: Some(0),
            freeze_exit: Exit::Status(0),
            thaw_exit: Exit::Status(0),
            output: Vec::new(),
            error: None,
            told: Vec::new(),
            killed: 0,
            running: None,
        }
    }
}

impl Hook {
    pub(crate) fn start(&mut self, moment: Moment, now_ms: u64) -> Result<(), Errno> {
        if let Some(errno) = self.error {
            return Err(errno);
        }
        self.told.push(moment);
        self.running = Some((moment, now_ms));
        Ok(())
    }

    pub(crate) fn exit(&mut self, now_ms: u64) -> Result<Option<Exit>, Errno> {
        let (moment, since_ms) = self.running.ok_or(Errno::CHILD)?;
        let ends_ms = self.runs_ms.map(|runs_ms| since_ms.saturating_add(runs_ms));
        let exit = match moment {
            Moment::Freeze => self.freeze_exit,
            Moment::Thaw => self.thaw_exit,
        };
        Ok(ends_ms.is_some_and(|ends_ms| now_ms >= ends_ms).then_some(exit))
    }

    pub(crate) fn kill(&mut self) {
        self.killed += usize::from(self.running.take().is_some());
    }

    /// Whether each freeze that it was told of was followed by a thaw. One too many it may hear of:
    /// an agent that is killed cannot leave behind whether it had started it.
    pub fn is_in_pairs(&self) -> bool {
        let mut owed = false;
        let alternates = self.told.iter().all(|moment| {
            let before = std::mem::replace(&mut owed, *moment == Moment::Freeze);
            !(before && owed)
        });
        alternates && !owed
    }
}
