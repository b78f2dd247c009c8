//! An agent of a jail killed at one system call of its freeze and thaw, and the next one at one of
//! its recovery: a guest and two places to be killed at come in, what is wrong with the guest
//! afterwards goes out.
//!
//! strace attaches to the agent when it waits for the request, or before its first instruction, so
//! that only the calls that matter are counted. Who freezes is a worker: it is struck for itself,
//! while the agent is stopped as soon as it has one, and then the agent dies as well, or goes on.

use crate::agent::Held;
use crate::connection::ANSWER_DEADLINE;
use crate::fire::Point;
use crate::fire_wire::{Next, Wire};
use crate::guest::{FROZEN, Guest, THAWED};
use crate::jail::{AGENT_FOLDER, JailedAgent, Start};
use crate::{program, sys};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A strace that is attached to a process.
struct Tracer {
    strace: Held,
    log: PathBuf,
    _folder: TempDir,
}

impl Tracer {
    /// Follows every call of a process, and kills it at `point`.
    fn attach(pid: u32, point: Option<&Point>) -> Result<Self, String> {
        Tracer::attach_with(pid, &[], point)
    }

    fn attach_with(pid: u32, arguments: &[&str], point: Option<&Point>) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("qga-trace-").tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut command = Command::new(program("strace").expect("strace"));
        command.args(["-y", "-qq", "-p", &pid.to_string(), "-e", "trace=all", "-o"]).arg(&log);
        if let Some(point) = point {
            command.args(["-e", &format!("inject={}", point.injection())]);
        }
        command.args(arguments);
        let strace = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let strace = Held(strace.expect("strace starts"));
        // Only when strace has seen something is the process in its hands. Killed at the call that
        // it waits in, it is gone at once.
        await_that("strace does not attach", || {
            is_gone(pid) || fs::metadata(&log).is_ok_and(|file| file.len() > 0)
        })?;
        Ok(Tracer { strace, log, _folder: folder })
    }

    /// Lets the process go on without it.
    fn detach(mut self) {
        let _ = sys::kill(self.strace.0.id(), libc::SIGTERM);
        let _ = crate::agent::wait(&mut self.strace.0);
    }

    /// What was written down; the process has ended.
    fn log(mut self) -> String {
        let _ = crate::agent::wait(&mut self.strace.0);
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Who dies at a point of the worker.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Victim {
    /// The worker, and the agent before it can do anything about that.
    Both,
    /// The worker alone.
    Worker,
}

/// An agent that has nobody beside itself for so long has taken over what was left (it waits for 50
/// ms for a worker of the one before it).
const SETTLED: Duration = Duration::from_millis(70);

/// What strace does for it: it follows the worker, and stops the agent as soon as that listens to
/// one.
const WORKER: [&str; 3] = ["-f", "-e", "inject=recvmsg:signal=SIGSTOP:when=1"];

/// The calls of a worker in a log of strace, which puts each process' number before its calls.
fn of_worker(log: &str, agent: u32) -> String {
    let agent = agent.to_string();
    let line = |line: &str| {
        let (process, call) = line.split_once(' ')?;
        (process != agent).then(|| format!("{}\n", call.trim_start()))
    };
    log.lines().filter_map(line).collect()
}

/// A line of /proc/PID/status.
fn status_of(pid: u32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

fn is_gone(pid: u32) -> bool {
    status_of(pid, "State:").is_none_or(|state| state.starts_with('Z'))
}

fn await_that(what: &str, mut so: impl FnMut() -> bool) -> Result<(), String> {
    let deadline = Instant::now() + ANSWER_DEADLINE;
    while !so() {
        if Instant::now() > deadline {
            return Err(what.to_owned());
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    Ok(())
}

/// A client of an agent that may be gone at any moment.
struct Client(Wire);

impl Client {
    fn connect(agent: &JailedAgent) -> Result<Option<Self>, String> {
        let mut client = None;
        await_that("the agent neither listens nor ends", || {
            client = UnixStream::connect(agent.socket()).ok();
            client.is_some() || is_gone(agent.pid)
        })?;
        Ok(client.map(|stream| Client(Wire::new(stream))))
    }

    /// The reply's line, unless the agent has gone.
    fn ask(&mut self, command: &str) -> Result<Option<String>, String> {
        self.0.send(format!("{{\"execute\":\"guest-{command}\"}}\n").as_bytes());
        match self.0.take().map_err(|error| format!("guest-{command}: {error}"))? {
            Next::Line(line) => Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned())),
            Next::End(_) => Ok(None),
        }
    }
}

/// How an agent's life under strace went.
pub struct Life {
    /// What strace has written.
    pub log: String,
    /// It was killed at its point.
    pub struck: bool,
}

/// A guest and what stands fast about it.
pub struct Scene {
    pub guest: Guest,
    /// Which of its disks somebody else freezes beforehand.
    pub others: Vec<usize>,
    /// Further arguments of the agents.
    pub arguments: &'static [&'static str],
    /// Where its disks are, in their order.
    pub places: Vec<&'static str>,
}

impl Scene {
    /// Freezes what somebody else has frozen.
    pub fn prepare(&self) {
        let frozen = self.guest.frozen();
        for &disk in self.others.iter().filter(|&&disk| !frozen[disk]) {
            self.guest.freeze_from_outside(disk);
        }
    }

    /// Freeze and thaw by an agent that is killed at `point`; by hand at the end without one.
    pub fn freeze_and_thaw(&self, point: Option<&Point>) -> Result<Life, String> {
        let start = Start { arguments: self.arguments, ..Start::default() };
        let agent = self.guest.jail.agent(start);
        let tracer = Tracer::attach(agent.pid, point)?;
        let ours = self.places.len() - self.others.len();
        let done = format!("{{\"return\": {ours}}}");
        if let Some(mut client) = Client::connect(&agent)? {
            for command in ["fsfreeze-freeze", "fsfreeze-thaw"] {
                match client.ask(command)? {
                    Some(reply) if reply == done => {}
                    Some(reply) => return Err(format!("{command}: {reply} instead of {done}")),
                    None => break,
                }
            }
        }
        end(agent, tracer, point)
    }

    /// A freeze, or a thaw of what was frozen before, whose worker is killed at `point`; without
    /// one, what the worker calls.
    pub fn work(&self, thaws: bool, point: Option<&Point>, victim: Victim) -> Result<Life, String> {
        // No log into a file: a worker that has a line written there would hear of that, and be
        // stopped in the place of the agent.
        let arguments = [self.arguments, &["-l", "/dev/null"]].concat();
        let start = Start { arguments: &arguments, ..Start::default() };
        let agent = self.guest.jail.agent(start);
        let gone = || "the agent has gone".to_owned();
        let mut client = Client::connect(&agent)?.ok_or_else(gone)?;
        let mut command = "fsfreeze-freeze";
        if thaws {
            client.ask(command)?;
            command = "fsfreeze-thaw";
        }
        let tracer = Tracer::attach_with(agent.pid, &WORKER, point)?;
        client.0.send(format!("{{\"execute\":\"guest-{command}\"}}\n").as_bytes());
        await_that("the agent does not stop", || {
            let log = fs::read_to_string(&tracer.log).unwrap_or_default();
            is_gone(agent.pid) || log.contains("stopped by SIGSTOP")
        })?;
        // Alone in the guest with a worker that has ended, if the agent was not struck before it
        // could have one.
        await_that("the worker does not end", || {
            let others = self.guest.processes().into_iter().filter(|pid| *pid != agent.pid);
            others.into_iter().all(is_gone)
        })?;
        if point.is_none() || victim == Victim::Both || is_gone(agent.pid) {
            let pid = agent.pid;
            let life = end(agent, tracer, None)?;
            let struck = life.log.contains("killed by SIGKILL");
            return Ok(Life { log: of_worker(&life.log, pid), struck });
        }
        tracer.detach();
        agent.signal(libc::SIGCONT);
        // Whatever it says: it goes on, and knows.
        let reply = match client.0.take()? {
            Next::Line(line) => String::from_utf8_lossy(&line).into_owned(),
            Next::End(_) => return Err("the agent has gone with its worker".to_owned()),
        };
        if !thaws && reply.contains("return") && self.guest.frozen().contains(&false) {
            return Err(format!("{command}: {reply}"));
        }
        let _ = sys::kill(agent.pid, libc::SIGKILL);
        match agent.wait() {
            end if end == "killed 9" => Ok(Life { log: String::new(), struck: true }),
            end => Err(format!("the agent {end}")),
        }
    }

    /// The start, status and thaw of the next agent, killed at `point`.
    pub fn recover(&self, point: Option<&Point>) -> Result<Life, String> {
        let before = ["/bin/sh", "-c", "kill -STOP $$; exec \"$@\"", "sh"];
        let start = Start { arguments: self.arguments, before: &before, ..Start::default() };
        let agent = self.guest.jail.spawn(start);
        self.guest.jail.prove_inside(&agent);
        await_that("the shell does not stop", || {
            status_of(agent.pid, "State:").is_some_and(|state| state.starts_with('T'))
        })?;
        let tracer = Tracer::attach(agent.pid, point)?;
        agent.signal(libc::SIGCONT);
        if let Some(mut client) = Client::connect(&agent)?
            && client.ask("fsfreeze-status")?.is_some_and(|status| status != THAWED)
        {
            let thawed = client.ask("fsfreeze-thaw")?;
            if thawed.as_ref().is_some_and(|reply| !reply.starts_with("{\"return\": ")) {
                return Err(format!("the recovery's thaw: {thawed:?}"));
            }
        }
        end(agent, tracer, point)
    }

    /// What an agent that nothing happens to says and does. `unsure` is a disk of somebody else's
    /// of which the agent could not know whose freeze it was.
    pub fn judge(&self, unsure: Option<usize>) -> Result<(), String> {
        let start = Start { arguments: self.arguments, ..Start::default() };
        let agent = self.guest.jail.agent(start);
        let gone = || "the agent has gone".to_owned();
        let mut client = Client::connect(&agent)?.ok_or_else(gone)?;
        let is_other = |disk: &usize| self.others.contains(disk);
        let ours: Vec<usize> = (0..self.places.len()).filter(|disk| !is_other(disk)).collect();
        // What was left is taken over beside everything else, and a worker of an agent that has
        // gone may be there still: all or nothing is frozen in the end, and the status says which.
        let mut count = 0;
        let mut last = String::new();
        let mut alone_since = None;
        let settled = await_that("", || {
            // To look whether something is frozen is to freeze it: not while anybody else may be at
            // it.
            if self.guest.processes() != [agent.pid] {
                alone_since = None;
                return false;
            }
            if alone_since.get_or_insert_with(Instant::now).elapsed() < SETTLED {
                return false;
            }
            let status = client.ask("fsfreeze-status").ok().flatten().unwrap_or_default();
            let frozen = self.guest.frozen();
            count = ours.iter().filter(|&&disk| frozen[disk]).count();
            last = format!("status {status}, and frozen are {frozen:?}");
            let expected = if count > 0 { FROZEN } else { THAWED };
            status == expected && (count == 0 || count == ours.len())
        });
        settled.map_err(|_| last)?;
        if count > 0 {
            let thawed = client.ask("fsfreeze-thaw")?.ok_or_else(gone)?;
            let all = [count, count + usize::from(unsure.is_some())];
            if !all.iter().any(|count| thawed == format!("{{\"return\": {count}}}")) {
                return Err(format!("thaw of {count}: {thawed}"));
            }
        }
        self.judge_thawed(unsure)?;
        let status = client.ask("fsfreeze-status")?.ok_or_else(gone)?;
        if status != THAWED {
            return Err(format!("after the thaw: status {status}"));
        }
        drop(client);
        agent.signal(libc::SIGTERM);
        match agent.wait() {
            end if end == "exited 0" => Ok(()),
            end => Err(format!("told to end, it {end}")),
        }
    }

    fn judge_thawed(&self, unsure: Option<usize>) -> Result<(), String> {
        let frozen = self.guest.frozen();
        for (disk, &is_frozen) in frozen.iter().enumerate() {
            let other = self.others.contains(&disk);
            if is_frozen != other && unsure != Some(disk) {
                return Err(format!("{} is not as it was: {frozen:?}", self.places[disk]));
            }
            if !is_frozen {
                let path = self.guest.jail.path(&format!("{}/probe", self.places[disk]));
                let written = File::create(&path).and_then(|mut file| file.write_all(b"x"));
                written.map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        let mark = self.guest.jail.path(&format!("{AGENT_FOLDER}/qga.state.isfrozen"));
        match mark.exists() {
            true => Err("the mark is still there".to_owned()),
            false => Ok(()),
        }
    }
}

/// Waits for the kill that `point` promises, or kills by hand.
fn end(agent: JailedAgent, tracer: Tracer, point: Option<&Point>) -> Result<Life, String> {
    // The last point lies after the last reply, a moment away; how often the agent looks for what
    // its worker tells is another number each time.
    let patience = Instant::now() + Duration::from_millis(300);
    while point.is_some() && !is_gone(agent.pid) && Instant::now() < patience {
        std::thread::sleep(Duration::from_micros(200));
    }
    let struck = is_gone(agent.pid);
    let _ = sys::kill(agent.pid, libc::SIGKILL);
    match agent.wait() {
        end if end == "killed 9" => Ok(Life { log: tracer.log(), struck }),
        end => Err(format!("the agent {end}")),
    }
}

/// The calls in a log that change a filesystem that was frozen at the time. A mount point in
/// `places` that is not itself frozen may lie in one that is.
pub fn writes_while_frozen(log: &str, places: &[&str]) -> Vec<String> {
    let on = |path: &str| {
        let above = |place: &&&str| {
            path.strip_prefix(**place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        places.iter().filter(above).max_by_key(|place| place.len()).copied()
    };
    let mut frozen: Vec<&str> = Vec::new();
    let mut wrong = Vec::new();
    for line in log.lines() {
        let Some((name, rest)) = line.split_once('(') else { continue };
        let paths = rest.split(['<', '>', '"']).filter(|part| part.starts_with('/'));
        let here: Vec<&str> = paths.filter_map(on).collect();
        let changes = match name {
            "ioctl" => {
                let done = rest.ends_with("= 0");
                match here.first() {
                    Some(&place) if done && rest.contains("FIFREEZE") => frozen.push(place),
                    Some(&place) if done && rest.contains("FITHAW") => {
                        frozen.retain(|frozen| *frozen != place)
                    }
                    _ => {}
                }
                false
            }
            "open" | "openat" => {
                ["O_CREAT", "O_TRUNC", "O_WRONLY", "O_RDWR"].iter().any(|flag| rest.contains(flag))
            }
            _ => {
                let changing = [
                    "write",
                    "pwrite",
                    "rename",
                    "unlink",
                    "mkdir",
                    "rmdir",
                    "mknod",
                    "link",
                    "symlink",
                    "truncate",
                    "ftruncate",
                    "fchmod",
                    "chmod",
                    "utime",
                    "fsync",
                    "fdatasync",
                    "fallocate",
                    "setxattr",
                    "sendfile",
                    "copy_file_range",
                ];
                changing.iter().any(|prefix| name.starts_with(prefix))
            }
        };
        if changes && here.iter().any(|place| frozen.contains(place)) {
            wrong.push(line.to_owned());
        }
    }
    wrong
}
