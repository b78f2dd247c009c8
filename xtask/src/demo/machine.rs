//! The session in the virtual machine: an agent's path in; the printed session, and a table of
//! size, memory and boot time, out.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use xtask::bench::process::field;
use xtask::vm::{AGENT_PORT, RunAs, Vm};
use xtask::{paths, progress, table};

use super::session::Session;

/// The writer that a freeze must block: a line on the disk every 0.1 s, its count on tmpfs.
const WRITER: &str = "
(count=0
while :; do
    count=$((count + 1))
    echo \"line $count\" >>/data/log
    echo $count >/run/written
    sleep 0.1
done) &
echo $! >/run/writer-pid
";

/// Long enough for five lines of the writer, were it not blocked.
const FREEZE_SHOWN: Duration = Duration::from_millis(600);

/// The writer counts a line just after it is on the disk: time to count the last one.
const SETTLED: Duration = Duration::from_millis(100);

/// Boots, holds the session, prints the table.
pub fn run(binary: &Path, keep: bool) -> Result<(), String> {
    progress::say("booting Debian's cloud kernel with the agent as process 1 (QEMU, emulated) ...");
    let mut builder = Vm::builder().binary(binary).run_as(RunAs::Init).with_shell().script(WRITER);
    if keep {
        builder = builder.outlives();
    }
    let mut vm = builder.boot()?;
    let channel = vm.agent()?;
    let replied = Instant::now();
    let mut session = Session::new(channel);
    let kernel_age_s = first_number(&session.file("/proc/uptime")?)?;
    let first_reply_s = kernel_age_s - replied.elapsed().as_secs_f64();
    progress::say(&format!(
        "first reply {:.2} s after QEMU's start, {first_reply_s:.2} s after the kernel's",
        replied.duration_since(vm.started()).as_secs_f64()
    ));
    let result = hold(&mut session, &mut vm);
    let memory = result.map_err(|error| vm.explain(error))?;
    let agent_start_s = first_number(&session.file("/run/agent-start")?)?;
    if keep {
        drop(session);
        print_kept(vm);
    } else {
        session.shut_down(&mut vm)?;
    }
    let reply = format!(
        "{first_reply_s:.2} s after the kernel's start (the agent ran at {agent_start_s:.2} s)"
    );
    Figures { binary: binary.to_path_buf(), memory, first_reply: reply }.print()
}

/// The session up to the shutdown; the agent's memory.
fn hold(session: &mut Session, vm: &mut Vm) -> Result<Memory, String> {
    session.opening("/data/demo.txt")?;
    session.heading("Freeze: a writer in the guest adds a line to the disk every 0.1 s");
    session.request("fsfreeze-status", Value::Null)?;
    let start = written(vm)?;
    sleep(FREEZE_SHOWN);
    let before = written(vm)?;
    session.remark(&format!("the writer runs: {start} lines, 0.6 s later {before}"));
    let frozen = session.request("fsfreeze-freeze", Value::Null)?;
    if frozen.as_u64() != Some(1) {
        return Err(format!("froze {frozen} filesystems in place of the one disk"));
    }
    session.request("fsfreeze-status", Value::Null)?;
    session.refused("file-open", json!({"path": "/data/demo.txt"}))?;
    sleep(SETTLED);
    let at_freeze = written(vm)?;
    sleep(FREEZE_SHOWN);
    let during = written(vm)?;
    let state = vm.shell("grep State: /proc/$(cat /run/writer-pid)/status")?;
    let state = state.trim().trim_start_matches("State:").trim();
    session.remark(&format!(
        "the writer is blocked: {at_freeze} lines, 0.6 s later {during}; its state: {state}"
    ));
    if during != at_freeze || !state.starts_with('D') {
        return Err("the freeze did not block the writer".to_owned());
    }
    session.request("fsfreeze-thaw", Value::Null)?;
    session.request("fsfreeze-status", Value::Null)?;
    sleep(FREEZE_SHOWN);
    let after = written(vm)?;
    session.remark(&format!("the writer goes on: {after} lines"));
    match after > during && before > start {
        true => memory(session),
        false => Err("the writer did not go on after the thaw".to_owned()),
    }
}

fn print_kept(vm: Vm) {
    let socket = vm.port_path(AGENT_PORT);
    let (pid, directory) = vm.keep();
    println!("\nThe machine is still up. Talk to its agent (package socat):\n");
    println!("  socat - UNIX-CONNECT:{}", socket.display());
    println!("\nand type, for one: {{'execute':'guest-info'}}");
    println!("To end it, type {{'execute':'guest-shutdown'}} there, or: kill {pid}");
    println!("Its console is {}/console.log; afterwards:", directory.display());
    println!("  rm -r {}", directory.display());
}

/// How many lines the writer has written.
fn written(vm: &mut Vm) -> Result<u64, String> {
    let text = vm.shell("cat /run/written")?;
    text.trim().parse().map_err(|_| format!("the writer's count reads {text:?}"))
}

/// The agent's memory in kB, as its kernel counts it. Not "private dirty": in an initramfs the
/// pages of the agent's own file count as dirty, too.
pub struct Memory {
    resident: u64,
    anonymous: u64,
}

/// Reads the agent's own memory figures through the agent. VmRSS of /proc/self/status lags behind
/// by up to 64 pages; this file is exact.
pub fn memory(session: &mut Session) -> Result<Memory, String> {
    let rollup = session.file("/proc/self/smaps_rollup")?;
    let (resident, anonymous) = (field(&rollup, "Rss:")?, field(&rollup, "Anonymous:")?);
    Ok(Memory { resident, anonymous })
}

fn first_number(text: &str) -> Result<f64, String> {
    let number = text.split_whitespace().next().and_then(|word| word.parse().ok());
    number.ok_or_else(|| format!("no number in {text:?}"))
}

/// The table at the end.
pub struct Figures {
    pub binary: PathBuf,
    pub memory: Memory,
    pub first_reply: String,
}

impl Figures {
    pub fn print(&self) -> Result<(), String> {
        let bytes = paths::bytes(&self.binary)?;
        let Memory { resident, anonymous } = self.memory;
        println!("\n  binary            {} bytes", table::bytes(bytes));
        println!("  memory            {resident} kB resident, {anonymous} kB of it written data");
        println!("  first reply       {}", self.first_reply);
        Ok(())
    }
}
