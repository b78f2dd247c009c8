//! guest-info: which commands this agent has and which may be used now.

use super::{State, Table};
use crate::freezer::Freezing as _;
use crate::json::write::Writer;
use crate::platform::Platform;
use crate::response::List;
use serde::Serialize;

/// The level of QEMU's schema that this agent follows. Clients read features from it and parse three
/// numbers of one byte each; the product's own version is in `qga -V`.
pub const SCHEMA_VERSION: &str = "10.2.2";

/// Schema: GuestAgentCommandInfo. Ansible compares it for equality: no member more, none less.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct CommandInfo {
    enabled: bool,
    name: &'static str,
    success_response: bool,
}

/// Lists the commands that this guest offers. Schema: guest-info (0.15.0), GuestAgentInfo.
pub fn list<P: Platform>() -> &'static List<P> {
    const { assert!(matches!(SCHEMA_VERSION.as_bytes(), b"10.2.2")) };
    &List {
        head: "{\"version\": \"10.2.2\", \"supported_commands\": ",
        tail: "}",
        next: next_command::<P>,
    }
}

fn next_command<P: Platform>(
    platform: &mut P,
    state: &State<P>,
    cursor: &mut usize,
    out: &mut Writer<'_>,
) -> bool {
    let rest = Table::<P>::ROWS.get(*cursor..).unwrap_or(&[]);
    let mut ahead = rest.iter().enumerate();
    let Some((ahead, row)) = ahead.find(|(_, row)| row.is_offered(platform)) else { return false };
    *cursor += ahead + 1;
    let enabled = !state.freezer.is_frozen() || row.while_frozen;
    let info = CommandInfo { enabled, name: row.name, success_response: row.replies };
    info.serialize(out).is_ok()
}
