//! What only a tracer sees: the two programs go in, the rows for system calls a ping, mmap and brk
//! after the start, and instructions a ping come out.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Bench;
use super::agent::{Agent, Program};
use super::client::{Client, PING, read_request, write_request};
use super::table::{Better, Goal, Row};
use crate::progress::until;
use crate::{ElseSay, Result, paths};

const TRACED_PINGS: u64 = 1_000;
const COUNTED_PINGS: u64 = 400;
const ATTACH_MS_MAX: u64 = 10_000;
const SETTLE_MS: u64 = 100;

/// System calls a ping, and calls that take memory after the start.
pub fn system_calls(bench: &Bench) -> Result<Vec<Row>> {
    let mut calls = [0.0; 2];
    let mut maps = [0.0; 2];
    for (place, program) in bench.programs.iter().enumerate() {
        bench.progress(&format!("system calls of {}", program.name));
        (calls[place], maps[place]) = traced(bench, program)?;
    }
    Ok(vec![
        Row::less("syscalls-ping", "system calls a ping", calls)
            .decimals(1)
            .promised(Goal::AtMost(3.0)),
        Row::less("maps-after-start", "mmap and brk calls after the start", maps)
            .promised(Goal::AtMost(0.0)),
    ])
}

/// Attaches strace to an agent that has answered its first ping, and counts.
fn traced(bench: &Bench, program: &Program) -> Result<(f64, f64)> {
    let mut agent = Agent::start(program, &bench.folder("agent"))?;
    let mut client = agent.connect()?;
    client.ask(PING)?;
    let log = bench.folder("strace.log");
    let tracer = Tracer::attach(agent.process(), &log, &bench.folder("strace.said"))?;
    client.pings(10)?;
    let before = ended_calls(&log)?.len();
    client.pings(TRACED_PINGS)?;
    let after = ended_calls(&log)?.len();
    workload(bench, &mut client)?;
    let calls = ended_calls(&log)?;
    drop(tracer);
    let maps = calls.iter().filter(|name| matches!(name.as_str(), "mmap" | "brk" | "mremap"));
    Ok(((after - before) as f64 / TRACED_PINGS as f64, maps.count() as f64))
}

/// Everything that could make an agent want memory: a long read, a large request, files.
fn workload(bench: &Bench, client: &mut Client) -> Result<()> {
    let handle = client.open(&bench.data, "r")?;
    client.ask(&read_request(handle, 40 << 20))?;
    client.rewind(handle)?;
    client.close(handle)?;
    let handle = client.open(&bench.folder("written"), "r+")?;
    client.ask(&write_request(handle, (4 << 20) - 1024))?;
    client.close(handle)?;
    client.ask(b"{\"execute\":\"guest-info\"}\n")?;
    client.pings(10)
}

/// The names of the calls that have returned, as strace wrote them down so far.
fn ended_calls(log: &Path) -> Result<Vec<String>> {
    // The agent has answered, but its way back into its wait is still being traced.
    sleep(Duration::from_millis(SETTLE_MS));
    Ok(call_names(&paths::text(log)?))
}

/// The calls of a log that have returned.
fn call_names(text: &str) -> Vec<String> {
    // `PID name(...) = result`, or `PID <... name resumed>...` for one that was interrupted.
    let name = |line: &str| {
        let rest = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
        let rest = rest.strip_prefix("<... ").unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        (line.contains(" = ") && end > 0).then(|| rest[..end].to_owned())
    };
    text.lines().filter_map(name).collect()
}

/// A running strace; detached when dropped.
struct Tracer(Child);

impl Tracer {
    fn attach(process: u32, log: &Path, said: &Path) -> Result<Tracer> {
        let words = fs::File::create(said).else_say_of("cannot make", said)?;
        let child = Command::new("strace")
            .args(["-f", "-s", "8", "-o"])
            .arg(log)
            .args(["-p", &process.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words)
            .spawn()
            .else_say("cannot run strace")?;
        let tracer = Tracer(child);
        let said = || fs::read_to_string(said).unwrap_or_default();
        let patience = Duration::from_millis(ATTACH_MS_MAX);
        until(patience, Duration::from_millis(5), || said().contains("attached").then_some(()))
            .ok_or_else(|| format!("strace does not attach to {process}: {}", said().trim()))?;
        Ok(tracer)
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Our own child, not yet waited for. SIGTERM makes strace let its process go on.
        let _ = kill(Pid::from_raw(self.0.id() as i32), Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// Instructions a ping: the difference of two runs that differ only in their number of pings.
pub fn instructions(bench: &Bench) -> Row {
    let row = Row::new("instructions-ping", "instructions a ping (callgrind)", Better::Less);
    let mut count = [0.0; 2];
    for (place, program) in bench.programs.iter().enumerate() {
        bench.progress(&format!("instructions of {}", program.name));
        let twice = counted(bench, program, 2 * COUNTED_PINGS);
        match twice.and_then(|twice| Ok((twice, counted(bench, program, COUNTED_PINGS)?))) {
            Ok((twice, once)) => count[place] = (twice - once) as f64 / COUNTED_PINGS as f64,
            Err(why) => return row.note(Some(format!("not measured: {why}"))),
        }
    }
    row.numbers(count).aim(Goal::AtMost(4_000.0))
}

/// All instructions of an agent that answers `pings` pings and ends.
fn counted(bench: &Bench, program: &Program, pings: u64) -> Result<u64> {
    let out = bench.folder("callgrind.out");
    let _ = fs::remove_file(&out);
    let tool = ["valgrind", "--tool=callgrind", "-q"].map(str::to_owned);
    let tool = [&tool[..], &[format!("--callgrind-out-file={}", out.display())]].concat();
    let mut agent = Agent::start_under(&tool, program, &bench.folder("agent"))?;
    let mut client = agent.connect()?;
    client.pings(pings)?;
    drop(client);
    // The reference has been seen to ignore a SIGTERM that comes right after a hang-up.
    sleep(Duration::from_millis(3 * SETTLE_MS));
    if !agent.stop() {
        return Err(format!("{} does not end under valgrind", agent.name()));
    }
    paths::text(&out)?
        .lines()
        .find_map(|line| {
            let rest = line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:"))?;
            rest.trim().parse().ok()
        })
        .ok_or_else(|| "no total in what valgrind wrote".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_returned_calls_are_counted() {
        let log = "12  read(4, \"{\\\"exe\"..., 4096) = 24\n\
                   12  write(4, \"= \"..., 15)           = 15\n\
                   12  ppoll([{fd=3}], 2, NULL, NULL, 8 <unfinished ...>\n\
                   13  --- SIGCHLD {si_signo=SIGCHLD} ---\n\
                   12  <... ppoll resumed>) = 1 ([{fd=4}])\n\
                   12  ppoll([{fd=3}], 2, NULL, NULL, 8";
        assert_eq!(call_names(log), ["read", "write", "ppoll"]);
    }
}
