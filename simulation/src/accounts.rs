//! The acts that change a user's keys or password: which keys goes in, the file is judged that
//! comes out. Invariant: it is as it was or as it is to be, and as it is to be where that was
//! answered.

use crate::ask::ask;
use crate::client::Client;
use crate::record::Record;
use crate::reply::{self, Answer};
use crate::source::Source;
use qga_sim::Sim;

const KEYS: &str = "/home/sim/.ssh/authorized_keys";
const SHADOW: &str = "/etc/shadow";

/// The keys that there are: one with an escape, one that is the beginning of another.
const NAMES: [&str; 4] = ["ssh-rsa AAAA", "ssh-rsa AAAAB", "k\\u00e4y", ""];

/// What a user has, and what is written in a request for it.
fn chosen(bits: u8) -> (Vec<String>, String) {
    let names = NAMES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
    let names: Vec<&str> = names.map(|(_, name)| *name).collect();
    let written: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let keys = names.iter().map(|name| name.replace("\\u00e4", "\u{e4}")).collect();
    (keys, written.join(", "))
}

fn text(sim: &Sim, path: &str) -> Option<String> {
    let text = sim.with(|world| world.system.texts.get(path).cloned());
    text.map(|text| String::from_utf8(text).expect("the agent writes text"))
}

/// The file after keys were added.
fn added(before: Option<&str>, keys: &[String], reset: bool) -> String {
    let mut lines: Vec<&str> =
        if reset { Vec::new() } else { before.unwrap_or("").lines().collect() };
    for key in keys.iter().filter(|key| !key.is_empty()) {
        if !lines.contains(&key.as_str()) {
            lines.push(key);
        }
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The file after keys were removed.
fn removed(before: &str, keys: &[String]) -> String {
    let is_kept = |line: &&str| !keys.iter().any(|key| key == line);
    before.lines().filter(is_kept).map(|line| format!("{line}\n")).collect()
}

/// guest-ssh-add-authorized-keys, -remove-, -get-, or guest-set-user-password.
pub fn change<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let choice = client.source.byte();
    let (keys, written) = chosen(choice >> 4);
    let sim = client.session.sim.clone();
    let path = if choice.is_multiple_of(5) { SHADOW } else { KEYS };
    let before = text(&sim, path);
    let (frozen, busy, calls) = (client.is_frozen(), client.is_busy(), client.calls());
    let user = "\"username\": \"sim\"";
    let (command, arguments, expected) = match choice % 5 {
        0 => {
            // `$6$` and a digit, in base64.
            let hash = choice >> 4 & 7;
            let password = [
                "JDYkMA==", "JDYkMQ==", "JDYkMg==", "JDYkMw==", "JDYkNA==", "JDYkNQ==", "JDYkNg==",
                "JDYkNw==",
            ][usize::from(hash)];
            let days = sim.with(|world| world.time).wall_ns().map(|ns| ns / 86_400_000_000_000);
            let new = days.zip(before.clone()).map(|(day, before)| with_hash(&before, hash, day));
            let arguments = format!("{user}, \"password\": \"{password}\", \"crypted\": true");
            ("guest-set-user-password", arguments, new)
        }
        1 | 2 => {
            let reset = choice % 5 == 2 && choice & 0x80 != 0;
            let arguments = format!("{user}, \"keys\": [{written}], \"reset\": {reset}");
            let new = added(before.as_deref(), &keys, reset);
            ("guest-ssh-add-authorized-keys", arguments, Some(new))
        }
        3 => {
            let arguments = format!("{user}, \"keys\": [{written}]");
            let new = before.as_deref().map(|before| removed(before, &keys));
            ("guest-ssh-remove-authorized-keys", arguments, new)
        }
        _ => ("guest-ssh-get-authorized-keys", user.to_owned(), before.clone()),
    };
    let answer = ask(client, record, command, format_args!("{arguments}"));
    let after = text(&sim, path);
    let failed = client.failed_since(calls);
    match answer {
        Answer::Value(at) => {
            assert!(!frozen, "{command} while frozen");
            assert_eq!(after, expected, "{command}: {before:?} and {keys:?}");
            if choice % 5 == 4 {
                let value = reply::between(client.text(at), "{\"keys\": [", "]}");
                let listed = value.iter().filter(|byte| **byte == b'"').count() / 2;
                let lines = before.as_deref().unwrap_or("").lines().count();
                assert_eq!(listed, lines, "keys of {before:?}");
            }
        }
        Answer::Error { not_found } => {
            assert_eq!(not_found, frozen, "{command}");
            let is_missing = choice % 5 == 4 && before.is_none() || expected.is_none();
            assert!(frozen || busy || failed || is_missing, "{command} without a reason");
            assert!(after == before || failed && after == expected, "{command}: {after:?}");
        }
        Answer::None => assert!(after == before || after == expected, "{command}: {after:?}"),
    }
    if !failed {
        let left = ["/etc/shadow+", "/etc/shadow.lock", "/home/sim/.ssh/authorized_keys.qga"];
        assert!(left.iter().all(|path| text(&sim, path).is_none()), "{command} leaves something");
    }
}

/// The file of hashes after this user has another one.
fn with_hash(before: &str, hash: u8, day: i64) -> String {
    let line = |line: &str| match line.split(':').collect::<Vec<_>>()[..] {
        ["sim", _, _, ref rest @ ..] => format!("sim:$6${hash}:{day}:{}\n", rest.join(":")),
        _ => format!("{line}\n"),
    };
    before.lines().map(line).collect()
}
