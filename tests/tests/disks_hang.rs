//! Filesystems that do not answer, on a real mount table: the list leaves out what they would say,
//! the agent answers meanwhile, and nobody stays behind.

use qga_core::limits::ABANDONED_MAX;
use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::fuse::Fuse;
use qga_tests::guest::returns;
use qga_tests::hanging::{BEHIND_FUSE, HangingGuest, Kind, PLACES};
use qga_tests::jail::Start;
use serde_json::Value;
use std::time::{Duration, Instant};

const FSINFO: &str = r#"{"execute":"guest-get-fsinfo"}"#;
const SYNC: &str = r#"{"execute":"guest-sync","arguments":{"id":77}}"#;

/// Each mount point, and whether it is known how full it is.
fn filesystems(client: &mut Connection, within: Duration) -> Vec<(String, bool)> {
    client.send(FSINFO);
    let reply = client.text_within(within).expect("an answer");
    let reply: Value = serde_json::from_str(&reply).expect("JSON");
    let list = reply["return"].as_array().unwrap_or_else(|| panic!("{reply}"));
    let place = |one: &Value| one["mountpoint"].as_str().expect("a mount point").to_owned();
    list.iter().map(|one| (place(one), one.get("total-bytes").is_some())).collect()
}

/// A second after which a copy of the agent is given up, and another for a busy machine.
const GIVEN_UP: Duration = Duration::from_secs(4);
/// What is at once.
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn a_filesystem_that_hangs_is_listed_without_its_sizes() {
    let name = "disks_hang::a_filesystem_that_hangs_is_listed_without_its_sizes";
    if Disk::impossible(name) || Fuse::impossible(name) {
        return;
    }
    let rig = HangingGuest::behind_fuse();
    let agent = rig.guest.jail.agent(Start::default());
    let mut client = agent.connect();
    let places = [PLACES[3], PLACES[2], BEHIND_FUSE, PLACES[0]];
    let known = |hangs: &str| -> Vec<(String, bool)> {
        places.iter().map(|&place| (place.to_owned(), place != hangs)).collect()
    };
    assert_eq!(filesystems(&mut client, AT_ONCE), known("none"));

    let mut hang = rig.hang(Kind::Path);
    let begun = Instant::now();
    assert_eq!(filesystems(&mut client, GIVEN_UP), known(BEHIND_FUSE));
    assert!(begun.elapsed() > Duration::from_millis(900), "it did not hang");

    // Whoever does not wait is answered at once, and the next list is whole, once it can be.
    client.send(FSINFO);
    rig.await_hang();
    client.send(SYNC);
    assert_eq!(client.text_within(AT_ONCE).as_deref(), Some(&*returns(77)));
    // One that hangs up does not keep the next one waiting.
    client.send(FSINFO);
    rig.await_hang();
    drop(client);
    let mut client = agent.connect();
    client.send(SYNC);
    assert_eq!(client.text_within(AT_ONCE).as_deref(), Some(&*returns(77)));
    // Those who ask while it hangs still are not kept waiting again.
    assert_eq!(filesystems(&mut client, AT_ONCE), known(BEHIND_FUSE));
    let behind = rig.workers(&agent).len();
    assert!(behind <= ABANDONED_MAX, "{behind} copies stay behind");
    hang.release();
    qga_tests::eventually("copies of the agent stay behind", || rig.workers(&agent).is_empty());
    assert_eq!(filesystems(&mut client, AT_ONCE), known("none"));
}
