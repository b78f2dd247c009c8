//! The session on this machine, over a unix socket: an agent's path in, the printed session out.
//!
//! Freeze and shutdown stay out of it: they would stop the machine that the person sits at.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use xtask::Result;
use xtask::bench::agent::{Agent, Program};
use xtask::vm::Channel;

use super::machine::{Figures, memory};
use super::session::Session;

/// How long the agent may take to listen, and to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the session and prints the table.
pub fn run(binary: &Path) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("qga-demo-{}", std::process::id()));
    let program = Program { name: "the agent", path: binary.to_path_buf() };
    let begun = Instant::now();
    let mut agent = Agent::start_unpinned(&program, &folder)?;
    let mut channel = Channel::connect_within(&agent.socket(), PATIENCE)
        .map_err(|error| agent.failed(&format!("does not listen: {error}")))?;
    channel.sync(PATIENCE, PATIENCE)?;
    let first_reply = begun.elapsed();
    let mut session = Session::new(channel);
    session.opening(&folder.join("demo.txt").display().to_string())?;
    session.heading("Filesystems");
    session.request("fsfreeze-status", Value::Null)?;
    session.remark("guest-fsfreeze-freeze and guest-shutdown are left out: they would stop this");
    session.remark("machine. They take the virtual machine of: cargo xtask demo");
    let memory = memory(&mut session)?;
    agent.stop();
    let reply = format!("{:.2} ms after its start, this machine", first_reply.as_secs_f64() * 1e3);
    Figures { binary: binary.to_path_buf(), memory, first_reply: reply }.print()
}
