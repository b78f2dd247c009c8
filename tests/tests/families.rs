//! Families of commands left out of the binary: each family alone, none, and those of the smallest
//! useful guest. What is left out is not listed, answers as a command that nobody knows, and takes
//! no room in the file.

use qga_core::internals::command::{Needs, Table};
use qga_sim::Sim;
use qga_tests::agent::{Agent, Options};
use qga_tests::repository;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A feature, what its commands need, and how large the file may be with it alone.
const FAMILIES: [(&str, Needs, u64); 4] = [
    ("files", Needs::Files, 41_984),
    ("freeze", Needs::Freeze, 48_640),
    ("power", Needs::Power, 41_984),
    ("time", Needs::WallClock, 34_304),
];
/// With no family at all: guest-sync, guest-ping, guest-info.
const NONE_BYTES_MAX: u64 = 33_792;
/// With those that a guest needs to be backed up and shut down.
const BACKUP: [&str; 3] = ["files", "freeze", "power"];
const BACKUP_BYTES_MAX: u64 = 61_952;

/// Builds the agent with these features alone; the file.
fn build(features: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("families");
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "-p", "qga-linux", "--no-default-features", "--features"])
        .arg(features.join(","))
        .arg("--target-dir")
        .arg(&folder)
        .current_dir(repository())
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{features:?}: {said}");
    assert!(!said.contains("warning"), "{features:?}: {said}");
    let name = if features.is_empty() { "none".to_owned() } else { features.join("-") };
    let file = folder.join(format!("qga-{name}"));
    fs::copy(folder.join("release/qga"), &file).expect("a copy of the binary");
    file
}

/// What guest-info lists, and what the other commands of the table answer.
fn offers(features: &[&str], bytes_max: u64) {
    let binary = build(features);
    let bytes = fs::metadata(&binary).expect("the binary").len();
    assert!(bytes <= bytes_max, "{features:?}: {bytes} bytes, {bytes_max} are allowed");
    let agent = Agent::start(Options { binary: Some(binary), ..Options::default() });
    let mut client = agent.connect();
    let info = client.ask("{\"execute\":\"guest-info\"}\n");
    let info: serde_json::Value = serde_json::from_str(&info).expect("JSON");
    let listed = info["return"]["supported_commands"].as_array().expect("a list").iter();
    let listed: BTreeSet<&str> = listed.map(|command| command["name"].as_str().unwrap()).collect();
    for row in Table::<Sim>::ROWS {
        let (name, needs) = (row.command.name, row.command.needs);
        let family = FAMILIES.iter().find(|(_, family, _)| *family == needs);
        let offered = family.is_none_or(|(feature, ..)| features.contains(feature));
        assert_eq!(listed.contains(name), offered, "{features:?}: {name} in guest-info");
        if !offered {
            let reply = client.ask(format!("{{\"execute\":\"{name}\"}}\n"));
            let unknown = format!("The command {name} has not been found");
            assert!(reply.contains("CommandNotFound") && reply.contains(&unknown), "{reply}");
        }
    }
    let pong = client.ask("{\"execute\":\"guest-ping\"}\n");
    assert_eq!(pong.trim_end(), "{\"return\": {}}", "{features:?}");
}

#[test]
fn each_alone_and_none() {
    offers(&[], NONE_BYTES_MAX);
    for (feature, _, bytes_max) in FAMILIES {
        offers(&[feature], bytes_max);
    }
    offers(&BACKUP, BACKUP_BYTES_MAX);
}

/// Every command that needs something of the guest belongs to a family.
#[test]
fn the_table_has_no_other_need() {
    let known = |needs| needs == Needs::Nothing || FAMILIES.iter().any(|known| known.1 == needs);
    assert!(Table::<Sim>::ROWS.iter().all(|row| known(row.command.needs)));
}
