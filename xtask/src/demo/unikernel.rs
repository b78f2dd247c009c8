//! The session with the guest of our own: no Linux, the agent alone, on QEMU's smallest machine.
//! The printed session, and a table of size, boot time and idle cost, out.

use std::time::Duration;

use serde_json::Value;
use xtask::vm::Vm;
use xtask::vm::baremetal::{self, Bare, Line, Machine};
use xtask::{bench, paths, progress, table};

use super::session::Session;

/// How long the guest is watched doing nothing.
const IDLE: Duration = Duration::from_secs(3);

/// Boots, holds the session, prints the table.
pub fn run() -> Result<(), String> {
    let image = baremetal::image()?;
    progress::say(
        "booting the guest on microvm (QEMU, emulated, no kernel but the agent's own) ...",
    );
    let mut vm = Bare::new(Machine::Microvm, Line::Virtio).boot()?;
    let channel = vm.agent()?;
    let first_reply = vm.started().elapsed();
    let mut session = Session::new(channel);
    let idle = hold(&mut session, &vm).map_err(|error| vm.explain(error))?;
    session.shut_down(&mut vm)?;
    println!("\n  image             {} bytes", table::bytes(paths::bytes(&image)?));
    println!("  first reply       {} ms after QEMU's start", first_reply.as_millis());
    println!(
        "  idle              {:.2} % of a core, QEMU included",
        100.0 * idle.as_secs_f64() / IDLE.as_secs_f64()
    );
    Ok(())
}

/// The session up to the shutdown; how much CPU time the idle guest takes.
fn hold(session: &mut Session, vm: &Vm) -> Result<Duration, String> {
    session.opening("/tmp/demo.txt")?;
    session.heading("Who is this guest?");
    let release = session.file("/etc/os-release")?;
    for line in release.lines() {
        session.remark(line);
    }
    session.heading("What it does not have it does not offer");
    session.refused("fsfreeze-status", Value::Null)?;
    session.heading("Doing nothing: the processor is halted until the hypervisor has something");
    let before = bench::process::cpu_ns(vm.pid())?;
    std::thread::sleep(IDLE);
    let idle = Duration::from_nanos(bench::process::cpu_ns(vm.pid())? - before);
    session.remark(&format!("QEMU took {:.2} ms of CPU time in 3 s", idle.as_secs_f64() * 1e3));
    Ok(idle)
}
