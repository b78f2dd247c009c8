//! A guest of the test's own on this machine: its own processes (the first of them is the guest's
//! init), its own mounts and nothing else in sight. Only in here are filesystems frozen and
//! shutdowns asked for.
//!
//! The helper `qga-jail` (src/bin) builds it from a [`Spec`]; this side checks that it is tight
//! before any test goes on, and thaws, kills and cleans up however the test ends.

use crate::agent::{Held, connect, wait};
use crate::connection::{ANSWER_DEADLINE, Connection};
use crate::{binary, sys};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Where the agent of a jail has its socket and state.
pub const AGENT_FOLDER: &str = "/run/a";

/// One mount of the guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Mount {
    /// A device of this machine, or a folder of the guest when `kind` is `bind`.
    pub from: PathBuf,
    /// The mount point in the guest.
    pub at: PathBuf,
    /// `ext4`, `xfs`, `tmpfs`, `bind`.
    pub kind: String,
}

/// What the guest consists of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Spec {
    /// Mounts, in this order.
    pub mounts: Vec<Mount>,
    /// Stub programs and their exit statuses; each appends its command line to /run/spawned.
    pub programs: BTreeMap<String, i32>,
    /// Shell scripts, by path.
    pub scripts: BTreeMap<String, String>,
    /// The agent is the guest's process 1, with these arguments, instead of the helper's own init.
    pub agent_as_init: Option<Vec<String>>,
    /// The path in the guest of the helper's own init, by which an agent may take it for another
    /// one.
    pub init: Option<PathBuf>,
    /// Filled in by [`Jail::start`]: the folder that becomes the guest's root, and the agent's
    /// file.
    pub root: PathBuf,
    pub agent: PathBuf,
}

/// What keeps a guest from being built here; nothing when one can be. Looked for once.
pub fn unavailable() -> Option<&'static str> {
    static MISSING: OnceLock<Option<String>> = OnceLock::new();
    let missing = || {
        if !crate::is_root() {
            return Some("needs root, for namespaces and mounts".to_owned());
        }
        if crate::program("busybox").is_none() {
            return Some("needs busybox (package busybox-static)".to_owned());
        }
        let folder = tempfile::tempdir().expect("a folder");
        let probe = Command::new(helper()).arg("probe").arg(folder.path()).output();
        let probe = probe.expect("the jail's helper starts");
        // Whatever else went wrong is no reason to skip anything: the tests fail with it.
        let said = || String::from_utf8_lossy(&probe.stderr).trim_end().to_owned();
        (probe.status.code() == Some(2)).then(said)
    };
    MISSING.get_or_init(missing).as_deref()
}

/// A guest that runs.
pub struct Jail {
    /// The guest's disks, in mount order, opened before anything could freeze: they are thawed
    /// through these when the test is over.
    pub keepers: Vec<File>,
    /// The guest's process 1, as this machine numbers it.
    pub init: u32,
    helper: Held,
    output: BufReader<ChildStdout>,
    scratch: TempDir,
}

/// An agent in a jail.
pub struct JailedAgent {
    /// Its process, as this machine numbers it.
    pub pid: u32,
    socket: PathBuf,
    enter: Held,
    output: BufReader<ChildStdout>,
}

/// How to start an agent in a jail.
#[derive(Default)]
pub struct Start<'a> {
    /// A program of this machine to put before the helper that enters the jail (strace).
    pub wrapper: Vec<String>,
    /// The agent is not allowed to call reboot(2).
    pub without_reboot: bool,
    /// A program of the guest and its arguments that becomes the agent (a shell that execs it).
    pub before: &'a [&'a str],
    /// Further arguments for the agent.
    pub arguments: &'a [&'a str],
}

impl Jail {
    /// Builds a guest. Panics unless it is tight.
    pub fn start(mut spec: Spec) -> Self {
        let scratch = tempfile::Builder::new().prefix("qga-jail-").tempdir().expect("a folder");
        spec.root = scratch.path().join("root");
        spec.agent = binary();
        fs::create_dir(&spec.root).expect("the root's folder");
        let stderr = File::create(scratch.path().join("stderr")).expect("a file for stderr");
        let mut child = Command::new(helper())
            .arg("init")
            .arg(serde_json::to_string(&spec).expect("a spec in JSON"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the jail's helper starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let helper = Held(child);
        // Two processes say one line each, in either order.
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            output.read_line(line).expect("the helper's words");
        }
        lines.sort();
        let [Some(init), Some(0)] = [number(&lines[0], "init"), number(&lines[1], "ready")] else {
            let stderr = fs::read_to_string(scratch.path().join("stderr")).unwrap_or_default();
            panic!("the jail was not built: {lines:?}: {stderr}")
        };
        let mut jail = Jail { keepers: Vec::new(), init, helper, output, scratch };
        jail.prove_isolation(&spec);
        jail.keep(&spec);
        jail
    }

    /// A file of the guest as this machine can open it.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.init))
    }

    /// The text of a file in the guest; nothing when it does not exist.
    pub fn text(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_default()
    }

    /// What the helper and agents of this jail wrote to stderr.
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.scratch.path().join("stderr")).unwrap_or_default()
    }

    /// Starts an agent and waits until its socket is there.
    pub fn agent(&self, start: Start) -> JailedAgent {
        let agent = self.spawn(start);
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while !agent.socket.exists() {
            assert!(Instant::now() < deadline, "no socket in the jail: {}", self.stderr());
            std::thread::sleep(Duration::from_micros(200));
        }
        self.prove_inside(&agent);
        agent
    }

    /// Whoever talks to an agent of a jail may ask it to end the world: it must be this one. Panics
    /// if not.
    pub fn prove_inside(&self, agent: &JailedAgent) {
        for namespace in ["pid", "mnt"] {
            let link =
                |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).expect("ns");
            assert_eq!(link(&agent.pid.to_string()), link(&self.init.to_string()));
            assert_ne!(link(&agent.pid.to_string()), link("self"));
        }
    }

    /// Starts an agent; whether it gets as far as its socket is not waited for.
    pub fn spawn(&self, start: Start) -> JailedAgent {
        let _ = fs::remove_file(self.path(&format!("{AGENT_FOLDER}/s")));
        let mut words = start.wrapper;
        words.push(helper().to_str().expect("a path in UTF-8").to_owned());
        words.extend(["enter".to_owned(), self.init.to_string()]);
        if start.without_reboot {
            words.push("--without-reboot".to_owned());
        }
        words.push("--".to_owned());
        words.extend(start.before.iter().map(|word| (*word).to_owned()));
        words.extend(["/bin/qga", "-m", "unix-listen", "-p"].map(String::from));
        words.extend([format!("{AGENT_FOLDER}/s"), "-t".to_owned(), AGENT_FOLDER.to_owned()]);
        words.extend(start.arguments.iter().map(|word| (*word).to_owned()));
        let stderr = File::options().append(true).open(self.scratch.path().join("stderr"));
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.expect("the jail's stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", words[0]));
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let enter = Held(child);
        let mut line = String::new();
        output.read_line(&mut line).expect("the helper's words");
        let pid = number(&line, "pid").unwrap_or_else(|| {
            panic!("no agent in the jail ({line:?}): {}", self.stderr());
        });
        let socket = self.path(&format!("{AGENT_FOLDER}/s"));
        JailedAgent { pid, socket, enter, output }
    }

    /// Runs a command in the jail; its output goes nowhere.
    pub fn enter(&self, command: &[&str]) -> Child {
        let mut enter = Command::new(helper());
        enter.args(["enter", &self.init.to_string(), "--"]).args(command);
        enter.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the jail's helper starts")
    }

    /// Connects to the agent that is the guest's process 1.
    pub fn connect_to_init(&self) -> Connection {
        Connection::new(connect(&self.path(&format!("{AGENT_FOLDER}/s"))))
    }

    /// Waits for the guest's end and says how its process 1 ended: `exited N` or `killed N`.
    pub fn wait(&mut self) -> String {
        wait(&mut self.helper.0);
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the helper's last word");
        line.trim_end().to_owned()
    }

    /// Whether the guest still runs.
    pub fn runs(&mut self) -> bool {
        self.helper.0.try_wait().expect("wait").is_none()
    }

    /// Thaws every disk of the guest, whoever froze it.
    pub fn thaw(&self) {
        for keeper in &self.keepers {
            while sys::thaw(keeper).is_ok() {}
        }
    }

    /// Every mount on a block device must be one of the guest's own disks.
    fn prove_isolation(&self, spec: &Spec) {
        let table =
            fs::read_to_string(format!("/proc/{}/mountinfo", self.init)).expect("mountinfo");
        let device = |path: &Path| {
            let number = fs::metadata(path).expect("a device").rdev();
            format!("{}:{}", libc::major(number), libc::minor(number))
        };
        let disks = spec.mounts.iter().filter(|mount| mount.from.starts_with("/dev"));
        let disks: Vec<_> = disks.map(|mount| device(&mount.from)).collect();
        for line in table.lines() {
            let device = line.split(' ').nth(2).expect("a device number");
            let own = device.starts_with("0:") || disks.iter().any(|disk| disk == device);
            assert!(own, "the jail is not tight, nothing may be frozen in it: {line}");
        }
        assert!(!table.is_empty(), "the jail shows no mounts at all");
    }

    fn keep(&mut self, spec: &Spec) {
        for mount in spec.mounts.iter().filter(|mount| mount.from.starts_with("/dev")) {
            let path = self.path(mount.at.to_str().expect("a path in UTF-8"));
            self.keepers.push(File::open(path).expect("a mount point of the jail"));
        }
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the jail's stderr:\n{}", self.stderr());
        }
        // An agent that still runs might freeze again.
        if self.runs() {
            let _ = sys::kill(self.init, libc::SIGKILL);
        }
        self.thaw();
        let _ = self.helper.0.wait();
        self.thaw();
    }
}

impl JailedAgent {
    /// A new client.
    pub fn connect(&self) -> Connection {
        Connection::new(connect(&self.socket))
    }

    /// The path of its socket, from this machine.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Sends a signal to the agent.
    pub fn signal(&self, signal: i32) {
        sys::kill(self.pid, signal).expect("the agent runs");
    }

    /// Waits for the agent's end and says how: `exited N` or `killed N`.
    pub fn wait(mut self) -> String {
        let _: ExitStatus = wait(&mut self.enter.0);
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the helper's last word");
        line.trim_end().to_owned()
    }

    /// Kills the agent (SIGKILL).
    pub fn kill(self) {
        self.signal(libc::SIGKILL);
        assert_eq!(self.wait(), "killed 9");
    }
}

impl Drop for JailedAgent {
    /// A test that gives up on it leaves no agent behind that would keep the state directory from
    /// the next one.
    fn drop(&mut self) {
        if let Ok(None) = self.enter.0.try_wait() {
            let _ = sys::kill(self.pid, libc::SIGKILL);
            let _ = self.enter.0.wait();
        }
    }
}

/// The helper's program, built beside the tests.
pub fn helper() -> PathBuf {
    // Tests lie in target/PROFILE/deps, programs in target/PROFILE.
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/PROFILE/deps");
    folder.join("qga-jail")
}

/// The number of a line `what N`.
fn number(line: &str, what: &str) -> Option<u32> {
    line.trim_end().strip_prefix(what)?.trim().parse().ok()
}
