//! Families of commands left out of the binary: each family alone, none, and those of the smallest
//! useful guest. What is left out is not listed, answers as a command that nobody knows, and takes
//! no room in the file.

use qga_core::internals::command::{Needs, Table};
use qga_sim::Sim;
use qga_tests::agent::{Agent, Options};
use std::collections::BTreeSet;
use xtask::size::families::{self, Budget};

/// A feature, and what its commands need.
const FAMILIES: [(&str, &[Needs]); 18] = [
    ("files", &[Needs::Files]),
    ("freeze", &[Needs::Freeze]),
    ("hooks", &[]),
    ("power", &[Needs::Power]),
    ("time", &[Needs::WallClock, Needs::SetTime]),
    ("info", &[Needs::Info]),
    ("users", &[Needs::Users]),
    ("cpus", &[Needs::Cpus, Needs::Load]),
    ("memory", &[Needs::Memory]),
    ("disks", &[Needs::Disks]),
    ("network", &[Needs::Network]),
    ("exec", &[Needs::Exec]),
    ("trim", &[Needs::Trim]),
    ("hotplug", &[Needs::Hotplug]),
    ("suspend", &[Needs::Suspend]),
    ("passwords", &[Needs::Passwords]),
    ("ssh", &[Needs::Keys]),
    // How it is started.
    ("config", &[]),
];

/// What guest-info lists, and what the other commands of the table answer.
fn offers(Budget { features, bytes_max, .. }: &Budget) {
    let binary = families::with(features).expect("a build");
    let bytes = std::fs::metadata(&binary).expect("the binary").len();
    assert!(bytes <= *bytes_max, "{features:?}: {bytes} bytes, {bytes_max} are allowed");
    let agent = Agent::start(Options { binary: Some(binary), ..Options::default() });
    let mut client = agent.connect();
    let info = client.ask("{\"execute\":\"guest-info\"}\n");
    let info: serde_json::Value = serde_json::from_str(&info).expect("JSON");
    let listed = info["return"]["supported_commands"].as_array().expect("a list").iter();
    let listed: BTreeSet<&str> = listed.map(|command| command["name"].as_str().unwrap()).collect();
    for row in Table::<Sim>::rows() {
        let (name, needs) = (row.command.name, row.command.needs);
        let family = FAMILIES.iter().find(|(_, family)| family.contains(&needs));
        let offered = family.is_none_or(|(feature, _)| features.contains(feature));
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
    assert_eq!(families::names().collect::<Vec<_>>(), FAMILIES.map(|(feature, _)| feature));
    families::for_each(offers);
}

/// Every command that needs something of the guest belongs to a family.
#[test]
fn the_table_has_no_other_need() {
    let known =
        |needs| needs == Needs::Nothing || FAMILIES.iter().any(|known| known.1.contains(&needs));
    assert!(Table::<Sim>::rows().all(|row| known(row.command.needs)));
}
