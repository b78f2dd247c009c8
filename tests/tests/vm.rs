//! The agent in real virtual machines: as process 1 on virtio-serial and isa-serial, freezing a
//! real disk under a writer, losing its port and getting it back, sleeping when there is nothing to
//! do, ending the machine.

use qga_tests::machine::machine;
use std::time::{Duration, Instant};
use xtask::vm::{AGENT_PORT, Channel, RunAs, Vm};

const PING: &str = r#"{"execute":"guest-ping"}"#;
const PONG: &str = r#"{"return": {}}"#;
const PATIENCE: Duration = Duration::from_secs(120);
/// Time for the guest to notice what its other side did; it runs under emulation.
const NOTICE: Duration = Duration::from_millis(700);

/// A writer on the disk that counts what it wrote in memory.
const WRITER: &str = "echo 0 >/run/count
(i=0; while :; do i=$((i+1)); echo $i >/data/f; echo $i >/run/next; mv -f /run/next /run/count; done) &
echo $! >/run/writer";

fn command(name: &str, arguments: &str) -> String {
    format!(r#"{{"execute":"guest-{name}","arguments":{{{arguments}}}}}"#)
}

fn shutdown(mode: &str) -> String {
    command("shutdown", &format!(r#""mode":"{mode}""#))
}

fn number(vm: &mut Vm, shell: &str) -> u64 {
    let text = vm.shell(shell).unwrap();
    text.trim().parse().unwrap_or_else(|_| panic!("{shell}: {text}"))
}

/// How often process 1 was scheduled in.
fn switches(vm: &mut Vm) -> u64 {
    number(vm, "awk '/ctxt_switches/ {sum += $2} END {print sum}' /proc/1/status")
}

/// Asserts that process 1 sleeps through some seconds.
fn sleeps(vm: &mut Vm, when: &str) {
    std::thread::sleep(NOTICE);
    let before = switches(vm);
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(switches(vm) - before, 0, "wake-ups in 4 s, {when}");
}

fn advances(vm: &mut Vm) -> bool {
    let before = number(vm, "cat /run/count");
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if number(vm, "cat /run/count") > before + 1 {
            return true;
        }
    }
    false
}

#[test]
fn agent_is_the_only_userland() {
    let Some(builder) = machine("vm::agent_is_the_only_userland") else { return };
    let mut vm = builder.boot().unwrap();
    let mut agent = vm.agent().unwrap();
    assert_eq!(agent.request(PING).unwrap(), PONG);
    let info = agent.request(r#"{"execute":"guest-info"}"#).unwrap();
    assert!(
        info.contains(concat!(r#""version": ""#, qga_core::schema_version!(), r#"""#)),
        "{info}"
    );
    let open = command("file-open", r#""path":"/data/f","mode":"w+""#);
    assert_eq!(agent.request(&open).unwrap(), r#"{"return": 1000}"#);
    let write = command("file-write", r#""handle":1000,"buf-b64":"aGVsbG8=""#);
    assert_eq!(agent.request(&write).unwrap(), r#"{"return": {"count": 5, "eof": false}}"#);
    let (freeze, thaw) =
        (r#"{"execute":"guest-fsfreeze-freeze"}"#, r#"{"execute":"guest-fsfreeze-thaw"}"#);
    assert_eq!(agent.request(freeze).unwrap(), r#"{"return": 1}"#);
    assert_eq!(agent.request(thaw).unwrap(), r#"{"return": 1}"#);
    assert_eq!(agent.request(&command("file-close", r#""handle":1000"#)).unwrap(), PONG);
    agent.send(shutdown("powerdown").as_bytes()).unwrap();
    assert_eq!(vm.wait_shutdown(PATIENCE).unwrap(), "guest-shutdown");
}

#[test]
fn shutdown_reboot() {
    let Some(builder) = machine("vm::shutdown_reboot") else { return };
    let mut vm = builder.reboots().boot().unwrap();
    let mut agent = vm.agent().unwrap();
    agent.send(shutdown("reboot").as_bytes()).unwrap();
    vm.qmp().wait_event(&["RESET"], PATIENCE).unwrap();
    drop(agent);
    let mut agent = vm.agent().unwrap();
    assert_eq!(agent.request(PING).unwrap(), PONG, "the guest came up again");
}

#[test]
fn shutdown_halt() {
    let Some(builder) = machine("vm::shutdown_halt") else { return };
    let mut vm = builder.boot().unwrap();
    let mut agent = vm.agent().unwrap();
    agent.send(shutdown("halt").as_bytes()).unwrap();
    vm.wait_console("System halted", PATIENCE).unwrap();
    assert!(!vm.console().contains("Kernel panic"), "{}", vm.console());
    // Halted is not off: the machine is still there.
    assert!(vm.qmp().wait_event(&["SHUTDOWN"], Duration::from_secs(1)).is_err());
}

#[test]
fn freeze_under_a_writer() {
    let Some(builder) = machine("vm::freeze_under_a_writer") else { return };
    let mut vm = builder.with_shell().script(WRITER).boot().unwrap();
    let mut agent = vm.agent().unwrap();
    let mut ask = |name: &str| agent.request(&command(name, "")).unwrap();
    for _ in 0..3 {
        assert!(advances(&mut vm), "the writer does not write");
        assert_eq!(ask("fsfreeze-freeze"), r#"{"return": 1}"#);
        assert_eq!(ask("fsfreeze-status"), r#"{"return": "frozen"}"#);
        std::thread::sleep(NOTICE);
        let state = vm.shell("cut -d' ' -f3 /proc/$(cat /run/writer)/stat").unwrap();
        assert_eq!(state, "D\n", "the writer is blocked");
        let before = number(&mut vm, "cat /run/count");
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(number(&mut vm, "cat /run/count"), before, "a write got through");
        assert_eq!(ask("ping"), PONG);
        assert_eq!(ask("fsfreeze-thaw"), r#"{"return": 1}"#);
        assert!(advances(&mut vm), "the writer is stuck after the thaw");
    }
    assert_eq!(ask("fsfreeze-thaw"), r#"{"return": 0}"#);
}

#[test]
fn killed_while_frozen_and_started_anew() {
    let Some(builder) = machine("vm::killed_while_frozen_and_started_anew") else { return };
    let builder = builder.run_as(RunAs::Respawned).with_shell().script(WRITER);
    let mut vm = builder.boot().unwrap();
    let mut agent = vm.agent().unwrap();
    assert!(advances(&mut vm));
    let freeze = r#"{"execute":"guest-fsfreeze-freeze"}"#;
    assert_eq!(agent.request(freeze).unwrap(), r#"{"return": 1}"#);
    drop(agent);
    vm.shell("kill -9 $(cat /run/agent-pid)").unwrap();
    let mut agent = vm.agent().unwrap();
    let status = r#"{"execute":"guest-fsfreeze-status"}"#;
    assert_eq!(agent.request(status).unwrap(), r#"{"return": "frozen"}"#);
    let thaw = r#"{"execute":"guest-fsfreeze-thaw"}"#;
    assert_eq!(agent.request(thaw).unwrap(), r#"{"return": 1}"#);
    assert!(advances(&mut vm), "the writer is stuck after the thaw");
}

/// Whether the disk is frozen: a writer that is started now does not come back. It notes when it
/// does.
fn is_frozen(vm: &mut Vm) -> bool {
    let probe = "rm -f /run/probed; (echo x >/data/probe; : >/run/probed) & \
        n=0; until [ -e /run/probed ] || [ $n = 10 ]; do usleep 100000; n=$((n+1)); done; \
        [ -e /run/probed ]; echo $?";
    number(vm, probe) != 0
}

/// Without rights for loop devices this holds what fire/freeze.rs holds at each system call: killed
/// at some time between the request to freeze and the thaw's answer, the next agent says what is
/// true, and thaws.
#[test]
fn killed_at_any_time_around_freeze() {
    /// So many kills, ever farther from each other: the last comes long after a freeze, however
    /// slow the emulation is.
    const KILLS: u32 = 24;
    const STEP_US: u32 = 1500;
    let Some(builder) = machine("vm::killed_at_any_time_around_freeze") else { return };
    let mut vm = builder.run_as(RunAs::Respawned).with_shell().boot().unwrap();
    let mut found = [0, 0];
    for kill in 0..KILLS {
        let mut agent = vm.agent().unwrap();
        let pid = vm.shell("cat /run/agent-pid").unwrap();
        let (us, pid) = (kill * kill * STEP_US, pid.trim());
        vm.shell(&format!("(usleep {us}; kill -9 {pid}) & :")).unwrap();
        // Every other time the client does not come to thaw.
        for name in ["fsfreeze-freeze", "fsfreeze-thaw"].iter().take(1 + (kill % 2) as usize) {
            agent.send(format!("{}\n", command(name, "")).as_bytes()).unwrap();
        }
        vm.shell(&format!("while [ -e /proc/{pid}/exe ]; do usleep 10000; done")).unwrap();
        drop(agent);
        let mut agent = vm.agent().unwrap();
        // What was left is taken over beside everything else: this takes its time.
        let frozen = is_frozen(&mut vm);
        let status = agent.request(&command("fsfreeze-status", "")).unwrap();
        let expected = if frozen { "frozen" } else { "thawed" };
        assert_eq!(status, format!(r#"{{"return": "{expected}"}}"#), "killed after {us} us");
        found[usize::from(frozen)] += 1;
        let thawed = agent.request(&command("fsfreeze-thaw", "")).unwrap();
        assert_eq!(thawed, format!(r#"{{"return": {}}}"#, i32::from(frozen)), "after {us} us");
        let running = "n=0; until [ -e /run/probed ] || [ $n = 100 ]; do usleep 100000; \
            n=$((n+1)); done; [ -e /run/probed ]; echo $?";
        assert_eq!(number(&mut vm, running), 0, "killed after {us} us: a writer is stuck");
    }
    println!("{KILLS} kills: {} found thawed, {} frozen", found[0], found[1]);
    assert!(found[0] > 0 && found[1] > 0, "thawed, frozen: {found:?}");
}

/// Waits until the guest's kernel has heard that the hypervisor's side of the agent's port is
/// closed.
fn wait_until_closed(vm: &mut Vm) {
    let state = format!(
        "grep -l '^name: {AGENT_PORT}' /sys/kernel/debug/virtio-ports/* | xargs grep host_connected"
    );
    let deadline = Instant::now() + PATIENCE;
    while vm.shell(&state).unwrap().trim() != "host_connected: 0" {
        assert!(Instant::now() < deadline, "the guest does not hear of the closed port");
    }
}

#[test]
fn the_port_reconnects() {
    let Some(builder) = machine("vm::the_port_reconnects") else { return };
    let debugfs = "mount -t debugfs none /sys/kernel/debug";
    let mut vm = builder.with_shell().script(debugfs).boot().unwrap();
    drop(vm.agent().unwrap());
    // As libvirt does it: no 0xFF, the clock's milliseconds, a newline.
    let sync = |id: u64| format!("{{\"execute\":\"guest-sync\", \"arguments\":{{\"id\":{id}}}}}");
    let halves: [&[u8]; 5] =
        [b"{\"execute\":\"guest-", b"{\"execute\"", b"[[[", b"nul", b"@@@ garbage without an end"];
    for (round, half) in halves.iter().enumerate() {
        let mut stale = vm.port(AGENT_PORT).unwrap();
        stale.send(half).unwrap();
        std::thread::sleep(NOTICE);
        drop(stale);
        wait_until_closed(&mut vm);
        std::thread::sleep(NOTICE);
        let mut agent = vm.port(AGENT_PORT).unwrap();
        let id = 1_795_361_773_520 + round as u64;
        agent.set_timeout(PATIENCE);
        let reply = agent.request(&sync(id)).unwrap();
        assert_eq!(
            reply,
            format!(r#"{{"return": {id}}}"#),
            "after a stale {}",
            half.escape_ascii()
        );
        assert_eq!(agent.request(PING).unwrap(), PONG);
    }
    // Handles survive; a reply that nobody took does not confuse the next client for good.
    let mut agent = vm.agent().unwrap();
    let open = command("file-open", r#""path":"/dev/zero""#);
    assert_eq!(agent.request(&open).unwrap(), r#"{"return": 1000}"#);
    let read = command("file-read", r#""handle":1000,"count":8000000"#);
    agent.send(read.as_bytes()).unwrap();
    std::thread::sleep(NOTICE);
    drop(agent);
    let mut agent = vm.agent().unwrap();
    assert_eq!(agent.request(PING).unwrap(), PONG);
    assert_eq!(agent.request(&command("file-close", r#""handle":1000"#)).unwrap(), PONG);
}

#[test]
fn process_1_sleeps_reaps_and_stays() {
    let Some(builder) = machine("vm::process_1_sleeps_reaps_and_stays") else { return };
    let mut vm = builder.with_shell().boot().unwrap();
    let mut agent = vm.agent().unwrap();
    assert_eq!(agent.request(PING).unwrap(), PONG);
    sleeps(&mut vm, "with the hypervisor's side attached");
    drop(agent);
    sleeps(&mut vm, "with the hypervisor's side detached");
    vm.shell("for i in 1 2 3 4 5; do (sleep 0.1 &); done; kill -TERM 1; kill -INT 1; sleep 0.5")
        .unwrap();
    let zombies = number(&mut vm, "cat /proc/[0-9]*/stat | grep -c ') Z ' || true");
    assert_eq!(zombies, 0, "orphans are not reaped");
    let mut agent = vm.agent().unwrap();
    assert_eq!(agent.request(PING).unwrap(), PONG);
    sleeps(&mut vm, "after orphans and signals");
    let rss_kb = number(&mut vm, "awk '/^Rss:/ {print $2}' /proc/1/smaps_rollup");
    assert!(rss_kb <= 256, "{rss_kb} kB resident");
}

#[test]
fn a_hypervisor_that_does_not_read() {
    let Some(builder) = machine("vm::a_hypervisor_that_does_not_read") else { return };
    let mut vm = builder.with_shell().boot().unwrap();
    let mut agent = vm.agent().unwrap();
    let open = command("file-open", r#""path":"/dev/zero""#);
    assert_eq!(agent.request(&open).unwrap(), r#"{"return": 1000}"#);
    let count = 40 << 20;
    let read = command("file-read", &format!(r#""handle":1000,"count":{count}"#));
    agent.send(read.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    sleeps(&mut vm, "while the hypervisor does not read");
    let rss_kb = number(&mut vm, "awk '/^Rss:/ {print $2}' /proc/1/smaps_rollup");
    assert!(rss_kb <= 256, "{rss_kb} kB resident in the middle of a reply of {count} bytes");
    agent.set_timeout(PATIENCE);
    let reply = agent.receive_line().unwrap();
    let start = br#"{"return": {"buf-b64": ""#;
    let end = format!("\", \"count\": {count}, \"eof\": false}}}}").into_bytes();
    assert!(reply.starts_with(start) && reply.ends_with(&end), "{} bytes", reply.len());
    let zeros = &reply[start.len()..reply.len() - end.len()];
    assert!(zeros.iter().all(|byte| b"A=".contains(byte)), "the data is not the file's");
    assert_eq!(agent.request(PING).unwrap(), PONG);
}

/// Sends a file of some size and looks at it in the guest, and reads it back.
fn transfer(vm: &mut Vm, agent: &mut Channel, quads: usize) {
    let text = "q83v".repeat(quads);
    let open = command("file-open", r#""path":"/tmp/t","mode":"w+""#);
    let reply = agent.request(&open).unwrap();
    let handle: u32 = reply.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
    let write = command("file-write", &format!(r#""handle":{handle},"buf-b64":"{text}""#));
    let count = quads * 3;
    let expected = format!(r#"{{"return": {{"count": {count}, "eof": false}}}}"#);
    assert_eq!(agent.request(&write).unwrap(), expected);
    let size = number(vm, "wc -c </tmp/t");
    assert_eq!(size, count as u64);
    let whole = number(vm, "od -An -v -tx1 -w3 /tmp/t | grep -c 'ab cd ef'");
    assert_eq!(whole, quads as u64);
    agent
        .request(&command("file-seek", &format!(r#""handle":{handle},"offset":0,"whence":0"#)))
        .unwrap();
    let read = command("file-read", &format!(r#""handle":{handle},"count":{}"#, count + 1));
    let expected =
        format!(r#"{{"return": {{"buf-b64": "{text}", "count": {count}, "eof": true}}}}"#);
    assert!(agent.request(&read).unwrap() == expected, "what is read back is not what was written");
    assert_eq!(
        agent.request(&command("file-close", &format!(r#""handle":{handle}"#))).unwrap(),
        PONG
    );
}

#[test]
fn large_requests_over_virtio_serial() {
    let Some(builder) = machine("vm::large_requests_over_virtio_serial") else { return };
    let mut vm = builder.with_shell().boot().unwrap();
    let mut agent = vm.agent().unwrap();
    agent.set_timeout(PATIENCE);
    transfer(&mut vm, &mut agent, 10);
    transfer(&mut vm, &mut agent, 1_000_000);
}

#[test]
fn isa_serial() {
    let Some(builder) = machine("vm::isa_serial") else { return };
    let mut vm = builder.isa_serial().with_shell().boot().unwrap();
    let mut agent = vm.agent().unwrap();
    agent.set_timeout(PATIENCE);
    assert_eq!(agent.request(PING).unwrap(), PONG);
    transfer(&mut vm, &mut agent, 10_000);
    sleeps(&mut vm, "on an isa serial port");
    agent.send(shutdown("powerdown").as_bytes()).unwrap();
    assert_eq!(vm.wait_shutdown(PATIENCE).unwrap(), "guest-shutdown");
}

#[test]
fn a_port_that_is_plugged_in_later() {
    let Some(builder) = machine("vm::a_port_that_is_plugged_in_later") else { return };
    let builder = builder.without_agent_port().with_shell().arguments(&["-r"]);
    let mut vm = builder.boot().unwrap();
    assert_eq!(vm.shell("cat /proc/1/comm").unwrap(), "qga\n");
    std::thread::sleep(NOTICE);
    let before = switches(&mut vm);
    std::thread::sleep(Duration::from_secs(4));
    let wakeups = switches(&mut vm) - before;
    assert!(wakeups <= 5, "{wakeups} wake-ups in 4 s while waiting for the port");
    for _ in 0..2 {
        vm.plug_port().unwrap();
        let mut agent = vm.agent().unwrap();
        assert_eq!(agent.request(PING).unwrap(), PONG);
        drop(agent);
        vm.unplug_port().unwrap();
        std::thread::sleep(NOTICE);
        assert_eq!(
            vm.shell("cat /proc/1/comm").unwrap(),
            "qga\n",
            "process 1 goes on without a port"
        );
    }
}

/// Proxmox connects anew for each command. A request can be there before the guest's kernel has
/// heard that the port was opened; its reply must come all the same.
#[test]
fn each_command_a_new_connection() {
    let Some(machine) = machine("vm::each_command_a_new_connection") else { return };
    let mut vm = machine.boot().unwrap();
    drop(vm.synced(AGENT_PORT).unwrap());
    for round in 0..200 {
        std::thread::sleep(Duration::from_millis([0, 5, 30, 120][round % 4]));
        let mut agent = vm.port(AGENT_PORT).unwrap();
        agent.set_timeout(Duration::from_secs(10));
        let reply = agent.request(PING);
        assert_eq!(reply.as_deref(), Ok(PONG), "connection {round}");
    }
}

/// As root with every right, which a container's root often is not.
#[test]
fn the_kernel_spares_the_agent_and_not_its_programs() {
    let name = "the_kernel_spares_the_agent_and_not_its_programs";
    let Some(builder) = machine(&format!("vm::{name}")) else { return };
    let program =
        "#!/bin/sh\ncat /proc/self/oom_score_adj >/run/new; mv /run/new /run/badness; sleep 100\n";
    let builder = builder.run_as(RunAs::Child).with_shell();
    let builder = builder.script("echo 123 >/proc/self/oom_score_adj");
    let mut vm = builder.file("/sbin/poweroff", program.as_bytes(), 0o755).boot().unwrap();
    let mut agent = vm.agent().unwrap();
    assert_eq!(agent.request(PING).as_deref(), Ok(PONG));
    let badness = vm.shell("cat /proc/$(cat /run/agent-pid)/oom_score_adj").unwrap();
    assert_eq!(badness.trim(), "-1000");
    agent.send(shutdown("powerdown").as_bytes()).unwrap();
    let wait = "i=0; while [ ! -e /run/badness ] && [ $i -lt 50 ]; do sleep 0.1; i=$((i+1)); done";
    let badness = vm.shell(&format!("{wait}; cat /run/badness")).unwrap();
    assert_eq!(badness.trim(), "123", "the program keeps what is the agent's alone");
}
