//! Logs that hang: a file on a disk that somebody else froze, and a terminal that nobody reads. The
//! agent answers, does what it is told, leaves no crowd of processes behind, and says afterwards
//! how many lines were lost.

use qga_tests::agent::{Held, connect, usual_arguments, wait};
use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::guest::{Guest, returns, thaw};
use qga_tests::hanging::{ends_within, state};
use qga_tests::jail::{JailedAgent, Start};
use qga_tests::pty::Pty;
use qga_tests::{binary, counters, eventually, skip, sys};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = r#"{"return": {}}"#;
const LOG: &str = "/mnt/a/log";
/// What a client may wait for an answer, whatever hangs.
const ANSWER_MAX: Duration = Duration::from_millis(100);
const PINGS: usize = 20;

/// An agent that logs to the disk: told so, or by its standard error.
fn agent(guest: &Guest, by_option: bool) -> JailedAgent {
    let to_file = ["/bin/busybox", "sh", "-c", "exec \"$@\" 2>>/mnt/a/log", "sh"];
    guest.jail.agent(match by_option {
        true => Start { arguments: &["-v", "-l", LOG], ..Start::default() },
        false => Start { arguments: &["-v"], before: &to_file, ..Start::default() },
    })
}

/// Pings, and sees that no answer takes long, as an average on a machine that does other work.
fn answers(client: &mut Connection) {
    let begun = Instant::now();
    for _ in 0..PINGS {
        assert_eq!(client.ask(PING), PONG);
    }
    let took = begun.elapsed() / PINGS as u32;
    assert!(took < ANSWER_MAX, "an answer takes {took:?}");
}

/// How many commands the log tells of, and how many lines it says are missing.
fn told(text: &str) -> (usize, usize) {
    let called = text.lines().filter(|line| line.ends_with(" called")).count();
    let lost = text.lines().filter_map(|line| line.split_once("lines dropped: "));
    (called, lost.map(|(_, number)| number.parse::<usize>().expect("a number")).sum())
}

/// The one process that hangs in the agent's place.
fn writer(agent: &JailedAgent) -> u32 {
    let mut children = counters::children(agent.pid);
    // What has ended is about to be collected.
    children.retain(|child| state(*child) != Some('Z'));
    let [writer] = children[..] else { panic!("the agent's children: {children:?}") };
    assert_eq!(state(writer), Some('D'));
    // Nothing but the log, where it is open, and the socket between the two.
    assert!(counters::descriptors(writer) <= 2, "it holds what others may want");
    writer
}

#[test]
fn a_disk_that_others_froze_stops_nothing() {
    if Disk::impossible("log::a_disk_that_others_froze_stops_nothing") {
        return;
    }
    for by_option in [true, false] {
        let guest = Guest::with_ext4(&["/mnt/a"]);
        let agent = agent(&guest, by_option);
        let mut client = agent.connect();
        assert_eq!(client.ask(PING), PONG);
        assert_eq!(told(&guest.jail.text(LOG)), (1, 0), "it is written before the answer");
        let descriptors = counters::descriptors(agent.pid);
        guest.freeze_from_outside(0);
        answers(&mut client);
        let writer = writer(&agent);
        assert!(counters::descriptors(agent.pid) <= descriptors + 1);
        // Whoever waits for the thaw can ask for it.
        assert_eq!(thaw(&mut client), returns(1));
        assert!(ends_within(writer, Duration::from_secs(1)), "it stays");
        assert_eq!(client.ask(PING), PONG);
        let text = guest.jail.text(LOG);
        let (called, lost) = told(&text);
        assert_eq!(called + lost, PINGS + 3, "{text}");
        assert!(lost > 0 && called >= 3, "{text}");
        eventually("processes are left behind", || counters::children(agent.pid).is_empty());
        assert_eq!(counters::descriptors(agent.pid), descriptors);
    }
}

#[test]
fn it_ends_when_it_is_told_to() {
    if Disk::impossible("log::it_ends_when_it_is_told_to") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = agent(&guest, true);
    let mut client = agent.connect();
    guest.freeze_from_outside(0);
    answers(&mut client);
    let writer = writer(&agent);
    let begun = Instant::now();
    agent.signal(libc::SIGTERM);
    assert_eq!(agent.wait(), "exited 0");
    assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
    assert_eq!(told(&guest.jail.text(LOG)), (0, 0));
    // Another one is not kept from anything by what hangs still, and begins where this one has
    // ended.
    let next = self::agent(&guest, true);
    let mut client = next.connect();
    answers(&mut client);
    guest.jail.thaw();
    assert!(ends_within(writer, Duration::from_secs(1)), "it stays");
    eventually("the last line is not written", || told(&guest.jail.text(LOG)).0 > 0);
    assert_eq!(client.ask(PING), PONG);
    let (called, lost) = told(&guest.jail.text(LOG));
    assert_eq!(called + lost, 1 + PINGS + 1);
}

#[test]
fn a_line_that_is_killed_is_counted() {
    if Disk::impossible("log::a_line_that_is_killed_is_counted") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = agent(&guest, true);
    let mut client = agent.connect();
    guest.freeze_from_outside(0);
    assert_eq!(client.ask(PING), PONG);
    let writer = writer(&agent);
    sys::kill(writer, libc::SIGKILL).expect("it is there");
    // A new log is begun by nobody else while it hangs.
    agent.signal(libc::SIGHUP);
    answers(&mut client);
    guest.jail.thaw();
    assert!(ends_within(writer, Duration::from_secs(1)), "it stays");
    assert_eq!(client.ask(PING), PONG);
    let text = guest.jail.text(LOG);
    assert_eq!(told(&text), (1, PINGS + 1), "{text}");
}

/// A terminal that has room, but not for a line.
#[test]
fn a_terminal_that_is_full_stops_nothing() {
    const MANY: usize = 3000;
    let mut pty = Pty::open().expect("a terminal");
    let folder = tempfile::tempdir().expect("a folder");
    let terminal = File::options().read(true).write(true).open(&pty.path).expect("its other side");
    let mut words = usual_arguments(folder.path());
    words.push("-v".to_owned());
    let mut child = Command::new(binary());
    child.args(&words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(terminal);
    let mut agent = Held(child.spawn().expect("the agent starts"));
    let mut client = Connection::new(qga_tests::agent::connect(&folder.path().join("s")));
    for _ in 0..MANY {
        assert_eq!(client.ask(PING), PONG);
    }
    let mut text = Vec::new();
    let mut read = || {
        let mut some = [0; 4096];
        while pty.readable_within_ms(200)
            && let Ok(len @ 1..) = pty.master.read(&mut some)
        {
            text.extend_from_slice(&some[..len]);
        }
    };
    read();
    // Somebody has read at last; the next line says how many were lost before it.
    assert_eq!(client.ask(PING), PONG);
    read();
    sys::kill(agent.0.id(), libc::SIGTERM).expect("it is there");
    assert_eq!(wait(&mut agent.0).code(), Some(0));
    let text = String::from_utf8_lossy(&text).into_owned();
    let (called, lost) = told(&text.replace('\r', ""));
    // One of them may be there in part.
    assert_eq!(called + lost, MANY + 1, "{text}");
    assert!(lost > 0 && called > 10, "{text}");
}

/// poll(2) never says that there is room in the kernel's log, although there always is.
#[test]
fn the_kernels_log() {
    let test = "log::the_kernels_log";
    let kernel =
        File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
    let Ok(mut kernel) = kernel else { return skip(test, "needs the right to use /dev/kmsg") };
    kernel.seek(SeekFrom::End(0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut words = usual_arguments(folder.path());
    let name = format!("no-command-{}", std::process::id());
    words.extend(["-l", "/dev/kmsg", "-b", &name].map(String::from));
    let _agent = Held(Command::new(binary()).args(&words).stdin(Stdio::null()).spawn().unwrap());
    let mut client = Connection::new(connect(&folder.path().join("s")));
    assert_eq!(client.ask(PING), PONG);
    // A record at each read.
    let mut record = [0; 8192];
    loop {
        let len = kernel.read(&mut record).expect("the line is there");
        let text = String::from_utf8_lossy(&record[..len]);
        if text.contains(&name) {
            assert!(text.contains(": warning: "), "{text}");
            break;
        }
    }
}
