//! The agent under strace: one system call named by its place comes in, an agent in which just that
//! call fails, or does not return because the agent is killed at it, goes out.
//!
//! strace counts each system call by itself (`when=3` of `read` is the third read), so a [`Point`]
//! names the call and its number among its likes. SIGKILL strikes at the entry of a call, which
//! then does nothing: killed at call k is killed after call k-1.

use crate::agent::{start, usual_arguments};
use crate::connection::ANSWER_DEADLINE;
use crate::{binary, program, sys};
use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What happens at a point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strike {
    /// The call fails with this error and has no effect.
    Error(&'static str),
    /// The agent is killed before the call has an effect.
    Kill,
}

/// One system call of an agent's life, and what happens there.
#[derive(Clone, Debug)]
pub struct Point {
    /// The agent of which start in the same folder: 0 is the first.
    pub life: usize,
    pub call: String,
    /// Its number among the calls of this name, from 1.
    pub number: usize,
    pub strike: Strike,
}

impl Point {
    /// As `strace -e inject=` wants it.
    pub fn injection(&self) -> String {
        let what = match self.strike {
            Strike::Error(errno) => format!("error={errno}"),
            Strike::Kill => "signal=SIGKILL".to_owned(),
        };
        format!("{}:{what}:when={}", self.call, self.number)
    }
}

/// Each call with its number among its likes.
pub fn numbered(calls: &[String]) -> Vec<(&str, usize)> {
    let number = |at: usize| calls[..=at].iter().filter(|call| **call == calls[at]).count();
    (0..calls.len()).map(|at| (calls[at].as_str(), number(at))).collect()
}

/// The names of the calls that strace has written down, in order.
pub fn names(log: &str) -> Vec<String> {
    let name = |line: &str| {
        let line = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let resumed = line.starts_with('<') || line.contains(" resumed>");
        let (name, _) = line.split_once('(').filter(|_| !resumed)?;
        name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_').then(|| name.to_owned())
    };
    log.lines().filter_map(name).collect()
}

/// An agent in a folder of its own, under strace unless it is a later life that nothing strikes.
pub struct Target {
    /// The conversations' `@D`.
    pub folder: PathBuf,
    child: Child,
    /// The agent itself, where `child` is strace.
    agent: u32,
    life: usize,
    temporary: TempDir,
}

/// How an agent is started.
#[derive(Clone, Copy)]
pub enum Under<'a> {
    /// strace writes down every call.
    Record,
    /// Something happens at one call.
    Strike(&'a Point),
    /// No strace.
    Nothing,
}

impl Target {
    /// Starts the first agent of a folder. It may have ended before it listens.
    pub fn start(under: Under) -> Self {
        let temporary = tempfile::Builder::new().prefix("qga-fire-").tempdir().expect("a folder");
        let folder = temporary.path().join("d");
        fs::create_dir(&folder).expect("a folder for the agent");
        let child = spawn(temporary.path(), 0, under);
        let mut target = Target { folder, child, agent: 0, life: 0, temporary };
        target.wait_for_socket(under);
        target
    }

    /// Starts the next agent of the folder after the end of the one before.
    pub fn restart(&mut self, under: Under) {
        let _ = fs::remove_file(self.folder.join("s"));
        self.life += 1;
        self.child = spawn(self.temporary.path(), self.life, under);
        self.wait_for_socket(under);
    }

    /// The number of starts in this folder before the present one.
    pub fn life(&self) -> usize {
        self.life
    }

    /// A new client, unless the agent has ended.
    pub fn connect(&mut self) -> Option<UnixStream> {
        let path = self.folder.join("s");
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while self.ended().is_none() {
            match UnixStream::connect(&path) {
                Ok(stream) => return Some(stream),
                // Between bind and listen, or an agent that is about to end.
                Err(error) => assert!(Instant::now() < deadline, "{}: {error}", path.display()),
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        None
    }

    /// Whether the agent has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait")
    }

    /// Waits until the agent has ended.
    pub fn wait(&mut self) -> ExitStatus {
        crate::agent::wait(&mut self.child)
    }

    /// Waits a little for the end of an agent that has closed its connection.
    pub fn ends_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + time;
        loop {
            let ended = self.ended();
            if ended.is_some() || Instant::now() > deadline {
                return ended;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Sends a signal to the agent.
    pub fn signal(&self, signal: i32) {
        // It may have ended by itself; whoever waits for it sees how.
        let _ = sys::kill(self.agent, signal);
    }

    /// What the agents of this folder have written to stderr.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.temporary.path().join("stderr")).unwrap_or_default()
    }

    /// What strace has written about the agent of one start.
    pub fn log(&self, life: usize) -> String {
        fs::read_to_string(log(self.temporary.path(), life)).unwrap_or_default()
    }

    fn wait_for_socket(&mut self, under: Under) {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while !self.folder.join("s").exists() && self.ended().is_none() {
            assert!(Instant::now() < deadline, "no socket in {}", self.folder.display());
            std::thread::sleep(Duration::from_micros(200));
        }
        self.agent = match under {
            Under::Nothing => self.child.id(),
            Under::Record | Under::Strike(_) => child_of(self.child.id()).unwrap_or(0),
        };
        assert!(self.agent != 0 || self.ends_within(ANSWER_DEADLINE).is_some(), "no agent");
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // strace ends with what it traces.
            let _ = sys::kill(self.agent, libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// A few words about how a process ended.
pub fn how(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("killed {signal}"),
        None => format!("exited {}", status.code().unwrap_or(-1)),
    }
}

/// The only child of a process.
fn child_of(pid: u32) -> Option<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    list.split_whitespace().next()?.parse().ok()
}

fn log(folder: &Path, life: usize) -> PathBuf {
    folder.join(format!("log-{life}"))
}

fn spawn(beside: &Path, life: usize, under: Under) -> Child {
    let text = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let folder = beside.join("d");
    let mut words = Vec::new();
    if !matches!(under, Under::Nothing) {
        words.push(text(&program("strace").expect("strace")));
        words.extend(["-qq", "-o"].map(String::from));
        words.extend([text(&log(beside, life)), "-e".to_owned()]);
    }
    match under {
        Under::Nothing => {}
        Under::Record => words.push("trace=all".to_owned()),
        Under::Strike(point) => {
            let inject = format!("inject={}", point.injection());
            words.extend([format!("trace={}", point.call), "-e".to_owned(), inject]);
        }
    }
    words.push(text(&binary()));
    words.extend(usual_arguments(&folder));
    start(&words, &folder, beside)
}

/// Whether everything is to be tried, however long it takes, instead of what fits into an ordinary
/// run: `QGA_FIRE=full`, or a part of everything: `QGA_FIRE=2/8` is the second eighth.
pub fn is_full() -> bool {
    std::env::var_os("QGA_FIRE").is_some_and(|value| !value.is_empty())
}

/// What of everything this run tries: every eighth of the items from the second on with
/// `QGA_FIRE=2/8`.
pub fn part<T>(items: Vec<T>) -> Vec<T> {
    let wanted = std::env::var("QGA_FIRE").unwrap_or_default();
    let numbers = wanted.split_once('/').map(|(part, of)| (part.parse(), of.parse()));
    match numbers {
        Some((Ok(part), Ok(of))) if (1..=of).contains(&part) => {
            items.into_iter().skip(part - 1).step_by(of).collect()
        }
        None if ["", "full"].contains(&wanted.as_str()) => items,
        _ => panic!("QGA_FIRE={wanted}: neither `full` nor a part such as `2/8`"),
    }
}

/// Shows that a long run goes on, past the harness, which keeps a test's output until its end.
fn show_progress(done: usize, count: usize) {
    if is_full() && done > 0 && done.is_multiple_of(1000) {
        let _ = writeln!(std::io::stderr(), "    {done} of {count} points");
    }
}

/// `items` in the order that `seed` gives, at most `count` of them.
pub fn sample<T>(mut items: Vec<T>, count: usize, seed: u64) -> Vec<T> {
    fastrand::Rng::with_seed(seed).shuffle(&mut items);
    items.truncate(count);
    items
}

/// Calls `work` with every number below `count`, on as many threads as there are processors, each
/// with a state of its own.
pub fn in_parallel<S>(
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) + Sync,
) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = state();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    show_progress(at, count);
                    work(&mut own, at);
                }
            });
        }
    });
}
