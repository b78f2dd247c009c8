//! The session on this machine, over a unix socket: an agent's path in, the printed session out.
//!
//! Freeze and shutdown stay out of it: they would stop the machine that the person sits at.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use xtask::vm::Channel;

use super::machine::{Figures, memory};
use super::session::Session;

/// An agent of ours on this machine; ended by its own process id.
struct Agent {
    process: Child,
    directory: PathBuf,
}

/// Runs the session and prints the table.
pub fn run(binary: &Path) -> Result<(), String> {
    let agent_start = Instant::now();
    let mut agent = Agent::start(binary)?;
    let mut channel = agent.connect()?;
    channel.sync(Duration::from_secs(10), Duration::from_secs(10))?;
    let first_reply = agent_start.elapsed();
    let mut session = Session::new(channel);
    session.opening(&agent.directory.join("demo.txt").display().to_string())?;
    session.heading("Filesystems");
    session.request("{\"execute\": \"guest-fsfreeze-status\"}")?;
    session.remark("guest-fsfreeze-freeze and guest-shutdown are left out: they would stop this");
    session.remark("machine. They take the virtual machine of: cargo xtask demo");
    let memory = memory(&mut session)?;
    let reply = format!("{:.2} ms after its start, this machine", first_reply.as_secs_f64() * 1e3);
    Figures { binary: binary.to_path_buf(), memory, first_reply: reply }.print()
}

impl Agent {
    fn start(binary: &Path) -> Result<Agent, String> {
        let directory = std::env::temp_dir().join(format!("qga-demo-{}", std::process::id()));
        let made = fs::DirBuilder::new().mode(0o700).create(&directory);
        made.map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        let process = Command::new(binary)
            .args(["-m", "unix-listen", "-p"])
            .arg(directory.join("socket"))
            .arg("-t")
            .arg(&directory)
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", binary.display()))?;
        Ok(Agent { process, directory })
    }

    fn connect(&mut self) -> Result<Channel, String> {
        let socket = self.directory.join("socket");
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            let result = Channel::connect_within(&socket, Duration::from_millis(100));
            if let (Err(_), Ok(Some(status))) = (&result, self.process.try_wait()) {
                return Err(format!("the agent ended before it listened ({status})"));
            }
            if result.is_ok() || Instant::now() > end {
                return result;
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
