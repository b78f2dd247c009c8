//! What can go wrong with a freeze or a thaw, small enough to be told by a worker: what failed and
//! why in, the error of the reply out.

use crate::error::{Error, TAKEN_BACK};
use crate::limits::FROZEN_MAX;
use crate::platform::{Failure, What};
use crate::text::Text;

impl Failure {
    /// Whether nothing has failed.
    pub(super) fn is_none(self) -> bool {
        self.0 == What::Nothing
    }

    /// What the reply says: how many filesystems it was, or the error, which may concern `subject`.
    pub(super) fn explain(self, count: i64, subject: &[u8]) -> Result<i64, Error<'_>> {
        let Failure(what, errno) = self;
        let Some(&text) = (what as usize).checked_sub(1).and_then(|number| TEXTS.get(number))
        else {
            return Ok(count);
        };
        Err(match errno {
            None if what == What::Hook => Error::Tried(text, subject),
            None => Error::Text(text),
            Some(errno) if what < What::Hidden => Error::Failed(text, errno),
            Some(errno) => Error::FailedOn(text, subject, errno),
        })
    }
}

/// What is said of each, from the first after [`What::Nothing`].
const TEXTS: &[Text; What::Thaw as usize] = &[
    text!("failed to read the mount table"),
    MARK,
    TOO_MANY,
    text!("failed to start a worker"),
    TAKEN_BACK,
    HIDDEN,
    UNKNOWN,
    text!("an earlier freeze still hangs on"),
    HOOK,
    text!("failed to open"),
    text!("failed to freeze"),
    text!("failed to thaw"),
];
/// What is said of a hook that was given this word.
pub(super) const HOOK: Text = text!("failed to run the fsfreeze hook with");
/// What is said of a filesystem that no path leads to.
pub(super) const HIDDEN: Text = text!("not frozen, hidden by another mount or the unit's sandbox:");
/// What is said of a mount point that somebody has named.
pub(super) const UNKNOWN: Text = text!("not frozen, no filesystem was mounted there first:");
const MARK: Text =
    text!("failed to write the frozen mark (is /run or /dev a tmpfs that can be written to?)");
const TOO_MANY: Text = text!("too many filesystems to freeze: at most 512, nothing was frozen");
const _: () = assert!(FROZEN_MAX == 512);
