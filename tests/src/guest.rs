//! A jail with disks: mount points in, a guest that can be frozen and asked what happened to it
//! out.

use crate::agent::Held;
use crate::connection::{ANSWER_DEADLINE, Connection};
use crate::disk::Disk;
use crate::jail::{Jail, JailedAgent, Mount, Spec, Start};
use crate::{program, sys};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Replies to guest-fsfreeze-status.
pub const FROZEN: &str = r#"{"return": "frozen"}"#;
pub const THAWED: &str = r#"{"return": "thawed"}"#;
pub const FAILED: &str = r#"{"return": "error"}"#;

/// The reply that returns a number.
pub fn returns(number: i64) -> String {
    format!(r#"{{"return": {number}}}"#)
}

/// Whether the test `name` must be skipped because nothing can be put under strace in a jail here;
/// counts the skip.
pub fn untraceable(name: &str) -> bool {
    if program("strace").is_none() {
        crate::skip(name, "needs strace");
        return true;
    }
    Disk::impossible(name)
}

/// A guest and its disks, which go away after it.
pub struct Guest {
    pub jail: Jail,
    disks: Vec<Disk>,
}

impl Guest {
    /// A guest with an ext4 filesystem of its own on each of `places`.
    pub fn with_ext4(places: &[&str]) -> Self {
        Guest::with_spec(places, Spec::default())
    }

    /// As [`Guest::with_ext4`], before what else `spec` mounts.
    pub fn with_spec(places: &[&str], spec: Spec) -> Self {
        Guest::with_disks(places, places.iter().map(|_| Disk::ext4()).collect(), spec)
    }

    /// A guest with `disks` on `places`.
    pub fn with_disks(places: &[&str], disks: Vec<Disk>, mut spec: Spec) -> Self {
        let mount = |(disk, place): (&Disk, &&str)| {
            let kind = disk.kind.to_owned();
            Mount { from: disk.device.clone(), at: PathBuf::from(place), kind }
        };
        let mounts: Vec<_> = disks.iter().zip(places).map(mount).collect();
        spec.mounts.splice(0..0, mounts);
        Guest { jail: Jail::start(spec), disks }
    }

    /// Whether each disk is frozen, in mount order.
    pub fn frozen(&self) -> Vec<bool> {
        assert_eq!(self.jail.keepers.len(), self.disks.len());
        self.jail.keepers.iter().map(sys::is_frozen).collect()
    }

    /// The processes in the guest beside its first.
    pub fn processes(&self) -> Vec<u32> {
        let space = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let own = space(self.jail.init).expect("the guest's namespace");
        let entries = fs::read_dir("/proc").expect("/proc");
        let all = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        all.filter(|pid| *pid != self.jail.init && space(*pid).as_ref() == Some(&own)).collect()
    }

    /// Runs a command of busybox in the guest. Panics when it fails.
    pub fn run(&self, words: &[&str]) {
        let words = [&["/bin/busybox"], words].concat();
        let status = self.jail.enter(&words).wait().expect("the jail's helper runs");
        assert!(status.success(), "{words:?}: {status}: {}", self.jail.stderr());
    }

    /// Freezes a disk as somebody else than the agent.
    pub fn freeze_from_outside(&self, disk: usize) {
        sys::freeze(&self.jail.keepers[disk]).expect("FIFREEZE");
    }

    /// Waits until the stub programs were called like this, or the guest has ended without.
    pub fn spawned(&mut self, expected: &[String]) -> Result<(), String> {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        loop {
            let text = self.jail.text("/run/spawned");
            if text.lines().eq(expected) {
                return Ok(());
            }
            let prefix = text.lines().zip(expected).all(|(line, expected)| line == expected);
            if !prefix || text.lines().count() > expected.len() || Instant::now() > deadline {
                return Err(format!("expected the calls {expected:?}, there were: {text:?}"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// An agent under strace, which follows the calls named by `trace` (`ioctl`, `all`) and fails
    /// or kills as `inject` says (`ioctl:error=EIO:when=2`, several with blanks between), and what
    /// it has written down. The agent and each of its workers count their calls for themselves.
    pub fn traced(&self, trace: &str, inject: &str) -> (JailedAgent, Trace) {
        let folder = tempfile::Builder::new().prefix("qga-trace-").tempdir().expect("a folder");
        let log = folder.path().join("log");
        let strace = program("strace").expect("strace");
        let text = |path: &PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        let mut wrapper = vec![text(&strace), "-o".to_owned(), text(&log)];
        wrapper.extend(["-f", "-y", "-qq", "-e"].map(String::from));
        wrapper.push(format!("trace={trace}"));
        for inject in inject.split_whitespace() {
            wrapper.extend(["-e".to_owned(), format!("inject={inject}")]);
        }
        let agent = self.jail.agent(Start { wrapper, ..Start::default() });
        (agent, Trace { log, strace: None, _folder: folder })
    }

    /// The same for an agent that runs, from now on and until the trace is dropped.
    pub fn attach(&self, agent: &JailedAgent, trace: &str, inject: &str) -> Trace {
        let folder = tempfile::Builder::new().prefix("qga-trace-").tempdir().expect("a folder");
        let log = folder.path().join("log");
        let mut command = Command::new(program("strace").expect("strace"));
        command.args(["-f", "-y", "-qq", "-p", &agent.pid.to_string(), "-o"]).arg(&log);
        // What it waits in is written down at once: then it is in strace's hands.
        command.args(["-e", &format!("trace=ppoll,{trace}")]);
        for inject in inject.split_whitespace() {
            command.args(["-e", &format!("inject={inject}")]);
        }
        let strace = Held(command.stdin(Stdio::null()).spawn().expect("strace starts"));
        let trace = Trace { log, strace: Some(strace), _folder: folder };
        trace.await_text("ppoll");
        trace
    }
}

/// What strace writes.
pub struct Trace {
    log: PathBuf,
    /// strace, where it was attached.
    strace: Option<Held>,
    _folder: tempfile::TempDir,
}

impl Drop for Trace {
    fn drop(&mut self) {
        if let Some(Held(strace)) = &mut self.strace {
            // Told to end, it lets the agent go.
            let _ = sys::kill(strace.id(), libc::SIGTERM);
            let _ = crate::agent::wait(strace);
        }
    }
}

impl Trace {
    /// How many calls of the agent and its workers were written down so far.
    pub fn count(&self) -> usize {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        // A call that another process interrupts stands on two lines.
        let call = |line: &&str| line.contains('(') && !line.contains(" resumed>");
        text.lines().filter(call).count()
    }

    /// Waits until what strace has written contains a text.
    pub fn await_text(&self, wanted: &str) {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while !fs::read_to_string(&self.log).is_ok_and(|text| text.contains(wanted)) {
            assert!(Instant::now() < deadline, "no {wanted} in the trace");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The folders that were frozen or thawed so far: `FIFREEZE /mnt/a`.
    pub fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let call = |line: &str| {
            let (_, call) = line.split_once("ioctl(")?;
            let (_, rest) = call.split_once('<')?;
            let (path, rest) = rest.split_once('>')?;
            let name = rest.trim_start_matches([',', ' ']).split([',', ')']).next()?;
            Some(format!("{name} {path}"))
        };
        text.lines().filter_map(call).collect()
    }
}

/// Asks for the status.
pub fn status(client: &mut Connection) -> String {
    client.ask(r#"{"execute":"guest-fsfreeze-status"}"#)
}

/// Waits for a status: what an earlier agent left is taken over beside everything else.
pub fn await_status(client: &mut Connection, wanted: &str) {
    let deadline = Instant::now() + ANSWER_DEADLINE;
    while status(client) != wanted {
        assert!(Instant::now() < deadline, "the status does not become {wanted}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Freezes.
pub fn freeze(client: &mut Connection) -> String {
    client.ask(r#"{"execute":"guest-fsfreeze-freeze"}"#)
}

/// Thaws.
pub fn thaw(client: &mut Connection) -> String {
    client.ask(r#"{"execute":"guest-fsfreeze-thaw"}"#)
}
