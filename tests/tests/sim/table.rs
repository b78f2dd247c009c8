//! The table of commands is the pinned one, and each row is spoken to in the conversations: once
//! with success and once without. Every reply is JSON to two parsers that are not ours.

use crate::freeze::{ask, disks};
use crate::guest::{Cut, Large, guest, hold};
use qga_core::Rule;
use qga_core::internals::command::Table;
use qga_sim::Sim;
use qga_tests::conversations::{Conversation, load};
use qga_tests::{COMMANDS, LISTS};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

#[test]
fn rows_are_the_pinned_commands() {
    let rows: Vec<&str> = Table::<Sim>::rows().map(|row| row.command.name).collect();
    assert_eq!(rows, COMMANDS);
}

/// Whether no conversation can have the success of a command, because it is never the same, would
/// set the clock of the machine that the tests run on, or needs a user with a home: the test below,
/// `time.rs`, `exec.rs`, `accounts.rs` and `lists.rs` are about these on the simulated platform,
/// `conversations.rs` and those of the same names on Linux, `baremetal` on bare metal.
fn is_never_twice_the_same(command: &str) -> bool {
    ["guest-get-time", "guest-set-time", "guest-exec", "guest-exec-status"].contains(&command)
        || command.starts_with("guest-ssh-")
        || LISTS.contains(&command)
}

/// Whether the success of a command has no reply.
fn is_silent(command: &str) -> bool {
    Table::<Sim>::rows().any(|row| row.command.name == command && !row.command.replies)
}

/// The commands that guest-info says may not be used.
fn disabled(session: &mut Large) -> Vec<String> {
    let info: Value =
        serde_json::from_slice(&session.send(b"{\"execute\":\"guest-info\"}\n")).expect("JSON");
    let commands = info["return"]["supported_commands"].as_array().expect("a list").iter();
    let disabled = commands.filter(|command| command["enabled"] == false);
    disabled.map(|command| command["name"].as_str().unwrap().to_owned()).collect()
}

fn desc(session: &mut Large, command: &str) -> String {
    let request = format!("{{\"execute\":\"{command}\"}}\n");
    let reply: Value = serde_json::from_slice(&session.send(request.as_bytes())).expect("JSON");
    reply["error"]["desc"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn lists_of_commands() {
    let sim = Sim::new(1);
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(disabled(&mut session), [""; 0]);
    let (agent, platform) = session.parts();
    agent.restrict(platform, Rule::Block, b"guest-ping; nobody-knows ,,guest-get-time\t");
    let logged = sim.with(|world| world.log.clone());
    assert!(logged.iter().any(|line| line.text.contains("nobody-knows")), "{logged:?}");
    assert_eq!(disabled(&mut session), ["guest-ping", "guest-get-time"]);
    let why = "Command guest-ping has been disabled: the command is not allowed";
    assert_eq!(desc(&mut session, "guest-ping"), why);
    assert_eq!(desc(&mut session, "guest-sync"), "Parameter 'id' is missing");
    // A list that allows, allows nothing else, and what is blocked stays so.
    let (agent, platform) = session.parts();
    agent.restrict(platform, Rule::Allow, b"guest-info,guest-ping");
    let named: Vec<&str> = agent.named(Rule::Allow).collect();
    assert_eq!(named, ["guest-ping", "guest-info"]);
    assert!(agent.has_list(Rule::Allow));
    assert_eq!(disabled(&mut session).len(), COMMANDS.len() - 1);
    assert_eq!(desc(&mut session, "guest-ping"), why);
    // Without a name it allows four.
    let mut session = Large::start(&Sim::new(1)).expect("a start");
    let (agent, platform) = session.parts();
    agent.restrict(platform, Rule::Allow, b" ; ");
    assert_eq!(disabled(&mut session).len(), COMMANDS.len() - 4);
    // And with none that is known none.
    let mut session = Large::start(&Sim::new(1)).expect("a start");
    let (agent, platform) = session.parts();
    agent.restrict(platform, Rule::Allow, b"nobody-knows");
    let why = "Command guest-info has been disabled: the command is not allowed";
    assert_eq!(desc(&mut session, "guest-info"), why);
    let all: Vec<&str> = qga_core::Agent::<Sim, 1024, 4096>::commands().collect();
    assert_eq!(all, COMMANDS);
}

/// As with the reference: whoever has frozen something must be heard.
#[test]
fn lists_do_not_count_while_frozen() {
    let mut session = Large::start(&disks(1)).expect("a start");
    let (agent, platform) = session.parts();
    agent.restrict(platform, Rule::Block, b"guest-ping,guest-fsfreeze-thaw");
    assert_eq!(ask(&mut session, "fsfreeze-freeze")["return"], 1);
    assert_eq!(desc(&mut session, "guest-ping"), "");
    let why = "Command guest-get-time has been disabled: the agent is in frozen state";
    assert_eq!(desc(&mut session, "guest-get-time"), why);
    assert_eq!(ask(&mut session, "fsfreeze-thaw")["return"], 1);
    let why = "Command guest-ping has been disabled: the command is not allowed";
    assert_eq!(desc(&mut session, "guest-ping"), why);
}

#[test]
fn the_time_is_the_guests() {
    let sim = Sim::new(1);
    let mut session = Large::start(&sim).expect("a start");
    let request = b"{\"execute\": \"guest-get-time\", \"id\": 5}\n";
    let reply = "{\"return\": 1704067201000000000, \"id\": 5}\n";
    assert_eq!(session.send(request), reply.as_bytes());
    sim.with(|world| world.time.advance(1500));
    let later = "{\"return\": 1704067202500000000, \"id\": 5}\n";
    assert_eq!(session.send(request), later.as_bytes());
    // A clock beyond the year 2262 does not fit.
    sim.with(|world| world.time.epoch_ms = u64::MAX / 2);
    let error = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"failed to get time: \
                 Value too large for defined data type\"}, \"id\": 5}\n";
    assert_eq!(session.send(request), error.as_bytes());
}

#[test]
fn every_row_succeeds_and_fails_in_a_conversation() {
    let (mut succeeded, mut failed) = (BTreeSet::new(), BTreeSet::new());
    for step in load().into_iter().flat_map(|conversation| conversation.steps) {
        let Ok(request) = serde_json::from_slice::<Value>(&step.send) else { continue };
        let Some(name) = request["execute"].as_str() else { continue };
        let reply = step.reply.strip_prefix(b"\xFF").unwrap_or(&step.reply);
        let reply = serde_json::from_slice::<Value>(reply).unwrap_or_default();
        if reply.get("error").is_some() {
            failed.insert(name.to_owned());
        } else if reply.get("return").is_some() || is_silent(name) && step.reply.is_empty() {
            succeeded.insert(name.to_owned());
        }
    }
    for row in Table::<Sim>::rows() {
        let held =
            succeeded.contains(row.command.name) || is_never_twice_the_same(row.command.name);
        assert!(held, "no conversation in which {} succeeds", row.command.name);
        assert!(
            failed.contains(row.command.name),
            "no conversation in which {} fails",
            row.command.name
        );
    }
}

/// A reply as serde-json-core reads it: nothing may be missing, nothing may be too much.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply<'a> {
    #[serde(rename = "return")]
    value: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    error: Option<Failure<'a>>,
    #[allow(dead_code)]
    id: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Failure<'a> {
    class: &'a str,
    #[allow(dead_code)]
    desc: &'a str,
}

#[test]
fn every_reply_parses_elsewhere() {
    let mut lines = 0;
    for conversation in load() {
        lines += parse_replies(&conversation);
    }
    assert!(lines > 500, "only {lines} replies");
}

fn parse_replies(conversation: &Conversation) -> usize {
    let mut session = Large::start(&guest(conversation)).expect("a start");
    let output = hold(&mut session, conversation, Cut::Whole).concat();
    let mut lines = 0;
    for line in output.split_inclusive(|&byte| byte == b'\n') {
        lines += 1;
        let name = &conversation.name;
        let text = line.strip_suffix(b"\n").unwrap_or_else(|| panic!("{name}: no newline"));
        let text = text.strip_prefix(b"\xFF").unwrap_or(text);
        assert!(text.is_ascii(), "{name}: a reply that is not ASCII");
        // serde_json has no number that large, but an `id` is echoed as it was written.
        let text = String::from_utf8_lossy(text).replace("1e400", "1e40").into_bytes();
        let text = text.as_slice();
        let value: Value = serde_json::from_slice(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let members = value.as_object().expect("an object");
        let other = members.keys().any(|key| !["return", "error", "id"].contains(&key.as_str()));
        assert!(!other, "{name}: {value}");
        let (reply, used) = serde_json_core::from_slice::<Reply>(text)
            .unwrap_or_else(|error| panic!("{name}: {error}: {}", text.escape_ascii()));
        assert_eq!(used, text.len(), "{name}");
        assert_ne!(reply.value.is_some(), reply.error.is_some(), "{name}");
        if let Some(error) = reply.error {
            assert!(["GenericError", "CommandNotFound"].contains(&error.class), "{name}");
        }
    }
    lines
}
