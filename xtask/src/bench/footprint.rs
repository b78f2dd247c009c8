//! What an agent takes: the two programs go in, the rows for file size, memory and idle wake-ups
//! come out.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::agent::{Agent, Program};
use super::client::{PING, read_request, write_request};
use super::table::{Goal, Row, median};
use super::{Bench, process};
use crate::vm::reference;
use crate::{Result, command, paths};

/// Until memory that an agent gives back after a reply has been given back.
const SETTLE_MS: u64 = 60;
const PEAK_READ_BYTES: u64 = 40 << 20;
/// A frame of just under our limit of 4 MiB.
const LARGE_REQUEST_BYTES: usize = (4 << 20) - 1024;
const IDLE_S: u64 = 10;

/// File sizes, with the libraries that the dynamic loader adds, and their cost in an initramfs.
pub fn files(bench: &Bench) -> Result<Vec<Row>> {
    let mut own = [0.0; 2];
    let mut all = [0.0; 2];
    let mut packed = [0.0; 2];
    for (place, program) in bench.programs.iter().enumerate() {
        let mut parts = vec![program.path.clone()];
        parts.extend(libraries(&program.path)?);
        let sizes = parts.iter().map(|part| Ok(paths::bytes(part)? as f64));
        let sizes = sizes.collect::<Result<Vec<f64>>>()?;
        (own[place], all[place]) = (sizes[0], sizes.iter().sum());
        packed[place] = packed_bytes(bench, &parts)? as f64;
    }
    Ok(vec![
        Row::less("file-bytes", "the file, bytes", own)
            .aim(Goal::AtMost(crate::size::families::WHOLE.bytes_asked as f64)),
        Row::less("loaded-bytes", "the file and its shared libraries, bytes", all),
        Row::less("initramfs-bytes", "both in a gzip initramfs, bytes", packed)
            .aim(Goal::AtMost(60_000.0)),
    ])
}

/// The shared libraries of a program, the loader included; none for a static one.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    match reference::libraries(Command::new("ldd").arg(program)) {
        Err(error) if error.contains("not a dynamic executable") => Ok(Vec::new()),
        libraries => libraries,
    }
}

/// What the files take in an archive packed with `gzip -9`.
fn packed_bytes(bench: &Bench, parts: &[PathBuf]) -> Result<usize> {
    let all = bench.folder("files");
    let bytes = parts.iter().map(|part| paths::read(part)).collect::<Result<Vec<_>>>()?;
    paths::write(&all, bytes.concat())?;
    let packed = command::output(Command::new("gzip").args(["-9", "-n", "-c"]).arg(&all))?;
    Ok(packed.stdout.len())
}

/// Memory when idle, at its peak and after a large request.
pub fn memory(bench: &Bench) -> Result<Vec<Row>> {
    let mut samples: [Vec<Sample>; 2] = [Vec::new(), Vec::new()];
    for round in 0..bench.rounds.min(3) {
        bench.progress(&format!("memory, round {}", round + 1));
        for (place, program) in bench.programs.iter().enumerate() {
            samples[place].push(sample(bench, program)?);
        }
    }
    let pick = |take: fn(&Sample) -> u64| {
        let one = |place: usize| median(samples[place].iter().map(|s| take(s) as f64).collect());
        [one(0), one(1)]
    };
    let idle = pick(|sample| sample.idle.resident_kb);
    let dirty = pick(|sample| sample.idle.private_dirty_kb);
    let peak = pick(|sample| sample.peak_kb);
    let after = pick(|sample| sample.after_kb);
    Ok(vec![
        Row::less("idle-rss-kb", "memory when idle (RSS), kB", idle).promised(Goal::AtMost(96.0)),
        Row::less("idle-private-dirty-kb", "of which private and dirty, kB", dirty)
            .promised(Goal::AtMost(32.0)),
        Row::less("peak-rss-kb", "memory peak in a 40 MiB guest-file-read, kB", peak)
            .promised(Goal::AtMost(256.0)),
        Row::less("rss-after-large-kb", "memory after a 4 MiB request, kB", after)
            .promised(Goal::AtMostAboveIdle(48.0, idle[0])),
    ])
}

struct Sample {
    idle: process::Memory,
    after_kb: u64,
    peak_kb: u64,
}

fn sample(bench: &Bench, program: &Program) -> Result<Sample> {
    let (idle, after_kb) = {
        let mut agent = Agent::start(program, &bench.folder("agent"))?;
        let mut client = agent.connect()?;
        client.ask(PING)?;
        sleep(Duration::from_millis(SETTLE_MS));
        let idle = process::memory(agent.process())?;
        let handle = client.open(&bench.folder("written"), "w")?;
        let overhead = write_request(handle, 0).len();
        client.ask(&write_request(handle, LARGE_REQUEST_BYTES - overhead))?;
        client.close(handle)?;
        sleep(Duration::from_millis(SETTLE_MS));
        (idle, process::memory(agent.process())?.resident_kb)
    };
    let mut agent = Agent::start(program, &bench.folder("agent"))?;
    let process = agent.process();
    let mut client = agent.connect()?;
    let handle = client.open(&bench.data, "r")?;
    let mut peak_kb = 0;
    let mut next_look = 0;
    let reply = client.ask_watching(&read_request(handle, PEAK_READ_BYTES), &mut |so_far| {
        // A look every 8 MiB; meanwhile the agent waits for room in the socket, in mid-work.
        if so_far >= next_look {
            next_look = so_far + (8 << 20);
            peak_kb = peak_kb.max(process::memory(process)?.resident_kb);
        }
        Ok(())
    })?;
    if reply.integer("count") != Some(PEAK_READ_BYTES) {
        return Err(format!("{} did not read 40 MiB at once", program.name));
    }
    let peak_kb = peak_kb.max(process::memory(process)?.resident_kb);
    Ok(Sample { idle, after_kb, peak_kb: peak_kb.max(process::peak_kb(process)?) })
}

/// How often an agent with a silent client wakes up.
pub fn wake_ups(bench: &Bench) -> Result<Row> {
    bench.progress(&format!("idle wake-ups, {IDLE_S} s"));
    let mut agents = Vec::new();
    for (place, program) in bench.programs.iter().enumerate() {
        let mut agent = Agent::start(program, &bench.folder(&format!("idle-{place}")))?;
        let mut client = agent.connect()?;
        client.ask(PING)?;
        agents.push((agent, client));
    }
    sleep(Duration::from_millis(SETTLE_MS));
    let count = |agents: &[(Agent, _)]| -> Result<Vec<u64>> {
        agents.iter().map(|(agent, _)| process::sleeps(agent.process())).collect()
    };
    let before = count(&agents)?;
    sleep(Duration::from_secs(IDLE_S));
    let after = count(&agents)?;
    Ok(Row::less(
        "idle-wake-ups",
        "idle wake-ups in 10 s",
        [0, 1].map(|at| (after[at] - before[at]) as f64),
    )
    .aim(Goal::AtMost(0.0)))
}
