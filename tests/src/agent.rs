//! One running agent in a folder of its own: options in, a process that clients can connect to out.
//! It ends with the value that holds it, whatever happens to the test.

use crate::connection::{ANSWER_DEADLINE, Connection, shown};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How to start an agent; the default is what the recorded conversations were held with.
#[derive(Default)]
pub struct Options {
    /// The binary; the agent under test when absent.
    pub binary: Option<PathBuf>,
    /// Further arguments.
    pub arguments: Vec<String>,
    /// A program and its arguments to put before the binary (strace).
    pub wrapper: Vec<String>,
}

/// A running agent. `folder` is the conversations' `@D`.
pub struct Agent {
    pub folder: PathBuf,
    options: Options,
    child: Child,
    temporary: TempDir,
}

impl Agent {
    /// Starts an agent with `-m unix-listen -p @D/s -t @D` and waits until its socket is there.
    pub fn start(options: Options) -> Self {
        let temporary =
            tempfile::Builder::new().prefix("qga-").tempdir().expect("a temporary folder");
        let folder = temporary.path().join("d");
        // Whatever the mask: an agent takes no directory that others can write to.
        let made = fs::DirBuilder::new().mode(0o700).create(&folder);
        made.expect("a folder for the agent");
        let child = spawn(&options, &folder, temporary.path());
        let mut agent = Agent { folder, options, child, temporary };
        agent.wait_for_socket();
        agent
    }

    /// Starts an agent with no options of the test's own.
    pub fn plain() -> Self {
        Agent::start(Options::default())
    }

    /// The process that was started: the agent, or the wrapper around it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The path of the socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("s")
    }

    /// A new client.
    pub fn connect(&self) -> Connection {
        Connection::new(connect(&self.socket()))
    }

    /// What the agent has written to stderr.
    pub fn stderr(&self) -> String {
        let bytes = fs::read(self.temporary.path().join("stderr")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends a signal to the process that was started.
    pub fn signal(&self, signal: i32) {
        // SAFETY: kill takes two integers; the child has not been waited for, so the pid is its
        // own.
        let result = unsafe { libc::kill(self.child.id() as i32, signal) };
        assert_eq!(result, 0, "kill: {}", io::Error::last_os_error());
    }

    /// Waits for the agent's end.
    pub fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Whether the agent has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait")
    }

    /// Kills the agent and starts a new one in the same folder.
    pub fn kill_and_restart(&mut self) {
        self.signal(libc::SIGKILL);
        self.wait();
        self.restart();
    }

    /// Starts a new agent in the same folder after the old one's end.
    pub fn restart(&mut self) {
        // The old socket's path stays behind; without it the new one's arrival can be seen.
        let _ = fs::remove_file(self.socket());
        self.child = spawn(&self.options, &self.folder, self.temporary.path());
        self.wait_for_socket();
    }

    fn wait_for_socket(&mut self) {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while !self.socket().exists() {
            if let Some(status) = self.ended() {
                panic!("the agent ended at its start ({status}), stderr:\n{}", self.stderr());
            }
            assert!(Instant::now() < deadline, "no socket at {}", self.socket().display());
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let stderr = self.stderr();
        if std::thread::panicking() && !stderr.is_empty() {
            eprintln!("the agent's stderr:\n{}", shown(stderr.as_bytes()).replace("\\n", "\n"));
        }
    }
}

/// A process that does not outlive the test that started it.
pub struct Held(pub Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Connects to an agent's socket; the moment between bind and listen is waited out.
pub fn connect(path: &Path) -> UnixStream {
    let deadline = Instant::now() + ANSWER_DEADLINE;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) if Instant::now() > deadline => panic!("{}: {error}", path.display()),
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}

/// Waits for a child's end, with a deadline.
pub fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + ANSWER_DEADLINE;
    loop {
        if let Some(status) = child.try_wait().expect("wait") {
            return status;
        }
        assert!(Instant::now() < deadline, "process {} does not end", child.id());
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// The arguments that every agent of the tests gets.
pub fn usual_arguments(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().expect("a path in UTF-8");
    ["-m", "unix-listen", "-p", &format!("{folder}/s"), "-t", folder].map(String::from).to_vec()
}

fn spawn(options: &Options, folder: &Path, beside: &Path) -> Child {
    let binary = options.binary.clone().unwrap_or_else(crate::binary);
    let mut words = options.wrapper.clone();
    words.push(binary.to_str().expect("a path in UTF-8").to_owned());
    words.extend(usual_arguments(folder));
    words.extend(options.arguments.iter().cloned());
    start(&words, folder, beside)
}

/// Starts a program with its arguments in `folder`; what it writes to stderr is added to the file
/// of that name in `beside`.
pub fn start(words: &[String], folder: &Path, beside: &Path) -> Child {
    let stderr = File::options().append(true).create(true).open(beside.join("stderr"));
    Command::new(&words[0])
        .args(&words[1..])
        .current_dir(folder)
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr.expect("a file for stderr"))
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", words[0]))
}
