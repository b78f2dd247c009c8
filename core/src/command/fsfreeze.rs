//! guest-fsfreeze-*: stopping and starting the guest's filesystems. The work is in [`crate::freezer`].

use super::Nothing;
use crate::error::Error;
use crate::platform::{Freeze, Freezing, Status};
use serde::Serialize;

/// Schema: GuestFsfreezeStatus; `error` is of its first version (0.15) and tells clients that a thaw failed.
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
pub fn status<P>(freezer: &impl Freezing<P>, _: Nothing) -> FsfreezeStatus {
    match freezer.status() {
        Status::Thawed => FsfreezeStatus::Thawed,
        Status::Frozen => FsfreezeStatus::Frozen,
        Status::Error => FsfreezeStatus::Error,
    }
}

/// Freezes all local filesystems and returns how many. Schema: guest-fsfreeze-freeze (0.15.0).
pub fn freeze<'s, P: Freeze>(
    platform: &mut P,
    freezer: &'s mut P::Freezer,
    _: Nothing,
) -> Result<i64, Error<'s>> {
    freezer.freeze(platform)
}

/// Thaws what was frozen and returns how many. Schema: guest-fsfreeze-thaw (0.15.0).
pub fn thaw<'s, P: Freeze>(
    platform: &mut P,
    freezer: &'s mut P::Freezer,
    _: Nothing,
) -> Result<i64, Error<'s>> {
    freezer.thaw(platform)
}
