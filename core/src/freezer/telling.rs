//! A worker's word to the agent before each thing that may hang: what it is and with which
//! filesystem in, a report out.

use crate::platform::{Freeze, Report, What};
use crate::shown::{Shown, show};

/// The worker is about to do something that may hang.
pub(super) fn tell_about<P: Freeze>(platform: &mut P, what: What, key: u64, path: &[u8]) {
    let mut shown = Shown::new();
    show(path, &mut shown);
    platform.tell(&Report::About(what, key, shown), None, None);
}
