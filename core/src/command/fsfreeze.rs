//! guest-fsfreeze-*: stopping and starting the guest's filesystems. The work is in
//! [`crate::freezer`].

use super::{Nothing, seconds};
use crate::error::Error;
use crate::platform::{Freeze, FreezeStatus, Freezing, Platform, Reason, Strings};
use crate::response::{Cursor, Failed};
use crate::shutdown::Progress;
use crate::state::State;
use crate::writer::Writer;
use serde::{Deserialize, Serialize};

/// Schema: GuestFsfreezeStatus; `error` is of its first version (0.15) and tells clients that a
/// thaw failed.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsfreezeStatus {
    /// Nothing of ours is frozen.
    Thawed,
    /// Something of ours is.
    Frozen,
    /// Something of ours is, and could not be thawed.
    Error,
}

/// Says whether filesystems are frozen by this agent. Schema: guest-fsfreeze-status (0.15.0).
pub fn status<P>(freezer: &mut impl Freezing<P>, _: Nothing) -> FsfreezeStatus {
    match freezer.tell_status() {
        FreezeStatus::Thawed => FsfreezeStatus::Thawed,
        FreezeStatus::Frozen => FsfreezeStatus::Frozen,
        FreezeStatus::Error => FsfreezeStatus::Error,
    }
}

/// How many seconds it may last, if nobody thaws before. Schema: guest-fsfreeze-freeze (0.15.0);
/// the argument is a proposal of the reference's that was never taken.
#[derive(Deserialize)]
pub struct FreezeAll {
    timeout: Option<i64>,
}

/// Begins to freeze all local filesystems; the reply is how many.
pub fn freeze<P: Freeze>(
    platform: &mut P,
    freezer: &mut P::Freezer,
    FreezeAll { timeout }: FreezeAll,
) -> Result<(), Error<'static>> {
    freezer.freeze(platform, None, seconds::to_ms(timeout)?);
    Ok(())
}

/// Where the filesystems were mounted first that are to be frozen; without it all are; and how many
/// seconds it may last. Schema: guest-fsfreeze-freeze-list (2.2).
#[derive(Deserialize)]
pub struct FreezeList<'a> {
    #[serde(borrow)]
    mountpoints: Option<Strings<'a>>,
    timeout: Option<i64>,
}

/// Begins to freeze these filesystems; the reply is how many.
pub fn freeze_list<P: Freeze>(
    platform: &mut P,
    freezer: &mut P::Freezer,
    FreezeList { mountpoints, timeout }: FreezeList<'_>,
) -> Result<(), Error<'static>> {
    freezer.freeze(platform, mountpoints, seconds::to_ms(timeout)?);
    Ok(())
}

/// Begins to thaw what was frozen; the reply is how many. Schema: guest-fsfreeze-thaw (0.15.0).
pub fn thaw<P: Freeze>(platform: &mut P, freezer: &mut P::Freezer) {
    freezer.thaw(platform, Reason::Asked);
}

/// Follows either.
pub fn poll<'s, P: Platform>(_: &mut P, state: &'s mut State<P>) -> Progress<'s> {
    if state.freezer.is_under_way() {
        // When, the freezer says itself.
        return Progress::Wait(u64::MAX);
    }
    Progress::Done(state.freezer.outcome().map(drop))
}

/// Writes how many filesystems it was.
pub fn count<P: Platform>(
    _: &mut P,
    state: &mut State<P>,
    _: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    out.integer(state.freezer.outcome().unwrap_or(0));
    Ok(false)
}
