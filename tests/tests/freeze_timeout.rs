//! `--freeze-timeout` on real filesystems: whatever the channel is doing, a freeze ends when its
//! time is over; and an agent that ends by itself thaws first.

use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::guest::{Guest, freeze, returns, status, thaw};
use qga_tests::jail::{AGENT_FOLDER, Start};
use std::time::{Duration, Instant};

const ARGUMENTS: [&str; 2] = ["--freeze-timeout", "1"];
/// The limit, and room for a machine that is busy.
const LATEST: Duration = Duration::from_secs(8);

fn limited(arguments: &[&'static str]) -> Vec<&'static str> {
    [&ARGUMENTS, arguments].concat()
}

/// Waits until everything runs again; how long that took. Not sooner than the limit, or the freeze
/// was worth nothing.
fn await_thaw(guest: &Guest, since: Instant) -> Duration {
    while guest.frozen().contains(&true) {
        assert!(since.elapsed() < LATEST, "frozen for ever: {}", guest.jail.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    since.elapsed()
}

#[test]
fn with_a_client_that_says_nothing() {
    if Disk::impossible("freeze_timeout::with_a_client_that_says_nothing") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let agent = guest.jail.agent(Start { arguments: &ARGUMENTS, ..Start::default() });
    let mut client = agent.connect();
    for _ in 0..2 {
        let begun = Instant::now();
        assert_eq!(freeze(&mut client), returns(2));
        let took = await_thaw(&guest, begun);
        assert!(took >= Duration::from_millis(990), "thawed after {took:?} already");
        assert_eq!(status(&mut client), r#"{"return": "thawed"}"#);
        assert_eq!(thaw(&mut client), returns(0), "the thaw that came too late");
    }
    let said = guest.jail.stderr();
    assert_eq!(said.matches("--freeze-timeout").count(), 2, "the log says: {said}");
    assert!(said.contains(": error: no thaw came within"), "the log says: {said}");
    let mark = guest.jail.path(&format!("{AGENT_FOLDER}/qga.state.isfrozen"));
    assert!(!mark.exists(), "a mark was left behind");
}

#[test]
fn a_thaw_in_time_ends_the_counting() {
    if Disk::impossible("freeze_timeout::a_thaw_in_time_ends_the_counting") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start { arguments: &ARGUMENTS, ..Start::default() });
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(thaw(&mut client), returns(1));
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(freeze(&mut client), returns(1));
    // The first freeze would be over here.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(guest.frozen(), [true], "ended by the time of a freeze before");
    assert_eq!(thaw(&mut client), returns(1));
    assert!(!guest.jail.stderr().contains("--freeze-timeout"), "{}", guest.jail.stderr());
}

#[test]
fn without_a_client() {
    if Disk::impossible("freeze_timeout::without_a_client") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start { arguments: &ARGUMENTS, ..Start::default() });
    let begun = Instant::now();
    assert_eq!(freeze(&mut agent.connect()), returns(1));
    await_thaw(&guest, begun);
    assert_eq!(thaw(&mut agent.connect()), returns(0));
}

/// The agent sits in the middle of a reply that nobody takes.
#[test]
fn with_a_client_that_does_not_read() {
    if Disk::impossible("freeze_timeout::with_a_client_that_does_not_read") {
        return;
    }
    const REQUESTS: usize = 4000;
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start { arguments: &ARGUMENTS, ..Start::default() });
    let mut client: Connection = agent.connect();
    let begun = Instant::now();
    assert_eq!(freeze(&mut client), returns(1));
    client.send("{\"execute\":\"guest-info\"}\n".repeat(REQUESTS));
    await_thaw(&guest, begun);
    // All of them are answered, once somebody reads.
    for _ in 0..REQUESTS {
        assert!(client.text().contains("supported_commands"));
    }
    assert_eq!(status(&mut client), r#"{"return": "thawed"}"#);
}

#[test]
fn killed_while_frozen_and_started_anew() {
    if Disk::impossible("freeze_timeout::killed_while_frozen_and_started_anew") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let agent = guest.jail.agent(Start::default());
    assert_eq!(freeze(&mut agent.connect()), returns(2));
    agent.kill();
    let begun = Instant::now();
    let agent = guest.jail.agent(Start { arguments: &ARGUMENTS, ..Start::default() });
    await_thaw(&guest, begun);
    assert_eq!(thaw(&mut agent.connect()), returns(0));
}

/// The device has gone, and the agent waits for it.
#[test]
fn while_the_channel_is_missing() {
    if Disk::impossible("freeze_timeout::while_the_channel_is_missing") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    assert_eq!(freeze(&mut agent.connect()), returns(1));
    agent.kill();
    let begun = Instant::now();
    let arguments = limited(&["-r", "-m", "isa-serial", "-p", "/dev/none"]);
    let agent = guest.jail.spawn(Start { arguments: &arguments, ..Start::default() });
    await_thaw(&guest, begun);
    agent.signal(libc::SIGTERM);
    assert_eq!(agent.wait(), "exited 0");
}

/// Whoever cannot serve must not leave behind what only it could thaw.
#[test]
fn an_agent_that_cannot_serve_thaws_before_it_ends() {
    if Disk::impossible("freeze_timeout::an_agent_that_cannot_serve_thaws_before_it_ends") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let state = guest.jail.path(&format!("{AGENT_FOLDER}/qga.state"));
    for spoilt_state in [false, true] {
        let agent = guest.jail.agent(Start::default());
        assert_eq!(freeze(&mut agent.connect()), returns(2));
        agent.kill();
        let arguments = ["-m", "isa-serial", "-p", "/dev/none"];
        if spoilt_state {
            // What it says is no number, and a folder keeps a new one from being written.
            std::fs::write(&state, "nonsense").expect("a state");
            std::fs::create_dir(state.with_extension("state.new")).expect("a folder");
        }
        let agent = guest.jail.spawn(Start { arguments: &arguments, ..Start::default() });
        assert_eq!(agent.wait(), "exited 1");
        assert_eq!(guest.frozen(), [false, false], "spoilt state: {spoilt_state}");
    }
}
