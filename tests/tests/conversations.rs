//! Every conversation that can be held outside a jail, held with the binary: whole, byte by byte,
//! and cut in two at every place, with identical output each time.

use qga_tests::agent::{Agent, Options};
use qga_tests::conversations::{self, Before, Conversation, Needs};
use qga_tests::play::{Cut, play};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;

/// Conversations up to this many bytes are cut at every place; longer ones byte by byte only.
const SHORT_BYTES_MAX: usize = 1500;

fn outside_a_jail() -> Vec<Conversation> {
    let all = conversations::load().into_iter();
    all.filter(|conversation| conversation.needs == Needs::Nothing).collect()
}

/// Whether an agent that has held this conversation is as good as new.
fn leaves_no_trace(conversation: &Conversation) -> bool {
    !conversation.mentions("guest-file-open")
        && !conversation.fifo
        && conversation.steps.iter().all(|step| step.before == Before::Nothing)
}

fn report(failures: &[String], held: usize) {
    let count = failures.len();
    assert!(failures.is_empty(), "{count} of {held} failed:\n{}", failures.join("\n"));
}

fn hold_all(cut: Cut) {
    let conversations = outside_a_jail();
    let hold = |conversation: &Conversation| play(&mut Agent::plain(), conversation, cut).err();
    let failures: Vec<_> = conversations.iter().filter_map(hold).collect();
    report(&failures, conversations.len());
}

#[test]
fn whole() {
    hold_all(Cut::Whole);
}

#[test]
fn byte_by_byte() {
    hold_all(Cut::EveryByte);
}

#[test]
fn cut_at_every_place() {
    let mut shared = Agent::plain();
    let mut failures = Vec::new();
    let mut held = 0;
    for conversation in outside_a_jail() {
        if conversation.sent_bytes() > SHORT_BYTES_MAX {
            continue;
        }
        let longest = conversation.steps.iter().map(|step| step.send.len()).max().unwrap_or(0);
        for at in 1..longest {
            held += 1;
            let result = match leaves_no_trace(&conversation) {
                true => play(&mut shared, &conversation, Cut::At(at)),
                false => play(&mut Agent::plain(), &conversation, Cut::At(at)),
            };
            failures.extend(result.err());
        }
    }
    report(&failures[..failures.len().min(20)], held);
    assert!(held > 3000, "only {held} cuts were tried");
}

#[test]
fn the_reference_is_complete() {
    let names: BTreeSet<String> = conversations::load()
        .into_iter()
        .flat_map(|conversation| conversation.steps)
        .map(|step| step.name)
        .filter(|name| !name.starts_with("own-"))
        .collect();
    let left_out = conversations::left_out();
    for entry in &left_out {
        for record in &entry.records {
            assert!(record.starts_with(&entry.prefix), "{record} under {}", entry.prefix);
            assert!(!names.contains(record), "{record} is both held and left out");
        }
        assert!(!entry.reason.is_empty(), "{} is left out without a reason", entry.prefix);
    }
    let left_out: BTreeSet<_> = left_out.into_iter().flat_map(|entry| entry.records).collect();
    // The recording has 308 records, each with a name of its own.
    assert_eq!((names.len(), left_out.len()), (227, 81));
}

#[test]
fn every_command_succeeds_and_fails() {
    let conversations = conversations::load();
    let commands: Vec<_> =
        "sync-delimited sync ping info shutdown file-open file-close file-read file-write \
         file-seek file-flush fsfreeze-status fsfreeze-freeze fsfreeze-thaw"
            .split_whitespace()
            .collect();
    for command in commands {
        let needle = format!("guest-{command}\"");
        let steps = || conversations.iter().flat_map(|conversation| &conversation.steps);
        let of_command =
            |send: &[u8]| send.windows(needle.len()).any(|part| part == needle.as_bytes());
        let with = |text: &str, silent: bool| {
            steps().any(|step| {
                of_command(&step.send)
                    && (step.reply.windows(text.len()).any(|part| part == text.as_bytes())
                        || (silent && step.reply.is_empty()))
            })
        };
        assert!(with("\"return\"", command == "shutdown"), "no success of guest-{command}");
        assert!(with("\"error\"", false), "no failure of guest-{command}");
    }
}

/// The last step of the record `file-perm-new` looks with guest-exec.
#[test]
fn new_files_have_mode_0644_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let shell = ["sh", "-c", &format!("umask {umask}; exec \"$0\" \"$@\"")];
        let wrapper = shell.map(String::from).to_vec();
        let agent = Agent::start(Options { wrapper, ..Options::default() });
        let mut client = agent.connect();
        for (number, mode) in ["w", "a", "w+", "a+"].into_iter().enumerate() {
            let path = agent.folder.join(format!("new-{mode}"));
            let shown = path.display();
            let request = format!(
                r#"{{"execute":"guest-file-open","arguments":{{"path":"{shown}","mode":"{mode}"}}}}"#
            );
            let (first, second) = (1000 + 2 * number, 1001 + 2 * number);
            assert_eq!(client.ask(&request), format!(r#"{{"return": {first}}}"#));
            let found = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            assert_eq!(found(), 0o644, "mode {mode} under umask {umask}");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
            assert_eq!(client.ask(&request), format!(r#"{{"return": {second}}}"#));
            assert_eq!(found(), 0o640, "an existing file keeps its mode");
        }
    }
}

#[test]
fn the_time_is_this_machines() {
    let now_ns = || {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("a clock after 1970");
        i64::try_from(since.as_nanos()).expect("a clock before 2262")
    };
    let agent = Agent::plain();
    let mut client = agent.connect();
    let before = now_ns();
    let reply = client.ask(r#"{"execute":"guest-get-time"}"#);
    let after = now_ns();
    let digits = reply.strip_prefix("{\"return\": ").and_then(|rest| rest.strip_suffix('}'));
    let time: i64 = digits.and_then(|digits| digits.parse().ok()).expect(&reply);
    assert!((before..=after).contains(&time), "{before} <= {time} <= {after}");
}
