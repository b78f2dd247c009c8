//! guest-shutdown: ending the guest. The steps are in [`crate::shutdown`].

use super::State;
use crate::error::Error;
use crate::platform::{Clock, Mode, Platform, Power};
use crate::shutdown::{Progress, Shutdown};
use serde::Deserialize;

/// How to end. Schema: guest-shutdown (0.15.0), where the mode is a plain string.
#[derive(Deserialize)]
pub struct How<'a> {
    mode: Option<&'a [u8]>,
}

/// Begins to shut down; there is no reply unless nothing works. Errors: unknown mode.
pub fn shutdown<'a, P: Power + Clock>(
    _: &mut P,
    shutdown: &mut Shutdown,
    arguments: How<'a>,
) -> Result<(), Error<'a>> {
    let mode = match arguments.mode.unwrap_or(b"powerdown") {
        b"powerdown" => Mode::Powerdown,
        b"halt" => Mode::Halt,
        b"reboot" => Mode::Reboot,
        // The reference's text, which lacks its closing bracket too.
        _ => {
            let text = "mode is invalid (valid values are: halt|powerdown|reboot";
            return Err(Error::Text(text));
        }
    };
    shutdown.begin(mode);
    Ok(())
}

/// Follows the shutdown.
pub fn poll<'s, P: Platform>(platform: &mut P, state: &'s mut State<P>) -> Progress<'s> {
    state.shutdown.poll(platform, state.freezer.scratch())
}
