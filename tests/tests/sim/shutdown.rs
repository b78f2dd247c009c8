//! guest-shutdown: programs first, then init, then the agent itself; what failed is named when
//! nothing worked.

use crate::freeze::{ask, disks};
use crate::guest::Large;
use qga_core::Errno;
use qga_core::Step;
use qga_core::limits::{SHUTDOWN_SIGN_MS, SHUTDOWN_TERM_MS};
use qga_core::platform::{Device, Exit, Mode};
use qga_sim::init::{Init, Sign};
use qga_sim::power::{Ending, Process, Program};
use qga_sim::{Kind, Sim, World};
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

/// A guest with this process 1.
fn guest(init: Init) -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| world.machine.init = Some(init));
    sim
}

/// Shuts down, and says how long that took; the guest must not have been harmed.
fn timed(sim: &Sim, mode: &str) -> (String, u64) {
    let before_ms = sim.with(|world| world.time.now_ms);
    let output = String::from_utf8(shut_down(sim, mode)).expect("text");
    sim.with(|world| {
        assert!(world.violations.is_empty(), "{:?}", world.violations);
        (output, world.time.now_ms - before_ms)
    })
}

/// A program that runs on and on is not taken for one that works.
#[test]
fn a_program_that_hangs_is_left_behind() {
    let sim = Sim::new(1);
    sim.with(|world| {
        let never = Program { runs_ms: None, ..Program::ending("/sbin/poweroff", 0) };
        world.machine.programs = vec![never, Program::ending("/sbin/shutdown", 0)];
        world.machine.reboot_error = Some(Errno::PERM);
    });
    let (output, took_ms) = timed(&sim, "powerdown");
    assert!(output.contains("/sbin/poweroff: does not end; init"), "{output}");
    assert!(took_ms < 10_000, "{took_ms}");
    assert_eq!(sim.with(|world| world.machine.started.len()), 1, "there is no time for another");
}

/// The machine may go down before its program ends.
#[test]
fn a_program_that_stays_until_the_end_works() {
    let mut init = Init::new("/sbin/init", &[], &[]);
    init.down_at_ms = Some(1500);
    let sim = guest(init);
    sim.with(|world| {
        let never = Program { runs_ms: None, ..Program::ending("/sbin/poweroff", 0) };
        world.machine.programs.push(never);
    });
    assert_eq!(timed(&sim, "powerdown").0, "");
    assert_eq!(ending(&sim), None);
}

#[test]
fn a_program_that_fails_late_is_followed_by_the_next() {
    let sim = Sim::new(1);
    sim.with(|world| {
        let late = Program { runs_ms: Some(6000), ..Program::ending("/sbin/poweroff", 3) };
        world.machine.programs = vec![late, Program::ending("/sbin/shutdown", 0)];
    });
    assert_eq!(shut_down(&sim, "powerdown"), b"");
    let started = sim.with(|world| world.machine.started.clone());
    let line = "/sbin/shutdown -h -P +0 hypervisor initiated shutdown";
    assert_eq!(started, ["/sbin/poweroff", line]);
    assert_eq!(ending(&sim), None);
}

/// Each init with its signals for powerdown, halt and reboot, 0 for none.
const INITS: [(&str, [u8; 3]); 13] = [
    ("/lib/systemd/systemd", [38, 37, 39]),
    ("/usr/lib/systemd/systemd (deleted)", [38, 37, 39]),
    ("/bin/busybox", [12, 10, 15]),
    ("/sbin/finit", [12, 0, 15]),
    ("/sbin/openrc-init", [0, 15, 2]),
    ("/usr/sbin/dinit", [0, 15, 2]),
    ("/sbin/init", [0; 3]),
    ("/usr/bin/runit", [0; 3]),
    ("/usr/bin/s6-svscan", [0; 3]),
    ("/usr/bin/tini", [0; 3]),
    ("/usr/bin/dumb-init", [0; 3]),
    ("/usr/bin/catatonit", [0; 3]),
    ("/bin/xinit", [0; 3]),
];

#[test]
fn init_is_asked_by_its_signal() {
    for (path, signals) in INITS {
        for ((name, mode), signal) in modes().into_iter().zip(signals) {
            let mut init = Init::new(path, &[1, 17, 20], &[]);
            init.obeys = u64::MAX;
            init.shows = (300, Sign::Deaf);
            let sim = guest(init);
            let (output, took_ms) = timed(&sim, name);
            assert_eq!(output, "", "{path} {name}");
            let got = sim.with(|world| world.machine.init.clone().expect("an init").signals);
            let expected = if signal == 0 { vec![] } else { vec![signal] };
            assert_eq!(got, expected, "{path} {name}");
            if signal == 0 {
                assert_eq!(ending(&sim), Some(Ending::Kernel(mode)), "{path} {name}");
            } else {
                assert_eq!(ending(&sim), None, "{path} {name} was not left alone");
                assert!((300..400).contains(&took_ms), "{path} {name}: {took_ms}");
            }
        }
    }
}

/// What the issue allows for: an init with programs that fail, hang, say yes without effect, or are
/// not there; that obeys or not, shows it in each way or not, is hidden or not.
#[test]
fn no_shutdown_ends_in_silence() {
    let signs = [Sign::CommandLine, Sign::Deaf, Sign::State, Sign::Nothing];
    let mut ways = [0; 3];
    for (path, _) in INITS {
        for case in 0..5 * 2 * 4 * 3 * 2 {
            let (program, obeys, sign) = (case % 5, case / 5 % 2 == 0, signs[case / 10 % 4]);
            let (kernel, hidden) = (case / 40 % 3, case / 120 == 1);
            let mut init = Init::new(path, &[1, 17, 20], &[10, 12, 15]);
            init.obeys = if obeys { u64::MAX } else { 0 };
            init.shows = (1000, sign);
            init.ends_with_others = true;
            let sim = guest(init);
            sim.with(|world| {
                let base = Program { obeyed: obeys, ..Program::ending("/sbin/reboot", 0) };
                world.machine.programs.push(Program::ending("/bin/systemctl", 1));
                world.machine.programs.extend(match program {
                    0 => None,
                    1 => Some(Program { exit: Exit::Status(1), ..base }),
                    2 => Some(Program { exit: Exit::Status(1), script: true, ..base }),
                    3 => Some(Program { runs_ms: Some(6900), ..base }),
                    _ => Some(Program { runs_ms: None, ..base }),
                });
                world.machine.reboot_error = (kernel == 1).then_some(Errno::PERM);
                world.machine.kernel_error = (kernel == 2).then_some(Errno::INVAL);
                world.machine.place.no_proc = hidden.then_some(Errno::NOENT);
                world.machine.processes.push(Process::ending(None));
            });
            let (output, took_ms) = timed(&sim, "reboot");
            assert!(took_ms <= 20_000, "{path} {case}: {took_ms} ms");
            let seen = sim.with(|world| world.machine.is_going_down()) && sign != Sign::Nothing;
            let way = match (ending(&sim), output.is_empty()) {
                (Some(_), _) => 0,
                (None, true) => {
                    assert!(seen && !hidden, "{path} {case}: silence");
                    1
                }
                (None, false) => {
                    assert!(program == 2 || kernel != 0, "{path} {case}: {output}");
                    2
                }
            };
            ways[way] += 1;
        }
    }
    assert!(ways.iter().all(|&count| count > 100), "{ways:?}");
}

/// Services of systemd may take minutes to stop. Its state is asked for, and the machine is left to
/// it.
#[test]
fn a_slow_systemd_is_left_alone() {
    for by_program in [true, false] {
        let mut init = Init::new("/lib/systemd/systemd", &[], &[38]);
        init.shows = (0, Sign::State);
        let sim = guest(init);
        sim.with(|world| {
            let state = Program { obeyed: false, ..Program::ending("/bin/systemctl", 1) };
            let state = Program { runs_ms: Some(400), ..state };
            world.machine.programs.push(state);
            if by_program {
                world.machine.programs.push(Program::ending("/sbin/poweroff", 0));
            }
        });
        let (output, took_ms) = timed(&sim, "powerdown");
        assert_eq!((output.as_str(), ending(&sim)), ("", None));
        assert!(took_ms < SHUTDOWN_SIGN_MS, "{took_ms}");
    }
}

/// Process 1 that becomes another program is still coming up, as runit does from its first program.
#[test]
fn an_init_that_comes_up_is_not_going_down() {
    let sim = guest(Init::new("/bin/busybox", &[17], &[]));
    sim.with(|world| {
        let program = Program { runs_ms: Some(50), ..Program::ending("/sbin/poweroff", 0) };
        world.machine.programs.push(Program { obeyed: false, ..program });
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(session.put(POWERDOWN), POWERDOWN.len());
    while session.step() != Step::Wait {}
    sim.with(|world| world.machine.init = Some(Init::new("/sbin/init", &[1], &[])));
    assert_eq!(session.send(b""), b"");
    assert_eq!(ending(&sim), Some(Ending::Kernel(Mode::Powerdown)));
}

/// A script that refuses was put there for that. What only could not is followed by the next means.
#[test]
fn a_refusal_of_a_script_is_final() {
    for (status, script, is_final) in [(1, true, true), (1, false, false), (127, true, false)] {
        let sim = guest(Init::new("/lib/systemd/systemd", &[], &[38]));
        sim.with(|world| {
            let output = b"molly says no\n".to_vec();
            let program = Program::ending("/sbin/poweroff", status);
            world.machine.programs.push(Program { script, output, ..program });
            world.machine.programs.push(Program::ending("/sbin/shutdown", 0));
        });
        let (output, _) = timed(&sim, "powerdown");
        assert_eq!(!output.is_empty(), is_final, "{status} {script}: {output}");
        assert_eq!(sim.with(|world| world.machine.is_going_down()), !is_final);
        if is_final {
            let text = "failed to shutdown: /sbin/poweroff: exit status 1, it said: molly says no";
            assert!(output.contains(&format!("\"{text}\"")), "{output}");
        }
    }
}

/// In a container nothing is signalled, ended or unmounted; programs are run only where they do not
/// ask the container's own init. `timed` looks whether anything was done that may not be.
#[test]
fn a_container_is_not_ended() {
    for (path, _) in
        INITS.into_iter().map(Some).chain([None]).map(|row| row.unwrap_or(("", [0; 3])))
    {
        let sim = disks(1);
        sim.with(|world| {
            world.machine.init = (!path.is_empty()).then(|| Init::new(path, &[], &[12, 38]));
            world.machine.place.contained = true;
            let program = Program { obeyed: false, ..Program::ending("/sbin/poweroff", 0) };
            world.machine.programs.push(program);
        });
        let (output, took_ms) = timed(&sim, "powerdown");
        assert!(output.contains("reboot(2): the agent is in a container"), "{path}: {output}");
        assert!(took_ms <= 20_000);
        let would_end_it =
            ["systemd", "busybox", "finit", "/init", "openrc-init", "dinit", "runit"];
        let would_end_it = would_end_it.iter().any(|name| path.contains(name));
        let started = sim.with(|world| world.machine.started.len());
        assert_eq!(started, usize::from(!would_end_it), "{path}");
        sim.with(|world| {
            assert_eq!((world.machine.ending.clone(), world.machine.syncs), (None, 0))
        });
    }
}

/// Without /proc only the kernel knows whether this is a container, and is asked before anything is
/// done.
#[test]
fn without_proc_the_kernel_says_where_the_agent_is() {
    for (alone, contained) in [(true, true), (true, false), (false, true), (false, false)] {
        let sim = Sim::new(1);
        sim.with(|world| {
            if alone {
                world.machine.init = None;
            }
            world.machine.place.contained = contained;
            world.machine.place.no_proc = Some(Errno::NOENT);
        });
        let (output, _) = timed(&sim, "halt");
        assert_eq!(ending(&sim), (!contained).then_some(Ending::Kernel(Mode::Halt)));
        assert_eq!(output.contains("in a container"), contained, "{output}");
        assert_eq!(output.contains("init: not known to be the machine's"), contained && !alone);
    }
}

/// What is mounted in the agent's own namespace, or shared with it by chance, is not unmounted.
#[test]
fn mounts_are_those_of_process_1() {
    let left = |own_mounts| {
        let sim = disks(2);
        sim.with(|world| world.machine.place.own_mounts = own_mounts);
        assert_eq!(timed(&sim, "reboot").0, "");
        assert_eq!(ending(&sim), Some(Ending::Kernel(Mode::Reboot)));
        sim.with(|world| {
            assert!(world.machine.syncs > 0);
            world.mounts.list.iter().filter(|mount| mount.device.major() != 0).count()
        })
    };
    assert_eq!((left(true), left(false)), (2, 0));
}

/// Those who were told to end tell the agent, too. It would leave the machine half dead.
#[test]
fn an_agent_that_ends_the_machine_does_not_stop() {
    let sim = Sim::new(1);
    sim.with(|world| world.machine.processes.push(Process::ending(None)));
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(session.put(POWERDOWN), POWERDOWN.len());
    while session.step() != Step::Wait {}
    session.stop();
    assert!(!session.agent().is_stopping());
    assert_eq!(session.send(b""), b"");
    assert_eq!(ending(&sim), Some(Ending::Kernel(Mode::Powerdown)));
}

/// While init is at it the agent stops when it is told to, as ever, and also after a shutdown that
/// failed.
#[test]
fn an_agent_stops_beside_an_init_that_goes_down() {
    let sim = Sim::new(1);
    sim.with(|world| {
        world.machine.init = Some(Init::new("/bin/busybox", &[], &[]));
        world.machine.kernel_error = Some(Errno::INVAL);
    });
    let mut session = Large::start(&sim).expect("a start");
    assert_eq!(session.put(POWERDOWN), POWERDOWN.len());
    while session.step() != Step::Wait {}
    session.stop();
    assert!(session.agent().is_stopping());
    let mut session = Large::start(&sim).expect("a start");
    assert!(!session.send(POWERDOWN).is_empty());
    let held = |world: &mut World| world.machine.init.as_ref().expect("an init").is_held;
    assert!(!sim.with(held), "process 1 stays stopped");
    session.stop();
    assert!(session.agent().is_stopping());
}

#[test]
fn the_kernel_is_asked_last() {
    for (name, mode) in modes() {
        let sim = disks(2);
        failing_programs(&sim);
        sim.with(|world| {
            let mut init = Init::new("/lib/systemd/systemd", &[], &[38]);
            init.error = Some(Errno::PERM);
            world.machine.init = Some(init);
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
        world.machine.init = None;
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
        let mut init = Init::new("/bin/busybox", &[], &[12]);
        init.error = Some(Errno::PERM);
        world.machine.init = Some(init);
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
    let parts = ["/sbin/halt: No such file", "/sbin/shutdown: No such file", "init: has no known"];
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
