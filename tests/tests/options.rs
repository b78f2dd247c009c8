//! The command line and what surrounds a connection: every option, every wrong value of one, the
//! socket's path, the saved handle number, signals.

use qga_tests::agent::{Agent, Held, Options, connect, usual_arguments, wait};
use qga_tests::connection::Connection;
use qga_tests::{binary, counters, is_root, skip};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = r#"{"return": {}}"#;

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("qga-").tempdir().unwrap()
}

/// Runs the agent to its end, which must come by itself.
fn run(command: &mut Command) -> Output {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.as_mut().expect("the agent starts");
    let status = wait(child);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
    child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
    Output { status, stdout, stderr }
}

/// The agent must end with status 1 and one line on stderr that names each of `says`.
fn refused(command: &mut Command, says: &[&str]) {
    let output = run(command);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{command:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{command:?} says more or less than one line:\n{stderr}");
    assert!(stderr.len() > 15, "{command:?} says too little: {stderr}");
    for word in says {
        assert!(stderr.contains(word), "{command:?} does not name {word}: {stderr}");
    }
}

fn agent(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments);
    command
}

#[test]
fn version() {
    for option in ["-V", "--version"] {
        let output = run(&mut agent(&[option]));
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{option}: {}", output.status);
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
        assert!(stdout.contains(char::is_numeric) && stdout.contains('.'), "{stdout}");
        assert_eq!(output.stderr, b"");
    }
}

#[test]
fn words_cut_short_and_their_end() {
    assert!(run(&mut agent(&["--vers"])).status.success());
    for word in ["--ver", "--v", "--=x"] {
        refused(&mut agent(&[word]), &["ambiguous", word]);
    }
    // After this word nothing is an option.
    refused(&mut agent(&["-m", "unix-listen", "--", "--version"]), &["unix-listen", "path"]);
}

#[test]
fn help() {
    for option in ["-h", "--help"] {
        let output = run(&mut agent(&[option]));
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{option}: {}", output.status);
        let options = "-m --method -p --path -t --statedir -l --logfile -v --verbose -V --version -h \
             --help -r --retry-path --freeze-timeout --freeze-unreachable --exclude-interfaces \
             -c --config -f --pidfile -F --fsfreeze-hook -d --daemonize -b --block-rpcs \
             -a --allow-rpcs -D --dump-conf --freeze-deadline virtio-serial isa-serial \
             unix-listen";
        for word in options.split_whitespace() {
            assert!(stdout.contains(word), "the help does not name {word}:\n{stdout}");
        }
        assert_eq!(output.stderr, b"");
    }
}

#[test]
fn options_take_effect_in_their_order() {
    assert!(run(&mut agent(&["-v", "-V", "--nope"])).status.success());
    assert!(run(&mut agent(&["-h", "--nope"])).status.success());
    refused(&mut agent(&["--nope", "-V"]), &["--nope"]);
}

#[test]
fn wrong_options() {
    refused(&mut agent(&["--nope"]), &["--nope"]);
    refused(&mut agent(&["-Z"]), &["Z"]);
    refused(&mut agent(&["-vZ"]), &["Z"]);
    for (short, long) in
        [("-m", "--method"), ("-p", "--path"), ("-t", "--statedir"), ("-l", "--logfile")]
    {
        refused(&mut agent(&[short]), &[&short[1..]]);
        refused(&mut agent(&[long]), &[&long[2..]]);
    }
    refused(&mut agent(&["--verbose=1"]), &["verbose"]);
    refused(&mut agent(&["--freeze-timeout"]), &["freeze-timeout"]);
    for wrong in ["", "0", "-1", "1.5", "10s", "18446744073709551616"] {
        let option = format!("--freeze-timeout={wrong}");
        refused(&mut agent(&[&option]), &["seconds", &format!("'{wrong}'")]);
    }
    refused(&mut agent(&["--freeze-unreachable"]), &["freeze-unreachable"]);
    refused(&mut agent(&["--exclude-interfaces"]), &["exclude-interfaces"]);
    for wrong in ["", "Fail", "failed", "lo", "1"] {
        let option = format!("--freeze-unreachable={wrong}");
        refused(&mut agent(&[&option]), &["log or fail", &format!("'{wrong}'")]);
    }
    // No byte of the command line stands for an option that has no letter.
    let odd = std::os::unix::ffi::OsStrExt::from_bytes(&b"-\xFF"[..]);
    refused(agent(&[]).arg::<&std::ffi::OsStr>(odd), &["unknown option"]);
}

#[test]
fn wrong_methods_and_paths() {
    let folder = folder();
    let d = folder.path().to_str().unwrap();
    let with = |arguments: &[&str]| agent(&[&["-t", d], arguments].concat());
    refused(&mut with(&["-m", "bogus", "-p", "/dev/null"]), &["bogus"]);
    refused(&mut with(&["-m", ""]), &["method"]);
    refused(&mut with(&["-m", "unix-listen"]), &["path"]);
    let missing = format!("{d}/no/such/socket");
    refused(&mut with(&["-m", "unix-listen", "-p", &missing]), &[&missing, "No such file"]);
    let long = format!("{d}/{}", "n".repeat(108));
    refused(&mut with(&["-m", "unix-listen", "-p", &long]), &["nnn"]);
    for method in ["isa-serial", "virtio-serial"] {
        refused(&mut with(&["-m", method, "-p", &missing]), &[&missing, "No such file"]);
    }
    refused(&mut with(&["-m", "isa-serial", "-p", d]), &[d]);
    let plain = format!("{d}/plain");
    fs::write(&plain, "").unwrap();
    refused(&mut with(&["-m", "isa-serial", "-p", &plain]), &[&plain]);
    let not_a_folder = format!("{plain}/s");
    refused(
        &mut with(&["-m", "unix-listen", "-p", &not_a_folder]),
        &[&not_a_folder, "Not a directory"],
    );
    let log = format!("{d}/no/log");
    refused(
        &mut with(&["-m", "unix-listen", "-p", &format!("{d}/s"), "-l", &log]),
        &[&log, "No such file"],
    );
}

#[test]
fn virtio_serial_without_a_port() {
    let ports = fs::read_dir("/sys/class/virtio-ports").into_iter().flatten().flatten();
    let names = ports.map(|port| fs::read_to_string(port.path().join("name")).unwrap_or_default());
    if names.into_iter().any(|name| name.trim() == "org.qemu.guest_agent.0") {
        let reason = "this machine is a guest with an agent's port";
        return skip("options::virtio_serial_without_a_port", reason);
    }
    let folder = folder();
    refused(&mut agent(&["-t", folder.path().to_str().unwrap()]), &["org.qemu.guest_agent.0"]);
}

#[test]
fn wrong_state_folder() {
    let folder = folder();
    let d = folder.path().to_str().unwrap();
    let missing = format!("{d}/missing");
    let socket = format!("{d}/s");
    refused(
        &mut agent(&["-m", "unix-listen", "-p", &socket, "-t", &missing]),
        &[&missing, "No such file"],
    );
    fs::write(&missing, "").unwrap();
    refused(&mut agent(&["-m", "unix-listen", "-p", &socket, "-t", &missing]), &[&missing]);
}

#[test]
fn missing_rights() {
    if !is_root() {
        return skip("options::missing_rights", "needs root, to start the agent as nobody");
    }
    let folder = folder();
    let d = folder.path();
    fs::set_permissions(d, PermissionsExt::from_mode(0o755)).unwrap();
    let copy = d.join("agent");
    // Another process copies: this one forks in other tests meanwhile, and a child that holds the
    // copy open for writing would make it "busy" for execve.
    let copied = Command::new("cp").arg(binary()).arg(&copy).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp");
    let (open, closed) = (d.join("open"), d.join("closed"));
    for path in [&open, &closed] {
        fs::create_dir(path).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    std::os::unix::fs::chown(&open, Some(65534), Some(65534)).unwrap();
    let secret = d.join("secret");
    fs::write(&secret, "").unwrap();
    fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
    let nobody = |method: &str, path: &Path, state: &Path| {
        let mut command = Command::new(&copy);
        command
            .arg("-m")
            .arg(method)
            .arg("-p")
            .arg(path)
            .arg("-t")
            .arg(state)
            .uid(65534)
            .gid(65534);
        command
    };
    let denied = "Permission denied";
    let name = |path: &Path| path.to_str().unwrap().to_owned();
    refused(&mut nobody("unix-listen", &open.join("s"), &closed), &[&name(&closed), denied]);
    let socket = closed.join("s");
    refused(&mut nobody("unix-listen", &socket, &open), &[&name(&socket), denied]);
    refused(&mut nobody("isa-serial", &secret, &open), &[&name(&secret), denied]);
    refused(&mut nobody("virtio-serial", &secret, &open), &[&name(&secret), denied]);
    let log = closed.join("log");
    let mut with_log = nobody("unix-listen", &open.join("s"), &open);
    refused(with_log.arg("-l").arg(&log), &[&name(&log), denied]);
}

/// Starts the agent on a socket with arguments of its own and pings it.
fn serves(arguments: &[&str], socket: &str) {
    let _held = Held(agent(arguments).stdin(Stdio::null()).spawn().unwrap());
    let mut client = Connection::new(connect(Path::new(socket)));
    assert_eq!(client.ask(PING), PONG, "{arguments:?}");
}

#[test]
fn spellings_of_options() {
    let folder = folder();
    let d = folder.path().to_str().unwrap();
    let s = |number: u32| format!("{d}/s{number}");
    serves(
        &["--method=unix-listen", &format!("--path={}", s(1)), &format!("--statedir={d}")],
        &s(1),
    );
    serves(&["--method", "unix-listen", "--path", &s(2), "--statedir", d, "--verbose"], &s(2));
    serves(&["-munix-listen", &format!("-p{}", s(3)), &format!("-vt{d}")], &s(3));
    serves(&["-m", "isa-serial", "-m", "unix-listen", "-p", "/x", "-p", &s(4), "-t", d], &s(4));
    serves(&["ignored", "-m", "unix-listen", "too", "-p", &s(5), "-t", d], &s(5));
}

#[test]
fn log_file() {
    let folder = folder();
    let log = folder.path().join("log");
    fs::write(&log, "kept\n").unwrap();
    let arguments = ["-v", "-l", log.to_str().unwrap()].map(String::from).to_vec();
    let agent = Agent::start(Options { arguments, ..Options::default() });
    assert_eq!(agent.connect().ask(PING), PONG);
    assert_eq!(agent.stderr(), "");
    let text = fs::read_to_string(&log).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("kept"), "the log is appended to");
    let mut count = 0;
    for line in lines {
        count += 1;
        let (time, rest) = line.split_once(": ").expect("EPOCH.MICROS: level: text");
        assert!(time.parse::<f64>().is_ok_and(|seconds| seconds > 1e9), "{line}");
        let (level, _) = rest.split_once(": ").expect("level: text");
        assert!(
            ["critical", "error", "warning", "message", "info", "debug"].contains(&level),
            "{line}"
        );
    }
    assert!(count > 0, "-v logs nothing");
}

#[test]
fn without_verbose_nothing_is_written() {
    let agent = Agent::plain();
    assert_eq!(agent.connect().ask(PING), PONG);
    assert_eq!(agent.stderr(), "");
}

#[test]
fn signals_end_the_agent() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGPWR] {
        let mut agent = Agent::plain();
        let mut client = agent.connect();
        assert_eq!(client.ask(PING), PONG);
        agent.signal(signal);
        assert_eq!(agent.wait().code(), Some(0), "signal {signal}");
        assert_eq!(agent.stderr(), "");
    }
}

#[test]
fn stale_socket_is_replaced() {
    let folder = folder();
    let d = folder.path().to_str().unwrap();
    let socket = format!("{d}/s");
    drop(UnixListener::bind(&socket).unwrap());
    let _held = Held(agent(&["-m", "unix-listen", "-p", &socket, "-t", d]).spawn().unwrap());
    let mut client = Connection::new(connect(Path::new(&socket)));
    assert_eq!(client.ask(PING), PONG);
}

#[test]
fn second_client_waits_for_the_first() {
    let agent = Agent::plain();
    let mut first = agent.connect();
    assert_eq!(first.ask(PING), PONG);
    let mut second = agent.connect();
    second.send(PING);
    assert_eq!(second.reply_until_quiet(Duration::from_millis(200)), b"");
    assert_eq!(first.ask(PING), PONG);
    drop(first);
    assert_eq!(second.text(), PONG);
}

fn open_null(client: &mut Connection) -> String {
    client.ask(r#"{"execute":"guest-file-open","arguments":{"path":"/dev/null"}}"#)
}

#[test]
fn saved_handle_number() {
    let mut agent = Agent::plain();
    let state = agent.folder.join("qga.state");
    assert_eq!(open_null(&mut agent.connect()), r#"{"return": 1000}"#);
    assert_eq!(fs::read_to_string(&state).unwrap(), "[global]\nfd_counter=1001\n");
    agent.signal(libc::SIGTERM);
    agent.wait();
    // What the reference agent leaves behind is understood.
    fs::write(&state, "[global]\nfd_counter=4711\n").unwrap();
    agent.restart();
    assert_eq!(open_null(&mut agent.connect()), r#"{"return": 4711}"#);
    assert_eq!(fs::read_to_string(&state).unwrap(), "[global]\nfd_counter=4712\n");
    assert_eq!(agent.stderr(), "");
}

#[test]
fn damaged_handle_number() {
    let digits = "9".repeat(400);
    let damaged: [&[u8]; 8] = [
        b"",
        b"\0\0\0\0",
        b"[global]\n",
        b"[global]\nfd_counter=\n",
        b"[global]\nfd_counter=abc\n",
        b"[global]\nfd_counter=-5\n",
        b"[global]\nfd_counter=99999999999999999999\n",
        digits.as_bytes(),
    ];
    for state in damaged {
        let arguments = vec!["-v".to_owned()];
        let mut agent = Agent::start(Options { arguments, ..Options::default() });
        agent.signal(libc::SIGKILL);
        agent.wait();
        fs::write(agent.folder.join("qga.state"), state).unwrap();
        agent.restart();
        let number = |reply: String| {
            let digits: String = reply.chars().filter(char::is_ascii_digit).collect();
            digits.parse::<i64>().unwrap_or_else(|_| panic!("{reply}"))
        };
        let first = number(open_null(&mut agent.connect()));
        let shown = state.escape_ascii();
        assert!(first > i64::from(i32::MAX), "{first} after {shown}: it may have been given out");
        let stderr = agent.stderr();
        assert!(stderr.contains("damaged"), "nothing is said about {shown}: {stderr}");
        agent.kill_and_restart();
        assert_eq!(number(open_null(&mut agent.connect())), first + 1, "after {shown}");
    }
}

#[test]
fn state_that_cannot_be_saved_fails_the_open() {
    let state = folder();
    let arguments = vec!["-t".to_owned(), state.path().to_str().unwrap().to_owned()];
    let agent = Agent::start(Options { arguments, ..Options::default() });
    let mut client = agent.connect();
    assert_eq!(open_null(&mut client), r#"{"return": 1000}"#);
    let descriptors = counters::descriptors(agent.pid());
    fs::remove_dir_all(state.path()).unwrap();
    let reply = open_null(&mut client);
    assert!(reply.contains("failed to commit persistent state to disk"), "{reply}");
    assert_eq!(counters::descriptors(agent.pid()), descriptors, "a descriptor is lost");
    assert_eq!(client.ask(PING), PONG);
}

#[test]
fn start_to_first_reply_is_quick() {
    let folder = folder();
    let arguments = usual_arguments(folder.path());
    let begin = Instant::now();
    let _held = Held(Command::new(binary()).args(&arguments).stdin(Stdio::null()).spawn().unwrap());
    let mut client = Connection::new(connect(&folder.path().join("s")));
    assert_eq!(client.ask(PING), PONG);
    // Generous: the bench measures; this only sees a sleep that should not be there.
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
}

/// Whoever started the agent may never read its log: it serves all the same, ends when it is told
/// to, and the log says what is missing.
#[test]
fn a_log_that_nobody_empties_stops_nothing() {
    const PINGS: usize = 3000;
    let folder = folder();
    let mut words = usual_arguments(folder.path());
    words.push("-v".to_owned());
    let mut child = Command::new(binary());
    child.args(&words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut agent = Held(child.spawn().expect("the agent starts"));
    let mut client = Connection::new(connect(&folder.path().join("s")));
    for _ in 0..PINGS {
        assert_eq!(client.ask(PING), PONG);
    }
    // Somebody reads at last; the next line says how many were lost before it.
    let mut log = agent.0.stderr.take().unwrap();
    let mut text = vec![0; 1 << 20];
    let len = log.read(&mut text).expect("the log");
    assert_eq!(client.ask(PING), PONG);
    // SAFETY: our own child, not waited for.
    unsafe { libc::kill(agent.0.id() as i32, libc::SIGTERM) };
    assert_eq!(wait(&mut agent.0).code(), Some(0));
    text.truncate(len);
    log.read_to_end(&mut text).expect("the rest of the log");
    let text = String::from_utf8(text).expect("text");
    let called = text.lines().filter(|line| line.ends_with("guest-ping called")).count();
    let dropped: Vec<usize> = text
        .lines()
        .filter_map(|line| line.split_once("lines dropped: "))
        .map(|(_, number)| number.parse().expect("a number"))
        .collect();
    assert_eq!(dropped.len(), 1, "{text}");
    assert_eq!(called + dropped[0], PINGS + 1, "{called} lines and {dropped:?} dropped");
    assert!(text.lines().last().is_some_and(|line| line.ends_with("guest-ping called")), "{text}");
}
