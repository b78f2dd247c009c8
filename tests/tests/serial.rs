//! The agent on a serial port, for which a pseudo terminal stands in: raw bytes both ways, sleep,
//! and `-r` for a port that comes later, goes away and comes again.

use qga_tests::agent::Held;
use qga_tests::pty::Pty;
use qga_tests::{binary, counters};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PING: &str = "{\"execute\":\"guest-ping\"}\n";

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("qga-").tempdir().unwrap()
}

/// A client on the master's side of a pseudo terminal.
fn ask_over(pty: &mut Pty, request: &[u8]) -> String {
    pty.wait_until_raw();
    pty.master.write_all(request).unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\n") {
        assert!(pty.readable_within_ms(20_000), "no reply over the serial port: {reply:?}");
        let mut byte = [0];
        pty.master.read_exact(&mut byte).unwrap();
        reply.push(byte[0]);
    }
    reply.escape_ascii().to_string()
}

fn start_serial(path: &Path, state: &Path, more: &[&str]) -> Held {
    let arguments =
        ["-m", "isa-serial", "-p", path.to_str().unwrap(), "-t", state.to_str().unwrap()];
    let mut command = Command::new(binary());
    command.args([&arguments, more].concat());
    Held(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

#[test]
fn isa_serial() {
    let folder = folder();
    let mut pty = Pty::open().unwrap();
    let child = start_serial(&pty.path, folder.path(), &[]);
    assert_eq!(ask_over(&mut pty, PING.as_bytes()), r#"{\"return\": {}}\n"#);
    // Raw: no echo, no translation of newlines, 8 bits, no control characters taken.
    let sync = b"\xff{\"execute\":\"guest-sync-delimited\",\r\n\"arguments\":{\"id\":7}}";
    assert_eq!(ask_over(&mut pty, sync), r#"\xff{\"return\": 7}\n"#);
    let reply = ask_over(&mut pty, b"\x03\x04\x11\x13\x7f\n");
    assert!(reply.contains("stray"), "{reply}");
    assert_eq!(ask_over(&mut pty, PING.as_bytes()), r#"{\"return\": {}}\n"#);
    assert!(!pty.readable_within_ms(100), "more came than was asked for");
    let before = counters::switches(child.0.id());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(counters::switches(child.0.id()), before, "an idle agent wakes up");
}

#[test]
fn retry_path_waits_for_a_port() {
    let folder = folder();
    let late = folder.path().join("late");
    let mut child = start_serial(&late, folder.path(), &["-r"]);
    std::thread::sleep(Duration::from_millis(300));
    let before = counters::switches(child.0.id());
    std::thread::sleep(Duration::from_secs(3));
    let wakeups = counters::switches(child.0.id()) - before;
    assert!(wakeups <= 4, "{wakeups} wake-ups in 3 s while waiting for the port");
    assert!(child.0.try_wait().unwrap().is_none(), "-r must wait for the port");
    let mut first = Pty::open().unwrap();
    symlink(&first.path, &late).unwrap();
    assert_eq!(ask_over(&mut first, PING.as_bytes()), r#"{\"return\": {}}\n"#);
    // The port goes away and comes back as another device.
    let second = Pty::open().unwrap();
    fs::remove_file(&late).unwrap();
    symlink(&second.path, &late).unwrap();
    drop(first);
    let mut second = second;
    assert_eq!(ask_over(&mut second, PING.as_bytes()), r#"{\"return\": {}}\n"#);
}
