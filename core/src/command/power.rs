//! guest-shutdown: ending the guest. The steps are in shutdown.rs.

use crate::error::Error;
use crate::platform::{Clock, Freezing as _, Mode, Platform, Power};
use crate::shutdown::{Progress, Shutdown};
use crate::state::State;
use serde::Deserialize;

/// How to end. Schema: guest-shutdown (0.15.0), where the mode is a plain string.
#[derive(Deserialize)]
pub struct ShutdownArguments<'a> {
    mode: Option<&'a [u8]>,
}

static MODES: [(&str, Mode); 3] =
    [("powerdown", Mode::Powerdown), ("halt", Mode::Halt), ("reboot", Mode::Reboot)];

/// Begins to shut down; there is no reply unless nothing works. Errors: unknown mode.
pub fn shutdown<'a, P: Power + Clock>(
    _: &mut P,
    shutdown: &mut Shutdown,
    arguments: ShutdownArguments<'a>,
) -> Result<(), Error<'a>> {
    let name = arguments.mode.unwrap_or(b"powerdown");
    let Some((_, mode)) = MODES.iter().find(|(known, _)| known.as_bytes() == name) else {
        // The reference's text, which lacks its closing bracket too.
        return Err(Error::Text(text!("mode is invalid (valid values are: halt|powerdown|reboot")));
    };
    shutdown.begin(*mode);
    Ok(())
}

/// Follows the shutdown.
pub fn poll<'s, P: Platform>(platform: &mut P, state: &'s mut State<P>) -> Progress<'s> {
    state.shutdown.poll(platform, state.freezer.scratch())
}
