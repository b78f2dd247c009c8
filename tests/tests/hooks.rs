//! The freeze hook on real filesystems: it may write when it is told, hears of every end, and
//! costs its time limit at most.

use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, THAWED, returns, status, thaw};
use qga_tests::jail::{Spec, Start};
use std::time::{Duration, Instant};

const HOOK: &str = "/sbin/hook";
const ON: &str = "--fsfreeze-hook=/sbin/hook";

/// A guest with two filesystems whose hook is this shell script, which gets the word as `$1`.
fn guest(name: &str, script: &str) -> Option<Guest> {
    if Disk::impossible(&format!("hooks::{name}")) {
        return None;
    }
    let scripts = [(HOOK.to_owned(), script.to_owned())].into();
    Some(Guest::with_spec(&["/mnt/a", "/mnt/b"], Spec { scripts, ..Spec::default() }))
}

fn start<'a>(arguments: &'a [&'a str]) -> Start<'a> {
    Start { arguments, ..Start::default() }
}

/// What it was told, which it writes down where it will be frozen, or was.
fn told(guest: &Guest) -> String {
    guest.jail.text("/mnt/a/told")
}

const FREEZE: &str = "{\"execute\":\"guest-fsfreeze-freeze\"}\n";

const WRITES: &str = "echo $1 >>/mnt/a/told; sync /mnt/a /mnt/b";

#[test]
fn it_may_write_when_it_is_told_and_is_told_in_pairs() {
    let test = "it_may_write_when_it_is_told_and_is_told_in_pairs";
    let Some(guest) = guest(test, WRITES) else { return };
    let agent = guest.jail.agent(start(&[ON]));
    let mut client = agent.connect();
    assert_eq!(client.ask(FREEZE), returns(2));
    assert_eq!(told(&guest), "freeze\n");
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(2));
    assert_eq!(told(&guest), "freeze\nthaw\n");
    let none = r#"{"execute":"guest-fsfreeze-freeze-list","arguments":{"mountpoints":["/no"]}}"#;
    assert_eq!(client.ask(format!("{none}\n")), returns(0));
    assert_eq!(told(&guest), "freeze\nthaw\nfreeze\nthaw\n");
}

/// The agent that froze is killed; the one after it thaws.
#[test]
fn the_next_agent_tells_it_of_the_thaw() {
    let Some(guest) = guest("the_next_agent_tells_it_of_the_thaw", WRITES) else { return };
    let agent = guest.jail.agent(start(&[ON]));
    assert_eq!(agent.connect().ask(FREEZE), returns(2));
    agent.kill();
    let agent = guest.jail.agent(start(&[ON]));
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(2));
    assert_eq!(told(&guest), "freeze\nthaw\n");
    assert_eq!(status(&mut client), THAWED);
}

#[test]
fn how_it_failed_is_the_reply() {
    let script = "echo $1 >>/mnt/a/told; [ $1 = thaw ] || { echo no lock >&2; exit 3; }";
    let Some(guest) = guest("how_it_failed_is_the_reply", script) else { return };
    let agent = guest.jail.agent(start(&[ON]));
    let mut client = agent.connect();
    let reply = client.ask(FREEZE);
    let text = "failed to run the fsfreeze hook with: freeze: exit status 3: no lock\"";
    assert!(reply.contains(text), "{reply}");
    assert_eq!(guest.frozen(), [false; 2]);
    assert_eq!(status(&mut client), THAWED);
    assert_eq!(told(&guest), "freeze\nthaw\n");
    assert!(guest.jail.stderr().contains("exit status 3: no lock"), "{}", guest.jail.stderr());
    drop(client);
    agent.kill();
    // One that is not there is an error with its reason, not a freeze without it.
    let agent = guest.jail.agent(start(&["--fsfreeze-hook=/sbin/missing"]));
    let reply = agent.connect().ask(FREEZE);
    assert!(reply.contains("hook with freeze: No such file or directory"), "{reply}");
    assert_eq!(guest.frozen(), [false; 2]);
}

/// As RHEL's settings say; the reference then fails every freeze.
#[test]
fn an_empty_one_and_dev_null_are_none() {
    let Some(guest) = guest("an_empty_one_and_dev_null_are_none", WRITES) else { return };
    for option in ["--fsfreeze-hook=/dev/null", "--fsfreeze-hook="] {
        let agent = guest.jail.agent(start(&[option]));
        let mut client = agent.connect();
        assert_eq!(client.ask(FREEZE), returns(2), "{option}");
        assert_eq!(thaw(&mut client), returns(2), "{option}");
        drop(client);
        agent.kill();
    }
    assert_eq!(told(&guest), "");
}

/// How many processes of the guest sleep as the hooks below do.
fn sleepers(guest: &Guest) -> usize {
    let sleeps = |pid: &u32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("sleep\x0054321")
    };
    guest.processes().iter().filter(|pid| sleeps(pid)).count()
}

fn none_sleeps(guest: &Guest) -> bool {
    let end = Instant::now() + Duration::from_secs(5);
    while sleepers(guest) > 0 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    sleepers(guest) == 0
}

const HANGS: &str = "echo $1 >>/mnt/a/told; [ $1 = thaw ] || sleep 54321";

/// With what it has started; others are answered meanwhile.
#[test]
fn one_that_hangs_is_killed_in_time() {
    let Some(guest) = guest("one_that_hangs_is_killed_in_time", HANGS) else { return };
    let agent = guest.jail.agent(start(&[ON, "--freeze-deadline", "2"]));
    let mut client = agent.connect();
    let begun = Instant::now();
    client.send(FREEZE);
    while sleepers(&guest) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(2), "it never started");
        std::thread::sleep(Duration::from_millis(10));
    }
    let reply = client.text();
    assert!(reply.contains("fsfreeze hook with freeze: Connection timed out"), "{reply}");
    let took = begun.elapsed();
    assert!((2..4).contains(&took.as_secs()), "{took:?}");
    assert!(none_sleeps(&guest), "it goes on");
    assert_eq!(guest.frozen(), [false; 2]);
    assert_eq!(told(&guest), "freeze\nthaw\n");
}

/// A thaw does not wait for it, nor does the answer to whoever syncs.
#[test]
fn a_thaw_ends_one_that_hangs() {
    let Some(guest) = guest("a_thaw_ends_one_that_hangs", HANGS) else { return };
    let agent = guest.jail.agent(start(&[ON]));
    let mut client: Connection = agent.connect();
    client.send(FREEZE);
    while sleepers(&guest) == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    let sync = "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":7}}\n";
    assert_eq!(client.ask(sync), "{\"return\": 7}");
    assert_eq!(thaw(&mut client), returns(0));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(none_sleeps(&guest), "it goes on");
    assert_eq!(told(&guest), "freeze\nthaw\n");
    assert_eq!(status(&mut client), THAWED);
}

/// It gets no descriptor, no signal mask and no input of the agent's.
#[test]
fn it_gets_nothing_of_the_agent() {
    let script = "ls -l /proc/$$/fd >/mnt/b/fds; grep SigBlk /proc/$$/status >/mnt/b/blocked; \
                  cat >/mnt/b/input";
    let Some(guest) = guest("it_gets_nothing_of_the_agent", script) else { return };
    let agent = guest.jail.agent(start(&[ON]));
    let mut client = agent.connect();
    assert_eq!(client.ask(FREEZE), returns(2));
    assert_eq!(thaw(&mut client), returns(2));
    // What a shell opens itself is among them, and what whoever started the agent left it.
    let fds = guest.jail.text("/mnt/b/fds");
    assert!(fds.lines().count() > 3, "{fds}");
    for ours in ["socket:", "anon_inode:", "/run/", "mountinfo", "/mnt/a"] {
        assert!(!fds.contains(ours), "{fds}");
    }
    assert_eq!(guest.jail.text("/mnt/b/blocked"), "SigBlk:\t0000000000000000\n");
    assert_eq!(guest.jail.text("/mnt/b/input"), "");
}
