//! A second agent on one state directory touches nothing, whatever becomes of it; on another one it
//! is an agent of its own.

use crate::{MARKS, inner_pid, marks, refuses};
use qga_tests::agent::connect;
use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, THAWED, freeze, returns, status, thaw};
use qga_tests::jail::{AGENT_FOLDER, Start};
use std::fs;
use std::time::{Duration, Instant};

/// Asks the jail's agent as another connection.
fn client(guest: &Guest) -> Connection {
    Connection::new(connect(&guest.jail.path(&format!("{AGENT_FOLDER}/s"))))
}

/// A second agent on the same directory, whatever becomes of it, touches nothing.
#[test]
fn a_second_agent_touches_nothing() {
    if Disk::impossible("state_dir::a_second_agent_touches_nothing") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let first = guest.jail.agent(Start::default());
    assert_eq!(freeze(&mut first.connect()), returns(2));
    let marks = || MARKS.map(|place| marks(&guest, place).len());
    assert_eq!(marks(), [1, 0, 1]);
    let (socket, held) = ("/run/a/s2", inner_pid(first.pid));
    let words = ["state directory /run/a: in use by the agent with pid ", &held];
    let log = guest.jail.path("/run/log");
    fs::write(&log, "kept").expect("a log");
    let channels: [&[&str]; 4] = [
        &["-p", socket],
        &["-m", "isa-serial", "-p", "/dev/none"],
        &["-m", "virtio-serial", "-p", "/dev/none", "-r"],
        &["-p", "/run/a/s", "-l", "/run/log", "-v", "-t", "/run/a/../a/"],
    ];
    for (at, arguments) in channels.into_iter().enumerate() {
        let words: &[&str] = if at == 3 { &["in use by", &held] } else { &words };
        // The jail's own spawn takes the socket's path away; the agent that has it goes on.
        refuses(&guest, Start { arguments, ..Start::default() }, words);
        assert_eq!((guest.frozen(), marks()), (vec![true, true], [1, 0, 1]), "{arguments:?}");
        assert_eq!(fs::read_to_string(&log).expect("a log"), "kept", "{arguments:?}");
    }
    first.kill();
    // The lock ends with its holder, and only now does the next one take over.
    let next = guest.jail.agent(Start::default());
    assert_eq!(status(&mut next.connect()), FROZEN);
    assert_eq!(thaw(&mut next.connect()), returns(2));
    assert_eq!(guest.frozen(), [false, false]);
}

/// With directories of their own two agents know nothing of each other: neither takes over nor
/// removes a mark.
#[test]
fn two_directories_are_two_agents() {
    if Disk::impossible("state_dir::two_directories_are_two_agents") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let first = guest.jail.agent(Start::default());
    let mut asking = first.connect();
    assert_eq!(freeze(&mut asking), returns(1));
    guest.run(&["mkdir", "/run/b"]);
    let arguments = ["-t", "/run/b"];
    let second = guest.jail.agent(Start { arguments: &arguments, ..Start::default() });
    assert_eq!(status(&mut second.connect()), THAWED);
    second.signal(libc::SIGTERM);
    assert_eq!(second.wait(), "exited 0");
    assert_eq!(guest.frozen(), [true]);
    assert_eq!(MARKS.map(|place| marks(&guest, place).len()), [1, 0, 1]);
    assert_eq!(thaw(&mut asking), returns(1));
    assert_eq!(guest.frozen(), [false]);
}

/// Process 1 of a container must not end: it waits for the agent that has its directory, and goes
/// on after it.
#[test]
fn process_1_waits_for_the_other_agent() {
    if Disk::impossible("state_dir::process_1_waits_for_the_other_agent") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let first = guest.jail.agent(Start::default());
    assert_eq!(freeze(&mut first.connect()), returns(1));
    let before = ["/bin/busybox", "unshare", "-p", "-f"];
    let second = guest.jail.spawn(Start { before: &before, ..Start::default() });
    let deadline = Instant::now() + Duration::from_secs(10);
    while !guest.jail.stderr().contains("in use by the agent with pid") {
        assert!(Instant::now() < deadline, "{}", guest.jail.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(guest.frozen(), [true]);
    assert!(!guest.jail.path("/run/a/s").exists());
    first.kill();
    assert_eq!(status(&mut client(&guest)), FROZEN);
    assert_eq!(thaw(&mut client(&guest)), returns(1));
    drop(second);
}

/// Second starts, ended by themselves, by SIGTERM and by SIGKILL at some moment, while the first
/// holds a freeze, freezes and thaws; some hundred of them, 10,000 with QGA_FIRE=full.
#[test]
fn second_starts_around_a_freeze() {
    let name = "state_dir::second_starts_around_a_freeze";
    if Disk::impossible(name) {
        return;
    }
    let all = std::env::var("QGA_FIRE").is_ok_and(|value| value == "full");
    let (rounds, starts) = if all { (100, 100) } else { (10, 60) };
    if !all {
        qga_tests::skip(
            &format!("{name}, all 10000"),
            "600 of them were made; QGA_FIRE=full makes all",
        );
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    // One round: each start is ended in one of four ways; the delays of the kills grow through a
    // start's whole time.
    let script = "n=0; while [ $n -lt $1 ]; do n=$((n+1)); \
        case $((n%5)) in 0) set -- $1 -m isa-serial -p /dev/none;; 1) set -- $1 -p /run/a/s;; \
        2) set -- $1 -m virtio-serial -p /dev/none -r;; \
        *) set -- $1 -p /run/a/s$n -v -l /run/log;; esac; \
        c=$1; shift; /bin/qga -m unix-listen \"$@\" -t /run/a 2>/run/said & p=$!; set -- $c; \
        case $((n%3)) in 1) usleep $((n*20)); kill -TERM $p 2>/dev/null;; \
        2) usleep $((n*20)); kill -KILL $p 2>/dev/null;; esac; \
        wait $p; e=$?; case $e in 1|137|143) ;; \
        *) echo \"$n: exit $e\" >>/run/wrong;; esac; done; :";
    let mut agent = guest.jail.agent(Start::default());
    for round in 0..rounds {
        let mut client = agent.connect();
        if round % 4 != 3 {
            assert_eq!(freeze(&mut client), returns(2), "round {round}");
        }
        let expected = if round % 4 == 3 { [false, false] } else { [true, true] };
        let count = starts.to_string();
        guest.run(&["sh", "-c", script, "sh", &count]);
        assert_eq!(guest.jail.text("/run/wrong"), "", "round {round}");
        assert_eq!(guest.frozen(), expected, "round {round}");
        assert_eq!(status(&mut client), if expected[0] { FROZEN } else { THAWED });
        match round % 4 {
            3 => {}
            0 => assert_eq!(thaw(&mut client), returns(2), "round {round}"),
            1 => {
                // Killed, its freeze is the next one's.
                drop(client);
                agent.kill();
                agent = guest.jail.agent(Start::default());
                assert_eq!(guest.frozen(), [true, true], "round {round}");
                assert_eq!(thaw(&mut agent.connect()), returns(2), "round {round}");
            }
            _ => {
                drop(client);
                agent.signal(libc::SIGTERM);
                assert_eq!(agent.wait(), "exited 0", "round {round}");
                agent = guest.jail.agent(Start::default());
            }
        }
    }
    assert_eq!(guest.frozen(), [false, false]);
    println!("{} second starts in {rounds} rounds", rounds * starts);
}
