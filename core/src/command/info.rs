//! guest-info: which commands this agent has and which may be used now.

use super::Command;
use crate::platform::{Freezing as _, Platform, offers};
use crate::response::{Cursor, Failed};
use crate::state::State;
use crate::writer::Writer;
use serde::Serialize;

/// Schema: GuestAgentCommandInfo. Ansible compares it for equality: no member more, none less.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct CommandInfo {
    enabled: bool,
    name: &'static str,
    success_response: bool,
}

/// Lists the commands that this guest offers. Schema: guest-info (0.15.0), GuestAgentInfo. One
/// command at each call: the one that stands at [`Cursor::outer`] in the table, if there is one.
pub fn piece<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
    command: Option<&Command>,
) -> Result<bool, Failed> {
    if cursor.outer == 0 {
        let head = concat!("{\"version\": \"", schema_version!(), "\", \"supported_commands\": [");
        cursor.open(head, out);
    }
    let Some(command) = command else {
        cursor.close("]}", out);
        return Ok(false);
    };
    if offers(platform, command) {
        cursor.element(out);
        let frozen = state.freezer.is_frozen();
        let enabled = state.rules.refuse(command, cursor.outer as u32, frozen).is_none();
        let info = CommandInfo { enabled, name: command.name, success_response: command.replies };
        // Only a type that no schema has could not be written.
        let _ = info.serialize(out);
    }
    cursor.outer += 1;
    Ok(true)
}
