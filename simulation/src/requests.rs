//! The acts that only ask: simple commands, odd and broken requests go in, what comes back is
//! judged as far as it can be foretold. Invariant: a request that is none earns one reply.

use crate::accounts;
use crate::ask::{ask, must};
use crate::channel::{Rest, exchange};
use crate::client::Client;
use crate::programs;
use crate::record::Record;
use crate::reply::{self, Answer};
use crate::source::Source;
use qga_core::formats::calendar::seconds_since_1970;
use qga_core::internals::command::{Needs, Table};
use qga_core::limits::LIST_BYTES;
use qga_sim::{Session, Sim};
use std::sync::OnceLock;

/// Requests that are wrong, or written in an odd way.
const ODD: [&str; 12] = [
    "{\"execute\":\"guest-ping\",\"arguments\":{\"x\":1}}",
    "{\"execute\":\"guest-nope\"}",
    "{'execute':'guest-ping','id':[1,{'a':'\\u0000\\ud83d\\ude00'}]}",
    "{\"execute\":1}",
    "{\"arguments\":{}}",
    "[]",
    "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":1.5}}",
    "{\"execute\":\"guest-ping\",\"id\":01x\"}",
    "{\"execute\":\"guest-ping\",}",
    "{\"execute\":\"guest-file-seek\",\"arguments\":{\"handle\":1,\"offset\":0,\"whence\":true}}",
    "{\"execute\":\"guest-shutdown\",\"arguments\":{\"mode\":\"sideways\"}}",
    "nonsense",
];

/// Bytes as they are: what comes back must be JSON, lines of it, and nothing else.
pub fn raw<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let len = usize::from(client.source.byte());
    client.request.clear();
    client.source.bytes(len, &mut client.request);
    let rest = exchange(client, record);
    reply::judge_lines(&client.output);
    client.dirty = true;
    record.look_again(&client.session.sim);
    // Whatever these handles are now.
    record.model.files.clear();
    // A thaw may be among the bytes, with a count for a reply, and whomever it was for.
    if rest != Rest::Idle || reply::counts_something(&client.output) {
        record.allow_thaws_of_others(&client.session.sim);
    }
    record.sure = false;
    record.late = record.late.ended(false);
    record.due_ms = None;
}

/// A request that is wrong, or written in an odd way.
pub fn odd<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let choice = usize::from(client.source.byte()) % (ODD.len() + 1);
    let odd = ODD.get(choice).copied().unwrap_or("more than fits the frame");
    client.begin();
    if choice < ODD.len() {
        client.request.extend_from_slice(odd.as_bytes());
    } else {
        client.append("guest-file-open", format_args!("\"path\": \"{:x>3000}\"", ""));
        client.request.pop();
    }
    client.request.push(b'\n');
    if exchange(client, record) == Rest::Idle {
        let replies = reply::judge_lines(&client.output);
        assert_eq!(replies, 1, "replies to {odd}: {}", client.output.escape_ascii());
    }
}

/// guest-sync, guest-ping, guest-info, guest-get-time, guest-set-time, what the guest says of
/// itself.
pub fn simple<S: Source>(client: &mut Client<S>, record: &mut Record) {
    // The lists make so many calls that a session would consist of little else.
    match client.source.byte() % 38 {
        0..8 => {
            let id = client.source.number();
            if let Some(value) = must(client, record, "guest-sync", format_args!("\"id\": {id}")) {
                assert_eq!(reply::number(client.text(value)), id);
            }
        }
        8..16 => {
            if let Some(value) = must(client, record, "guest-ping", format_args!("")) {
                assert_eq!(client.text(value), b"{}");
            }
        }
        16..24 => {
            if let Some(value) = must(client, record, "guest-info", format_args!("")) {
                let commands = client.text(value).windows(8).filter(|part| part == b"\"name\": ");
                assert_eq!(commands.count(), Table::<Sim>::rows().count());
            }
        }
        24..30 => get_time(client, record),
        30..32 => set_time(client, record),
        32..35 => accounts::change(client, record),
        35 => programs::run(client, record),
        _ => look(client, record),
    }
}

/// The commands that say what the guest is, by what they need of it.
fn looks() -> impl Iterator<Item = &'static str> {
    use Needs::{Cpus, Disks, Info, Load, Memory, Network, Users};
    let lists = [Cpus, Disks, Info, Load, Memory, Network, Users];
    let rows = Table::<Sim>::rows().map(|row| row.command);
    rows.filter(move |command| lists.contains(&command.needs)).map(|command| command.name)
}

/// Each of them, and what it returns in a guest in which nothing fails.
fn undisturbed() -> &'static [(&'static str, Vec<u8>)] {
    static VALUES: OnceLock<Vec<(&str, Vec<u8>)>> = OnceLock::new();
    VALUES.get_or_init(|| {
        let mut session = Session::<{ 16 * 1024 }, { 32 * 1024 }>::start(&Sim::new(0)).unwrap();
        let ask = |command: &'static str| {
            let reply = session.send(format!("{{\"execute\":\"{command}\"}}").as_bytes());
            let value = reply.strip_prefix(b"{\"return\": ").and_then(|it| it.strip_suffix(b"}\n"));
            (command, value.expect("a value").to_vec())
        };
        looks().map(ask).collect()
    })
}

/// One of them: the same as ever, unless a call has failed.
fn look<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (frozen, calls) = (client.is_frozen(), client.calls());
    let choice = usize::from(client.source.byte()) % undisturbed().len();
    let (command, expected) = &undisturbed()[choice];
    // A shutdown that is under way comes before what a copy of the agent does.
    let waits = client.is_busy() && ["guest-get-disks", "guest-get-fsinfo"].contains(command);
    let before = client.session.sim.with(|world| world.mounts.table());
    match ask(client, record, command, format_args!("")) {
        Answer::Value(at) => {
            assert!(!frozen, "{command} while frozen");
            if *command == "guest-get-fsinfo" {
                let value = client.text(at).to_vec();
                if !client.failed_since(calls) {
                    let after = client.session.sim.with(|world| world.mounts.table());
                    // Somebody may have mounted something meanwhile.
                    let tables = [&before, &after].map(|table| mounted(table));
                    assert!(tables.contains(&listed(&value)), "{}", value.escape_ascii());
                }
            } else if !client.failed_since(calls) {
                let value = client.text(at).escape_ascii().to_string();
                assert_eq!(value, expected.escape_ascii().to_string(), "{command}");
            }
        }
        Answer::Error { not_found } => {
            assert_eq!(not_found, frozen, "{command}");
            let timeless = *command == "guest-get-timezone" && now_ns(client).is_none();
            let has_reason = frozen || timeless || waits || client.failed_since(calls);
            assert!(has_reason, "{command} without a reason");
        }
        Answer::None => {}
    }
    let texts = client.session.sim.with(|world| world.open.texts);
    assert!(texts <= 1, "{command} leaves {texts} texts open");
}

/// The mount points of guest-get-fsinfo, as they stand between their quotes.
fn listed(value: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(value);
    let points = text.split("{\"mountpoint\": \"").skip(1);
    points.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

/// The same by the mount table: each superblock with a device, or of btrfs, where it was mounted
/// first, the last one first, without those whose lines are too long.
fn mounted(table: &[u8]) -> Vec<String> {
    let mut known = Vec::new();
    let mut points = Vec::new();
    for line in String::from_utf8_lossy(table).lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let kind = words.iter().position(|word| *word == "-").map(|at| words[at + 1]);
        // It comes cut, and is left out: of a longer one nobody knows.
        if line.len() > LIST_BYTES {
            continue;
        }
        let has_device = !words[2].starts_with("0:") || kind == Some("btrfs");
        if has_device && !known.contains(&words[2].to_owned()) {
            known.push(words[2].to_owned());
            let point = [("\\040", " "), ("\\011", "\\t"), ("\\012", "\\n"), ("\\134", "\\\\")];
            let unescape = |text: String, (from, to): (&str, &str)| text.replace(from, to);
            points.push(point.into_iter().fold(words[4].to_owned(), unescape));
        }
    }
    points.reverse();
    points
}

/// The time of day, if it has a number.
fn now_ns<S: Source>(client: &Client<S>) -> Option<i64> {
    client.session.sim.with(|world| world.time).wall_ns()
}

/// guest-set-time, by a time or by the hardware clock, which may be missing.
fn set_time<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let choice = client.source.byte();
    let ns = match choice % 4 {
        0 => Some(client.source.number()),
        1 | 2 => Some(1_600_000_000_000_000_000 + i64::from(choice) * 1_000_000_000),
        _ => None,
    };
    let (frozen, calls) = (client.is_frozen(), client.calls());
    let before = client.session.sim.with(|world| world.time);
    let answer = match ns {
        Some(ns) => ask(client, record, "guest-set-time", format_args!("\"time\": {ns}")),
        None => ask(client, record, "guest-set-time", format_args!("")),
    };
    let after = client.session.sim.with(|world| world.time);
    assert!(after.now_ms >= before.now_ms, "the clock that never jumps has jumped");
    let failed = client.failed_since(calls);
    let wanted_ms = ns.map(|ns| ns / 1_000_000).or_else(|| {
        let shown = seconds_since_1970(&before.rtc()?)?;
        Some(shown * 1000 + 500)
    });
    match answer {
        Answer::Value(_) => {
            assert!(!frozen, "guest-set-time while frozen");
            let passed_ms = (after.now_ms - before.now_ms).cast_signed();
            let late_ms = after.wall_ns().zip(wanted_ms).map(|(ns, ms)| ns / 1_000_000 - ms);
            let in_time = late_ms.is_some_and(|late_ms| (0..=passed_ms).contains(&late_ms));
            assert!(in_time, "{ns:?} is set to {:?}", after.wall_ns());
        }
        Answer::Error { not_found } => {
            assert_eq!(not_found, frozen, "guest-set-time");
            let is_wrong = wanted_ms.is_none_or(|ms| !(0..3_155_760_000_000).contains(&ms))
                || ns.is_some_and(|ns| ns < 0);
            assert!(frozen || is_wrong || failed, "guest-set-time without a reason: {ns:?}");
            let unchanged = after.epoch_ms == before.epoch_ms;
            assert!(unchanged || failed, "an error, and another time");
        }
        Answer::None => {}
    }
}

/// guest-get-time.
fn get_time<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let (frozen, calls) = (client.is_frozen(), client.calls());
    let ns = now_ns(client);
    match ask(client, record, "guest-get-time", format_args!("")) {
        Answer::Value(at) => assert_eq!(Some(reply::number(client.text(at))), ns),
        Answer::Error { not_found } => {
            assert_eq!(not_found, frozen, "guest-get-time");
            assert!(frozen || ns.is_none() || client.failed_since(calls), "knows the time");
        }
        Answer::None => {}
    }
}
