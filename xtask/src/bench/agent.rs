//! One agent under measurement: a program goes in, a running agent on a unix socket comes out,
//! pinned to a core of its own and ended when the value is dropped.

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::sys::{prctl, ptrace};
use nix::unistd::Pid;

use super::client::Client;
use super::cores::pin;
use crate::progress::until;
use crate::{ElseSay, Result};

/// The core that the agents run on, alone; one of them works at a time.
pub const AGENT_CORE: usize = 0;
/// The core of the measuring client, unless it shares the agent's.
pub const CLIENT_CORE: usize = 1;

const START_MS_MAX: u64 = 20_000;
const STOP_MS_MAX: u64 = 3_000;

/// An agent program and what it is called in the table.
#[derive(Clone)]
pub struct Program {
    pub name: &'static str,
    pub path: PathBuf,
}

pub struct Agent {
    child: Child,
    name: &'static str,
    folder: PathBuf,
}

impl Agent {
    /// Starts `program` in `folder` (made here, and removed again when the agent is dropped).
    pub fn start(program: &Program, folder: &Path) -> Result<Agent> {
        Agent::start_under(&[], program, folder)
    }

    /// The same below a tool that takes the agent's command line, such as valgrind.
    pub fn start_under(tool: &[String], program: &Program, folder: &Path) -> Result<Agent> {
        Agent::start_on(Some(AGENT_CORE), tool, program, folder)
    }

    /// The same on any core.
    pub fn start_unpinned(program: &Program, folder: &Path) -> Result<Agent> {
        Agent::start_on(None, &[], program, folder)
    }

    fn start_on(
        core: Option<usize>,
        tool: &[String],
        program: &Program,
        folder: &Path,
    ) -> Result<Agent> {
        let mut command = command(tool, program, folder, core)?;
        let child = command.spawn().else_say_of("cannot start", &program.path)?;
        Ok(Agent { child, name: program.name, folder: folder.to_owned() })
    }

    /// Starts the agent stopped at its first instruction, then sets it free and returns the moment
    /// of that: what follows is the agent's own time, without fork and exec.
    pub fn start_timed(program: &Program, folder: &Path) -> Result<(Agent, Instant)> {
        let mut command = command(&[], program, folder, Some(AGENT_CORE))?;
        // SAFETY: ptrace(PTRACE_TRACEME) is async-signal-safe and touches no memory of ours.
        unsafe { command.pre_exec(|| Ok(ptrace::traceme()?)) };
        let child = command.spawn().else_say_of("cannot start stopped (ptrace)", &program.path)?;
        let agent = Agent { child, name: program.name, folder: folder.to_owned() };
        let process = Pid::from_raw(agent.process() as i32);
        match waitpid(process, None).else_say("waitpid")? {
            WaitStatus::Stopped(..) => {}
            other => return Err(format!("{} did not stop at its start: {other:?}", agent.name)),
        }
        let freed = Instant::now();
        ptrace::detach(process, None).else_say(format!("{} cannot be set free", agent.name))?;
        Ok((agent, freed))
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Connects as soon as the socket is there, without sleeping in between: this is part of what
    /// is measured.
    pub fn connect(&mut self) -> Result<Client> {
        let socket = self.socket();
        let deadline = Instant::now() + Duration::from_millis(START_MS_MAX);
        let mut tries: u32 = 0;
        loop {
            match Client::connect(&socket) {
                Ok(client) => return Ok(client),
                Err(error) if Instant::now() > deadline => {
                    return Err(self.failed(&format!("does not listen: {error}")));
                }
                Err(_) => std::hint::spin_loop(),
            }
            tries = tries.wrapping_add(1);
            if tries.is_multiple_of(1024)
                && let Ok(Some(status)) = self.child.try_wait()
            {
                return Err(self.failed(&format!("ended at once ({status})")));
            }
        }
    }

    /// Ends the agent with SIGTERM, after a while with SIGKILL. True when SIGTERM was enough.
    pub fn stop(&mut self) -> bool {
        if let Ok(Some(_)) = self.child.try_wait() {
            return true;
        }
        // Our own child, not yet waited for, so the number is still its own.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let patience = Duration::from_millis(STOP_MS_MAX);
        let ended = until(patience, Duration::from_millis(1), || self.child.try_wait().ok()?);
        if ended.is_some() {
            return true;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        false
    }

    /// What went wrong with it, and what it said.
    pub fn failed(&self, what: &str) -> String {
        let said = fs::read_to_string(self.folder.join("stderr")).unwrap_or_default();
        let said = said.trim();
        let said = if said.is_empty() { "nothing" } else { said };
        format!("{} {what}; it said: {said}", self.name)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn command(
    tool: &[String],
    program: &Program,
    folder: &Path,
    core: Option<usize>,
) -> Result<Command> {
    let _ = fs::remove_dir_all(folder);
    // Whatever the mask: an agent takes no directory that others can write to.
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder).else_say_of("cannot make", folder)?;
    let said = File::create(folder.join("stderr")).else_say_of("cannot make a file in", folder)?;
    let mut line = tool.to_vec();
    line.push(program.path.display().to_string());
    let mut command = Command::new(&line[0]);
    command.args(&line[1..]).args(["-m", "unix-listen", "-p"]).arg(folder.join("socket"));
    command.arg("-t").arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
    // SAFETY: both calls are async-signal-safe; nothing is allocated between fork and exec.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            Ok(core.map_or(Ok(()), pin)?)
        });
    }
    Ok(command)
}
