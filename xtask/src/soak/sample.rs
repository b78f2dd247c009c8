//! What the guest's own kernel says of the agent at a quiet point: the load in, a [`Sample`] out.
//! Asked through a shell on a port of its own, which the agent does not see.

use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use xtask::Result;
use xtask::bench::process::field;
use xtask::vm::Vm;

use super::DATA;
use super::load::Load;

/// Between the last reply, or a hang-up, and a look at it.
const SETTLE: Duration = Duration::from_millis(300);
/// How long nobody talks to the agent, to see whether it wakes up.
const IDLE: Duration = Duration::from_secs(1);
/// The requests whose cost is measured, always the same.
const PINGS: u32 = 200;
const READS: u32 = 20;
const READ_BYTES: u32 = 64 << 10;
/// What a kernel prints when something is wrong with it.
const COMPLAINTS: [&str; 5] = ["Kernel panic", "BUG:", "Oops", "WARNING:", "blocked for more than"];

/// One quiet point.
#[derive(Clone)]
pub struct Sample {
    pub at: Duration,
    /// Requests answered since the start.
    pub requests: u64,
    pub connections: u64,
    /// What each open descriptor leads to.
    pub descriptors: Vec<String>,
    pub resident_kb: u64,
    pub anonymous_kb: u64,
    pub dirty_kb: u64,
    /// CPU time of a request among those measured.
    pub request_us: f64,
    /// While nobody talked to the agent.
    pub wake_ups: u64,
    pub handle: u64,
}

impl Sample {
    /// When it was, as minutes and seconds.
    pub fn clock(&self) -> String {
        let seconds = self.at.as_secs();
        format!("{}:{:02}", seconds / 60, seconds % 60)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} requests, {} fds, {} kB, {:.1} us a request, handle {}",
            self.requests,
            self.descriptors.len(),
            self.resident_kb,
            self.request_us,
            self.handle
        )
    }
}

/// Looks at the one agent of a machine.
pub struct Eye {
    process: String,
}

impl Eye {
    pub fn new(vm: &mut Vm) -> Result<Eye> {
        let process = vm.shell("cat /run/agent-pid")?.trim().to_owned();
        Ok(Eye { process })
    }

    /// A sample of a quiet load; `detached` says whether the agent is idle without a client.
    pub fn sample(&self, load: &mut Load, at: Duration, detached: bool) -> Result<Sample> {
        sleep(SETTLE);
        let links = self.ask(&mut load.vm, "for f in fd/*; do readlink $f; done")?;
        let mut descriptors: Vec<String> = links.lines().map(str::to_owned).collect();
        // A port that was plugged in again has another number.
        descriptors.sort();
        let memory = self.ask(&mut load.vm, "cat smaps_rollup")?;
        let kilobytes = |name: &str| field(&memory, name);
        if detached {
            load.client.hang_up();
            sleep(SETTLE);
        }
        let before = self.switches(&mut load.vm)?;
        sleep(IDLE);
        let wake_ups = self.switches(&mut load.vm)? - before;
        let request_us = self.cost(load)?;
        Ok(Sample {
            at,
            requests: load.client.answered,
            connections: load.client.connections,
            descriptors,
            resident_kb: kilobytes("Rss:")?,
            anonymous_kb: kilobytes("Anonymous:")?,
            dirty_kb: kilobytes("Private_Dirty:")?,
            request_us,
            wake_ups,
            handle: load.client.handle,
        })
    }

    /// The last look: the agent is the one that was there at first, and the kernel had nothing to
    /// say.
    pub fn end(&self, vm: &mut Vm) -> Result<()> {
        let name = self.ask(vm, "cat comm")?;
        let log = vm.shell("dmesg")?;
        let complaint = log.lines().find(|line| COMPLAINTS.iter().any(|c| line.contains(c)));
        match complaint {
            Some(line) => Err(format!("the guest's kernel complains: {line}")),
            None if name.trim() == "qga" => Ok(()),
            None => Err(format!("process {} is now {name}", self.process)),
        }
    }

    /// What the same requests cost the agent, in microseconds of CPU time each.
    fn cost(&self, load: &mut Load) -> Result<f64> {
        let client = &mut load.client;
        let handle = client.open(DATA, "r")?;
        let before = self.number(&mut load.vm, "cut -d' ' -f1 schedstat")?;
        for _ in 0..PINGS {
            client.returns("ping", Value::Null, json!({}))?;
        }
        for _ in 0..READS {
            let read = client.value("file-read", json!({"handle": handle, "count": READ_BYTES}))?;
            if read["count"] != READ_BYTES {
                return Err(format!("guest-file-read read {} bytes", read["count"]));
            }
        }
        let spent_ns = self.number(&mut load.vm, "cut -d' ' -f1 schedstat")? - before;
        load.client.close(handle)?;
        Ok(spent_ns as f64 / 1000.0 / f64::from(PINGS + READS))
    }

    fn switches(&self, vm: &mut Vm) -> Result<u64> {
        self.number(vm, "awk '/ctxt_switches/ {sum += $2} END {print sum}' status")
    }

    fn number(&self, vm: &mut Vm, command: &str) -> Result<u64> {
        let text = self.ask(vm, command)?;
        text.trim().parse().map_err(|_| format!("in the guest: {command}: {text:?}"))
    }

    /// Runs a command in the agent's folder of /proc.
    fn ask(&self, vm: &mut Vm, command: &str) -> Result<String> {
        vm.shell(&format!("cd /proc/{} && {command}", self.process))
    }
}
