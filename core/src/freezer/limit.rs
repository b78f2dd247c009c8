//! How long a freeze may last, by the agent's own limit or its client's: the clock and what is
//! frozen come in, a thaw goes out when the time is over. A backup that dies between freeze and
//! thaw would else leave the guest hanging for ever.

use crate::platform::{Freezing as _, Level, Platform, Reason};
use crate::text::Phrase;

/// The longest time of a freeze, and when the present one has lasted so long. All zero when new: no
/// limit.
#[derive(Default)]
pub struct Limit {
    /// The longest time; nothing for a freeze that may last for ever.
    pub ms_max: Option<u64>,
    /// When the present freeze is over at the latest ([`crate::platform::Clock::now_ms`]).
    over_at_ms: Option<u64>,
    /// It is over, and the thaw for that may be under way.
    is_over: bool,
}

impl Limit {
    /// No limit.
    pub const fn new() -> Self {
        Limit { ms_max: None, over_at_ms: None, is_over: false }
    }

    /// When the agent is to look at it again.
    pub fn deadline_ms(&self) -> Option<u64> {
        self.over_at_ms
    }

    /// Begins to count when it finds something frozen, and thaws when the time is over. What cannot
    /// be thawed then is tried again after the same time: it stays on record, and the status says
    /// `error`.
    pub fn keep<P: Platform>(&mut self, platform: &mut P, freezer: &mut P::Freezer) {
        let [own, asked] = [self.ms_max, freezer.ms_max()].map(|max| max.unwrap_or(u64::MAX));
        let ms_max = own.min(asked);
        if ms_max < u64::MAX && freezer.is_frozen() {
            let now_ms = platform.now_ms();
            if self.over_at_ms.is_some_and(|at_ms| now_ms >= at_ms) {
                (self.over_at_ms, self.is_over) = (None, true);
                freezer.thaw(platform, Reason::Over);
            }
            if freezer.is_frozen() {
                self.over_at_ms.get_or_insert(now_ms.saturating_add(ms_max));
                return;
            }
        }
        self.over_at_ms = None;
        // While something hangs nothing is written: it is said when that has ended.
        if freezer.may_write() && !freezer.is_under_way() && core::mem::take(&mut self.is_over) {
            platform.log(Level::Error, &[OVER]);
        }
    }
}

/// What the log says of it: somebody's backup has not ended as it should.
const OVER: Phrase =
    phrase!("no thaw came within its time (timeout, --freeze-timeout): all filesystems run again");
