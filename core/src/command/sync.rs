//! guest-sync, guest-sync-delimited, guest-ping: finding the beginning of a conversation.

use super::Nothing;
use crate::error::Error;
use serde::Deserialize;

/// A number to repeat. Schema: guest-sync (0.15.0), guest-sync-delimited (1.1).
#[derive(Deserialize)]
pub struct Sync {
    id: i64,
}

/// Repeats a number, so that a client can tell this reply from those to clients before it.
pub fn sync(arguments: Sync) -> i64 {
    arguments.id
}

/// Shows that the agent is there. Schema: guest-ping (0.15.0).
pub fn ping(_: Nothing) -> Result<(), Error<'static>> {
    Ok(())
}
