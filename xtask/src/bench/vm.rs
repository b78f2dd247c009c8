//! Over virtio-serial: one virtual machine with both agents goes in, the rows for throughput and
//! idle wake-ups come out.
//!
//! Emulated time is slow and uneven: only the two agents beside each other mean something.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use xtask::vm::{AGENT_PORT, RunAs, Vm};
use xtask::{ElseSay, Result};

use super::Bench;
use super::client::{Client, PING, read_request};
use super::table::{Goal, Row, median};

const REFERENCE_PORT: &str = "org.qemu.guest_agent.1";
/// A port that no agent listens on: `dd` shows what the port itself can do.
const LIMIT_PORT: &str = "qga.bench.limit";
const DATA: &str = "/run/data";
const DATA_MIB: u64 = 16;
const COUNT_MIB: u64 = 4;
const ROUNDS_MAX: usize = 7;
const IDLE_S: u64 = 10;
const OPEN_MS: u64 = 500;

/// Boots the machine and measures.
pub fn rows(bench: &Bench) -> Result<Vec<Row>> {
    bench.progress("booting a virtual machine with both agents");
    let mut vm = Vm::builder()
        .binary(&bench.programs[0].path)
        .run_as(RunAs::Child)
        .reference(REFERENCE_PORT)
        .port(LIMIT_PORT)
        .with_shell()
        .memory_mib(512)
        .script(&format!("dd if=/dev/urandom of={DATA} bs=1M count={DATA_MIB} 2>/dev/null"))
        .boot()?;
    let ports = [AGENT_PORT, REFERENCE_PORT];
    for port in ports {
        // The machine's own conversation waits for the boot; it ends here, for ours to begin.
        vm.synced(port)?;
    }
    let clients = ports.map(|port| connect(&vm.port_path(port)));
    let mut clients = clients.into_iter().collect::<Result<Vec<Client>>>()?;
    let mut out = throughput(bench, &mut vm, &mut clients)?;
    let processes = [
        vm.shell("cat /run/agent-pid")?.trim().to_owned(),
        vm.shell("pidof qemu-ga")?.trim().to_owned(),
    ];
    let attached = wake_ups(bench, &mut vm, &processes, "attached")?;
    drop(clients);
    let detached = wake_ups(bench, &mut vm, &processes, "detached")?;
    out.push(
        Row::less("vm-wake-ups-attached", "virtio, idle wake-ups in 10 s, attached", attached)
            .aim(Goal::AtMost(0.0)),
    );
    out.push(
        Row::less("vm-wake-ups-detached", "virtio, idle wake-ups in 10 s, detached", detached)
            .aim(Goal::AtMost(0.0)),
    );
    Ok(out)
}

fn connect(socket: &Path) -> Result<Client> {
    let mut client = Client::connect(socket).else_say_of("cannot connect to", socket)?;
    // The guest is told that somebody has come on another way than the bytes take: let that settle.
    sleep(Duration::from_millis(OPEN_MS));
    client.ask(PING)?;
    Ok(client)
}

fn throughput(bench: &Bench, vm: &mut Vm, clients: &mut [Client]) -> Result<Vec<Row>> {
    let mut speeds = [Vec::new(), Vec::new()];
    let mut limits = Vec::new();
    let rounds = bench.rounds.min(ROUNDS_MAX);
    for round in 0..=rounds {
        bench.progress(&format!("virtio-serial throughput, round {round} of {rounds}"));
        let limit = port_limit(vm)?;
        let mut now = [0.0; 2];
        for (speed, client) in now.iter_mut().zip(clients.iter_mut()) {
            *speed = reading(client)?;
        }
        // The first round warms the emulator's translations up.
        if round > 0 {
            limits.push(limit);
            speeds.iter_mut().zip(now).for_each(|(all, speed)| all.push(speed));
        }
    }
    let [ours, reference] = speeds.map(median);
    // Base64 turns three bytes into four.
    let limit = median(limits) * 3.0 / 4.0;
    let row = Row::more("vm-read-mibps", "virtio, guest-file-read, MiB/s", [ours, reference])
        .promised(Goal::Times(5.0));
    let share = Row::more(
        "vm-read-share",
        "virtio, % of what dd gets out of the port",
        [ours, reference].map(|speed| 100.0 * speed / limit),
    )
    .aim(Goal::AtLeast(90.0));
    Ok(vec![row, share])
}

/// MiB/s of file data out of the guest.
fn reading(client: &mut Client) -> Result<f64> {
    let handle = client.open(Path::new(DATA), "r")?;
    let request = read_request(handle, COUNT_MIB << 20);
    let started = Instant::now();
    for _ in 0..DATA_MIB / COUNT_MIB {
        let reply = client.ask(&request)?;
        if reply.integer("count") != Some(COUNT_MIB << 20) {
            return Err(format!("guest-file-read in the guest did not read {COUNT_MIB} MiB"));
        }
    }
    let took = started.elapsed();
    client.close(handle)?;
    Ok(DATA_MIB as f64 / took.as_secs_f64())
}

/// MiB/s out of the guest when nothing but `dd` writes 32 KiB at a time, the most that the driver
/// takes at once.
fn port_limit(vm: &mut Vm) -> Result<f64> {
    let path = vm.port_path(LIMIT_PORT);
    let mut stream = UnixStream::connect(&path).else_say_of("cannot connect to", &path)?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).else_say("set_read_timeout")?;
    let bytes = DATA_MIB << 20;
    let reader = std::thread::spawn(move || drain(&mut stream, bytes));
    let blocks = bytes / (32 << 10);
    let device = format!("$(for p in /sys/class/virtio-ports/*; do {}; done)", {
        format!("grep -qx {LIMIT_PORT} $p/name && echo /dev/${{p##*/}}")
    });
    vm.shell(&format!("dd if=/dev/zero of={device} bs=32k count={blocks} 2>/dev/null"))?;
    let took = reader
        .join()
        .map_err(|_| "the thread that reads from the port failed".to_owned())?
        .else_say(path.display())?;
    Ok(DATA_MIB as f64 / took.as_secs_f64())
}

/// Reads that many bytes; the time from the first to the last of them.
fn drain(stream: &mut UnixStream, bytes: u64) -> std::io::Result<Duration> {
    let mut room = vec![0; 1 << 20];
    let mut done = stream.read(&mut room)? as u64;
    let started = Instant::now();
    while done < bytes {
        match stream.read(&mut room)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => done += count as u64,
        }
    }
    Ok(started.elapsed())
}

/// How often each process woke up, all its threads counted, while nobody talked to it.
fn wake_ups(bench: &Bench, vm: &mut Vm, processes: &[String; 2], state: &str) -> Result<[f64; 2]> {
    bench.progress(&format!("virtio-serial idle wake-ups, {state}, {IDLE_S} s"));
    sleep(Duration::from_secs(1));
    let before = [sleeps(vm, &processes[0])?, sleeps(vm, &processes[1])?];
    sleep(Duration::from_secs(IDLE_S));
    let after = [sleeps(vm, &processes[0])?, sleeps(vm, &processes[1])?];
    Ok([(after[0] - before[0]) as f64, (after[1] - before[1]) as f64])
}

fn sleeps(vm: &mut Vm, process: &str) -> Result<u64> {
    let text = vm.shell(&format!("cat /proc/{process}/task/*/status"))?;
    let counts: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse().ok())
        .collect();
    match counts.is_empty() {
        true => Err(format!("process {process} in the guest has no wake-up count")),
        false => Ok(counts.iter().sum()),
    }
}
