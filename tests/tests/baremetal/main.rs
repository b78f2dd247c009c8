//! The guest of our own in real virtual machines: no Linux, no libc, the agent alone.

mod conversations;
mod figures;
mod machine;
mod traffic;

use qga_tests::{OF_LINUX, SETS_TIME, skip};
use std::time::Duration;
use xtask::vm::baremetal::{self, Bare, Line, Machine};
use xtask::vm::{AGENT_PORT, Channel, Vm};

const PING: &str = r#"{"execute":"guest-ping"}"#;
const PONG: &str = r#"{"return": {}}"#;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the guest says of itself.
const OFFERED: [&str; 4] =
    ["guest-get-host-name", "guest-get-osinfo", "guest-get-timezone", "guest-get-vcpus"];

/// Commands that the guest does not offer.
fn not_offered() -> impl Iterator<Item = &'static str> {
    let of_linux = OF_LINUX.iter().copied().chain([SETS_TIME]);
    of_linux.filter(|name| !OFFERED.contains(name))
}

/// Every machine and line that the guest is for.
const PLACES: [(Machine, Line); 8] = [
    (Machine::Q35, Line::Virtio),
    (Machine::Microvm, Line::Virtio),
    (Machine::Q35, Line::Second),
    (Machine::Q35, Line::First),
    (Machine::Microvm, Line::Second),
    (Machine::Microvm, Line::First),
    (Machine::Virt, Line::Virtio),
    (Machine::Virt, Line::First),
];

/// Whether this machine can be had; a counted skip if not.
fn can_boot(test: &str, machine: Machine) -> bool {
    match baremetal::prepare(machine) {
        Ok(()) => true,
        Err(reason) => {
            let test = format!("baremetal::{test} ({machine:?})");
            skip(&test, &reason.replace('\n', "; "));
            false
        }
    }
}

/// A conversation with the agent, in sync. What is sent to a serial line before the guest listens
/// is lost, so the sync is repeated often.
fn agent(vm: &Vm) -> Channel {
    let mut channel = port(vm);
    let result = channel.sync(PATIENCE, Duration::from_millis(300));
    result.unwrap_or_else(|error| panic!("{}", vm.explain(error)));
    channel
}

/// The hypervisor's side of the agent's line.
fn port(vm: &Vm) -> Channel {
    let channel = Channel::connect(&vm.port_path(AGENT_PORT));
    channel.unwrap_or_else(|error| panic!("{}", vm.explain(error)))
}

fn boot(machine: Machine, line: Line) -> Vm {
    Bare::new(machine, line).boot().unwrap()
}

fn command(name: &str, arguments: &str) -> String {
    format!(r#"{{"execute":"guest-{name}","arguments":{{{arguments}}}}}"#)
}

fn ask(agent: &mut Channel, name: &str, arguments: &str) -> String {
    agent.request(&command(name, arguments)).unwrap()
}
