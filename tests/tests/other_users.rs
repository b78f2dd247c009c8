//! Other users, and other agents, at the agent's channel: a socket that only its own user and root
//! get at, a serial line that nobody else holds.

use qga_tests::agent::{Agent, Held, Options, wait};
use qga_tests::connection::Connection;
use qga_tests::pty::Pty;
use qga_tests::{binary, is_root, skip};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = r#"{"return": {}}"#;
const NOBODY: u32 = 65534;

/// Runs `act` in a thread that has the rights of `user`; only those of this thread change.
fn as_user<T: Send>(user: u32, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the raw calls change the rights of the calling thread alone, which ends after
            // `act`.
            let changed = unsafe {
                libc::syscall(libc::SYS_setresgid, user, user, user) == 0
                    && libc::syscall(libc::SYS_setresuid, user, user, user) == 0
            };
            assert!(changed, "cannot become user {user}");
            act()
        });
        thread.join().expect("the thread of another user")
    })
}

/// Starts an agent that is to fail; how it ended, and what it wrote.
fn fails(arguments: &[&str]) -> (ExitStatus, String) {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = Held(command.spawn().expect("the agent"));
    let status = wait(&mut child.0);
    let mut text = String::new();
    child.0.stderr.take().expect("a pipe").read_to_string(&mut text).expect("text");
    (status, text)
}

#[test]
fn a_socket_is_its_users_alone_whatever_the_mask() {
    for mask in ["0", "022", "0777"] {
        let script = format!("umask {mask}; exec \"$0\" \"$@\"");
        let wrapper = ["sh", "-c", &script].map(String::from).to_vec();
        let agent = Agent::start(Options { wrapper, ..Options::default() });
        let mode = fs::metadata(agent.socket()).expect("the socket").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "umask {mask}");
        assert_eq!(agent.connect().ask(PING), PONG);
    }
}

#[test]
fn a_client_of_another_user_is_turned_away() {
    if !is_root() {
        return skip("other_users::a_client_of_another_user_is_turned_away", "needs root");
    }
    let agent = Agent::start(Options { arguments: vec!["-v".into()], ..Options::default() });
    // Somebody has opened the socket to all; the folders above it too.
    for path in [agent.socket(), agent.folder.clone(), agent.folder.parent().unwrap().into()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    for _ in 0..3 {
        let mut stream = as_user(NOBODY, || UnixStream::connect(agent.socket())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(PING.as_bytes());
        let mut reply = Vec::new();
        // Closed at once, the request unread.
        let _ = stream.read_to_end(&mut reply);
        assert_eq!(reply, b"");
    }
    assert_eq!(agent.connect().ask(PING), PONG);
    let lines = agent.stderr().matches("client turned away: Permission denied").count();
    assert_eq!(lines, 3, "{}", agent.stderr());
}

#[test]
fn a_living_agent_keeps_its_socket() {
    let agent = Agent::plain();
    let other = tempfile::tempdir().unwrap();
    let (socket, state) = (agent.socket(), other.path().to_str().unwrap());
    let arguments = ["-m", "unix-listen", "-p", socket.to_str().unwrap(), "-t", state];
    for busy in [false, true] {
        // With a client, and with as many waiting as may.
        let mut client = busy.then(|| agent.connect());
        let waiting: Vec<_> = (0..if busy { 12 } else { 0 })
            .map_while(|_| {
                let stream = UnixStream::connect(&socket);
                stream.ok().inspect(|s| s.set_nonblocking(true).unwrap())
            })
            .take(7)
            .collect();
        let (status, text) = fails(&arguments);
        assert_eq!(status.code(), Some(1), "{text}");
        assert!(text.contains("another agent listens there"), "{text}");
        assert!(text.contains(socket.to_str().unwrap()), "{text}");
        drop(waiting);
        if let Some(client) = &mut client {
            assert_eq!(client.ask(PING), PONG);
        }
        drop(client);
        assert_eq!(agent.connect().ask(PING), PONG, "the first one serves on");
    }
}

#[test]
fn what_a_killed_agent_left_is_replaced_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let start = || {
        let state = folder.path().to_str().unwrap();
        let arguments = ["-m", "unix-listen", "-p", path.to_str().unwrap(), "-t", state];
        Held(Command::new(binary()).args(arguments).stdin(Stdio::null()).spawn().unwrap())
    };
    for _ in 0..3 {
        let agent = start();
        let mut stream = loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        stream.write_all(PING.as_bytes()).unwrap();
        assert_eq!(Connection::new(stream).text(), PONG);
        drop(agent);
        assert!(path.exists(), "killed, it leaves its socket");
    }
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"mine").unwrap();
    let state = folder.path().to_str().unwrap();
    let (status, text) = fails(&["-m", "unix-listen", "-p", path.to_str().unwrap(), "-t", state]);
    assert_eq!(status.code(), Some(1));
    assert!(text.contains("it is no socket"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

fn start_serial(path: &Path, state: &Path) -> Held {
    let words = ["-m", "isa-serial", "-p", path.to_str().unwrap(), "-t", state.to_str().unwrap()];
    let mut command = Command::new(binary());
    Held(command.args(words).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
}

/// What comes from the agent within a while.
fn taken(pty: &mut Pty) -> String {
    taken_raw(pty).escape_ascii().to_string()
}

/// Puts a request into a terminal's input, as whoever has it open may.
fn push(terminal: &File) -> bool {
    // SAFETY: TIOCSTI reads one byte.
    PING.bytes().all(|byte| unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, &byte) == 0 })
}

#[test]
fn who_has_opened_a_line_before_has_it_no_more() {
    if !is_root() {
        return skip("other_users::who_has_opened_a_line_before_has_it_no_more", "needs root");
    }
    let state = tempfile::tempdir().unwrap();
    let mut pty = Pty::open().unwrap();
    let before = File::options().read(true).write(true).open(&pty.path).unwrap();
    let agent = start_serial(&pty.path, state.path());
    pty.wait_until_raw();
    pty.master.write_all(PING.as_bytes()).unwrap();
    assert_eq!(taken(&mut pty), r#"{\"return\": {}}\n"#);
    assert!(!push(&before), "a request through what was open before");
    assert!((&before).write_all(b"x").is_err(), "it is hung up");
    assert_eq!(taken(&mut pty), "");
    // Even with all rights to the node nobody opens it while the agent has it.
    fs::set_permissions(&pty.path, fs::Permissions::from_mode(0o666)).unwrap();
    let opened = as_user(NOBODY, || File::options().read(true).write(true).open(&pty.path));
    assert_eq!(opened.map(drop).map_err(|error| error.raw_os_error()), Err(Some(libc::EBUSY)));
    drop(agent);
}

#[test]
fn a_line_that_others_may_write_to_is_refused() {
    if !is_root() {
        return skip("other_users::a_line_that_others_may_write_to_is_refused", "needs root");
    }
    let state = tempfile::tempdir().unwrap();
    let pty = Pty::open().unwrap();
    let words = ["-m", "isa-serial", "-p", pty.path.to_str().unwrap(), "-t"];
    let words = [&words[..], &[state.path().to_str().unwrap()]].concat();
    for (owner, mode) in [(0, 0o622), (0, 0o666), (0, 0o662), (NOBODY, 0o600)] {
        chown(&pty.path, Some(owner), None).unwrap();
        fs::set_permissions(&pty.path, fs::Permissions::from_mode(mode)).unwrap();
        let (status, text) = fails(&words);
        assert_eq!(status.code(), Some(1), "{text}");
        assert!(text.contains("others may use it: chown root, chmod o-w"), "{mode:o}: {text}");
    }
    // Debian's rights: the group is kept out by other means.
    chown(&pty.path, Some(0), None).unwrap();
    fs::set_permissions(&pty.path, fs::Permissions::from_mode(0o660)).unwrap();
    let mut pty = pty;
    let _agent = start_serial(&pty.path, state.path());
    pty.wait_until_raw();
    pty.master.write_all(PING.as_bytes()).unwrap();
    assert_eq!(taken(&mut pty), r#"{\"return\": {}}\n"#);
}

/// A peer that sends back what it gets, as a terminal in echo mode does: every reply comes back
/// once, and that is all.
#[test]
fn a_line_that_echoes_falls_silent() {
    let state = tempfile::tempdir().unwrap();
    let mut pty = Pty::open().unwrap();
    let _agent = start_serial(&pty.path, state.path());
    pty.wait_until_raw();
    for request in [PING, "# nonsense\n", "{\"execute\":\"guest-info\",\"id\":[1]}\n", "[1]\n"] {
        pty.master.write_all(request.as_bytes()).unwrap();
        let mut lines = 0;
        let mut round = 0;
        loop {
            let text = taken_raw(&mut pty);
            if text.is_empty() {
                break;
            }
            round += 1;
            assert!(round < 5, "it answers its own replies: {}", text.escape_ascii());
            lines += text.iter().filter(|&&byte| byte == b'\n').count();
            pty.master.write_all(&text).unwrap();
        }
        assert_eq!(lines, 1, "{request}");
    }
}

fn taken_raw(pty: &mut Pty) -> Vec<u8> {
    let mut text = Vec::new();
    while pty.readable_within_ms(300) {
        let mut some = [0; 65536];
        let len = pty.master.read(&mut some).unwrap_or(0);
        text.extend_from_slice(&some[..len]);
    }
    text
}
