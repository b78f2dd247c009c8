//! The worked example of CONTRIBUTING.md: what it says to put where is put there, in a copy of the
//! project; the agent that comes of it holds the conversation that it shows.

use qga_tests::agent::{Agent, Options};
use qga_tests::copy::Copy;
use qga_tests::repository;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The text of the block whose fence names this file.
fn block<'a>(text: &'a str, file: &str) -> &'a str {
    let fence = format!(" {file}\n");
    let (_, block) = text.split_once(&fence).unwrap_or_else(|| panic!("no block for {file}"));
    block.split_once("```\n").expect("the block ends").0
}

#[test]
fn the_example_is_a_command() {
    let text = fs::read_to_string(repository().join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let copy = Copy::new(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("contributing"));
    let (table, room) = ("core/src/command/table.rs", "core/src/command/file.rs");
    let rows = copy.read(table);
    let (before, after) = rows.split_once("\n    ];\n").expect("the table's end");
    copy.write(table, &format!("{before}\n{}    ];\n{after}", block(&text, table)));
    copy.write(room, &format!("{}\n{}", copy.read(room), block(&text, room)));
    let binary = copy.build().unwrap_or_else(|said| panic!("the example does not compile: {said}"));
    let agent = Agent::start(Options { binary: Some(binary), ..Options::default() });
    let mut client = agent.connect();
    let conversation = block(&text, "tests/data/conversations/own.jsonl");
    assert!(conversation.lines().count() >= 3, "{conversation}");
    for line in conversation.lines() {
        let step: Value = serde_json::from_str(line).expect("a step");
        let (send, reply) = (step["send"].as_str().unwrap(), step["reply"].as_str().unwrap());
        assert_eq!(client.ask(send), reply.trim_end(), "{line}");
    }
    assert!(client.ask("{\"execute\":\"guest-info\"}\n").contains("guest-file-tell"));
}

/// Whatever it sends a newcomer to is there.
#[test]
fn what_it_names_exists() {
    let text = fs::read_to_string(repository().join("CONTRIBUTING.md")).expect("CONTRIBUTING.md");
    let mut named = 0;
    for word in text.split('`').skip(1).step_by(2).filter(|word| word.contains('/')) {
        let is_path = !word.contains([' ', '<', '\n']) && !word.starts_with('/');
        if is_path && !word.starts_with("./") {
            assert!(repository().join(word).exists(), "{word} is not there");
            named += 1;
        }
    }
    assert!(named >= 15, "{named} paths");
}
