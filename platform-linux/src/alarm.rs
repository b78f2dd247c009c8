//! The agent's deadline as a signal: whatever the loop waits for, it waits for signals as well, so
//! that time needs no place of its own beside the channel.

use crate::platform::Linux;
use crate::sys;
use qga_core::platform::Clock;

/// The deadline for which SIGALRM is to come; at first there is none.
#[derive(Default)]
pub struct Alarm {
    at_ms: Option<u64>,
}

impl Alarm {
    /// It is to come at this time of [`Clock::now_ms`], at once if that is past; a call of the
    /// kernel only when that is news.
    pub fn set(&mut self, linux: &mut Linux, at_ms: Option<u64>) {
        if self.at_ms != at_ms {
            self.at_ms = at_ms;
            // Zero would mean never.
            sys::clocks::alarm(
                at_ms.map_or(0, |at_ms| at_ms.saturating_sub(linux.now_ms()).max(1)),
            );
        }
    }
}
