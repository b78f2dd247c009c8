//! guest-shutdown: programs first, then init, then the agent itself; what failed is named when
//! nothing worked.

use crate::freeze::{ask, disks};
use crate::guest::Large;
use qga_core::Errno;
use qga_core::limits::{SHUTDOWN_HELPER_MS_MAX, SHUTDOWN_TERM_MS};
use qga_core::platform::{Device, Exit, InitSystem, Mode};
use qga_sim::power::{Ending, Process, Program};
use qga_sim::{Kind, Sim};
use serde_json::json;

const POWERDOWN: &[u8] = b"{\"execute\": \"guest-shutdown\", \"id\": 1}\n";

fn modes() -> [(&'static str, Mode); 3] {
    [("powerdown", Mode::Powerdown), ("halt", Mode::Halt), ("reboot", Mode::Reboot)]
}

fn shut_down(sim: &Sim, mode: &str) -> Vec<u8> {
    let mut session = Large::start(sim).expect("a start");
    let request =
        format!("{{\"execute\": \"guest-shutdown\", \"arguments\": {{\"mode\": \"{mode}\"}}}}\n");
    session.send(request.as_bytes())
}

fn ending(sim: &Sim) -> Option<Ending> {
    sim.with(|world| world.machine.ending.clone())
}

fn failing_programs(sim: &Sim) {
    sim.with(|world| {
        world.machine.programs.push(Program::ending("/sbin/poweroff", 1));
        let mut shutdown = Program::ending("/sbin/shutdown", 0);
        shutdown.exit = Exit::Signal(11);
        shutdown.output = b"no bus\x07 here\n".to_vec();
        world.machine.programs.push(shutdown);
    });
}

#[test]
fn a_program_that_takes_its_time_counts_as_working() {
    let sim = Sim::new(1);
    sim.with(|world| {
        let never = Program { runs_ms: None, ..Program::ending("/sbin/poweroff", 0) };
        world.machine.programs.push(never);
    });
    let mut session = Large::start(&sim).expect("a start");
    let before_ms = sim.with(|world| world.time.now_ms);
    assert_eq!(session.send(POWERDOWN), b"");
    let waited_ms = sim.with(|world| world.time.now_ms) - before_ms;
    assert!((SHUTDOWN_HELPER_MS_MAX..SHUTDOWN_HELPER_MS_MAX + 100).contains(&waited_ms));
    assert_eq!(ending(&sim), None);
    assert_eq!(ask(&mut session, "ping"), json!({"return": {}}));
}

#[test]
fn a_program_that_fails_late_is_followed_by_the_next() {
    let sim = Sim::new(1);
    sim.with(|world| {
        let late = Program { runs_ms: Some(9000), ..Program::ending("/sbin/poweroff", 3) };
        world.machine.programs = vec![late, Program::ending("/sbin/shutdown", 0)];
    });
    assert_eq!(shut_down(&sim, "powerdown"), b"");
    let started = sim.with(|world| world.machine.started.clone());
    let line = "/sbin/shutdown -h -P +0 hypervisor initiated shutdown";
    assert_eq!(started, ["/sbin/poweroff", line]);
    assert_eq!(ending(&sim), None);
}

#[test]
fn init_is_asked_when_there_are_no_programs() {
    for init in [InitSystem::Systemd, InitSystem::Busybox] {
        for (name, mode) in modes() {
            let sim = Sim::new(1);
            sim.with(|world| world.machine.init = init);
            assert_eq!(shut_down(&sim, name), b"");
            assert_eq!(ending(&sim), Some(Ending::Init(init, mode)));
        }
    }
}

#[test]
fn the_kernel_is_asked_last() {
    for (name, mode) in modes() {
        let sim = disks(2);
        failing_programs(&sim);
        sim.with(|world| {
            world.machine.init = InitSystem::Systemd;
            world.machine.init_error = Some(Errno::PERM);
            world.machine.processes.push(Process::ending(Some(400)));
            // An inner mount must go before its outer one, a busy one stays and becomes read-only.
            world.mount("ext4", Device::new(9, 0), "/mnt/a/inner");
            world.mount("ext4", Device::new(9, 1), "/mnt/busy");
            world.mounts.list.last_mut().expect("a mount").busy = true;
        });
        assert_eq!(shut_down(&sim, name), b"");
        assert_eq!(ending(&sim), Some(Ending::Kernel(mode)));
        sim.with(|world| {
            let local = world.mounts.list.iter().filter(|mount| mount.device.major() != 0);
            let left: Vec<_> = local.map(|mount| (&mount.point[..], mount.read_only)).collect();
            assert_eq!(left, [(&b"/mnt/busy"[..], true)]);
            assert!(world.machine.syncs >= 2);
            assert_eq!(world.faults.count(Kind::SignalAll), 1);
            assert!(world.time.now_ms >= 1400 && world.time.now_ms < 1500);
        });
    }
}

#[test]
fn processes_that_do_not_end_are_killed() {
    let sim = Sim::new(1);
    sim.with(|world| world.machine.processes.push(Process::ending(None)));
    assert_eq!(shut_down(&sim, "reboot"), b"");
    assert_eq!(ending(&sim), Some(Ending::Kernel(Mode::Reboot)));
    sim.with(|world| {
        assert!(world.machine.processes.is_empty());
        assert_eq!(world.faults.count(Kind::SignalAll), 2);
        assert!(world.time.now_ms >= 1000 + SHUTDOWN_TERM_MS);
        assert!(world.time.now_ms < 1100 + SHUTDOWN_TERM_MS);
    });
}

#[test]
fn as_process_1_it_does_the_work_itself() {
    let sim = disks(1);
    sim.with(|world| {
        world.machine.programs.push(Program::ending("/sbin/poweroff", 0));
        world.machine.init = InitSystem::Agent;
    });
    assert_eq!(shut_down(&sim, "powerdown"), b"");
    assert_eq!(ending(&sim), Some(Ending::Kernel(Mode::Powerdown)));
    assert_eq!(sim.with(|world| world.machine.started.clone()), [""; 0]);
}

#[test]
fn when_nothing_works_each_attempt_is_named() {
    let sim = disks(1);
    failing_programs(&sim);
    sim.with(|world| {
        world.machine.init = InitSystem::Busybox;
        world.machine.init_error = Some(Errno::PERM);
        world.machine.reboot_error = Some(Errno::PERM);
        world.machine.processes.push(Process::ending(None));
    });
    let mut session = Large::start(&sim).expect("a start");
    let output = session.send(POWERDOWN);
    let text = [
        "failed to shutdown: /sbin/poweroff: exit status 1",
        "/sbin/shutdown: ended by signal 11, it said: no bus\u{7} here",
        "init: Operation not permitted",
        "reboot(2): Operation not permitted",
    ];
    let text = text.join("; ");
    let reply: serde_json::Value = serde_json::from_slice(&output).expect("a reply");
    assert_eq!(reply, json!({"error": {"class": "GenericError", "desc": text}, "id": 1}));
    // Without the right to end the guest nothing was touched.
    sim.with(|world| {
        assert_eq!(world.machine.processes.len(), 1);
        assert_eq!(world.faults.count(Kind::Unmount), 0);
        assert_eq!(world.machine.ending, None);
    });
    assert_eq!(ask(&mut session, "ping"), json!({"return": {}}));
    // The same again: the account begins anew.
    assert_eq!(session.send(POWERDOWN), output);
}

#[test]
fn a_kernel_that_refuses_is_named() {
    let sim = Sim::new(1);
    sim.with(|world| world.machine.kernel_error = Some(Errno::INVAL));
    let output = String::from_utf8(shut_down(&sim, "halt")).expect("text");
    let parts = ["/sbin/halt: No such file", "/sbin/shutdown: No such file", "init: its signals"];
    for part in parts.iter().chain(&["reboot(2): Invalid argument"]) {
        assert!(output.contains(part), "{part}: {output}");
    }
    assert_eq!(ending(&sim), None);
}

#[test]
fn nobody_hears_of_a_shutdown_that_another_client_asked_for() {
    let sim = Sim::new(1);
    sim.with(|world| {
        let late = Program { runs_ms: Some(5000), ..Program::ending("/sbin/poweroff", 1) };
        world.machine.programs.push(late);
        world.machine.reboot_error = Some(Errno::PERM);
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(session.put(POWERDOWN), POWERDOWN.len());
    while session.step() != qga_core::Step::Wait {}
    session.disconnect();
    assert_eq!(ask(&mut session, "ping"), json!({"return": {}}));
}
