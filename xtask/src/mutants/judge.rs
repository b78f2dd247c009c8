//! Whether a mutant is caught: the programs that judge and the mutant's number in, its verdict out.
//!
//! The quickest tests come first, because they catch most. A mutant that runs much longer than the
//! core itself (an endless loop) is stopped by a limit of processor time, which a busy machine does
//! not change.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use crate::programs::Programs;
use xtask::{ElseSay, Result};

/// Processor time that each stage has at least, however quick the core itself is in it.
const LIMIT_SECONDS_MIN: u64 = 1;
/// How many times as long as the core itself a mutant may take.
const LIMIT_FACTOR: f64 = 5.0;
/// After this many seconds a mutant hangs, even if it takes no processor time.
const HANG_SECONDS: &str = "300";
/// What `timeout` ends with then.
const HANG_STATUS: i32 = 128 + libc::SIGKILL;
/// Memory that a mutant may take before it is stopped.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// The tests on the simulated guest that catch most in the shortest time: some hundredths of a
/// second.
const QUICK: [&str; 6] =
    ["conversations::whole", "conversations::byte", "freeze::", "moved::", "shutdown::", "table::"];
/// Those that take longest.
const SLOW: [&str; 4] =
    ["cut_in_two_at_every_byte", "faults::", "kills::", "a_reply_far_larger_than_the_window"];

/// What became of a mutant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// A test failed.
    Caught,
    /// A test did not end.
    Timeout,
    /// No test noticed anything.
    Missed,
    /// It does not compile, or changes nothing.
    Unviable,
}

/// One program with arguments.
struct Stage {
    name: &'static str,
    arguments: Vec<&'static str>,
    limit_seconds: u64,
}

/// The stages, in their order.
pub struct Judge {
    stages: Vec<Stage>,
}

impl Judge {
    /// Runs the core itself through every stage, which must hold, and takes its time.
    pub fn new(programs: &Programs) -> Result<Judge> {
        let seeds = |seeds| vec!["--seeds", seeds, "--threads", "1", "--findings", "1"];
        let sim = |words: &[&'static str]| [&["--quiet", "--test-threads", "1"], words].concat();
        let others = QUICK.iter().chain(&SLOW).chain(&["parts::"]);
        let others: Vec<&str> = others.flat_map(|&skipped| ["--skip", skipped]).collect();
        let stages = [
            ("sim", sim(&QUICK)),
            ("corpus", sim(&["--skip", "virtio"])),
            ("sim", sim(&["parts::"])),
            ("sim", sim(&others)),
            ("seeds", seeds("300")),
            ("sim", sim(&SLOW)),
            ("seeds", seeds("10000")),
        ];
        let mut judge = Judge { stages: Vec::new() };
        for (name, arguments) in stages {
            let mut stage = Stage { name, arguments, limit_seconds: 600 };
            let begun = Instant::now();
            let status = stage.run(programs, 0)?;
            if !status.success() {
                let words = stage.arguments.join(" ");
                return Err(format!("the core itself fails in {name} {words} ({status})"));
            }
            let limit = begun.elapsed().as_secs_f64() * LIMIT_FACTOR;
            stage.limit_seconds = limit as u64 + LIMIT_SECONDS_MIN;
            judge.stages.push(stage);
        }
        Ok(judge)
    }

    /// Runs a mutant until it is caught.
    pub fn judge(&self, programs: &Programs, number: u32) -> Result<Verdict> {
        for stage in &self.stages {
            let status = stage.run(programs, number)?;
            if !status.success() {
                let stopped = matches!(status.signal(), Some(libc::SIGXCPU | libc::SIGKILL));
                let hung = status.code() == Some(HANG_STATUS);
                return Ok(if stopped || hung { Verdict::Timeout } else { Verdict::Caught });
            }
        }
        Ok(Verdict::Missed)
    }
}

impl Stage {
    fn run(&self, programs: &Programs, number: u32) -> Result<ExitStatus> {
        let program = match self.name {
            "sim" => &programs.sim,
            "corpus" => &programs.corpus,
            _ => &programs.seeds,
        };
        let (soft, hard) = (self.limit_seconds, self.limit_seconds + 1);
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", HANG_SECONDS, "prlimit", "--core=0"]);
        command.args([format!("--cpu={soft}:{hard}"), format!("--as={MEMORY_BYTES_MAX}")]);
        command.arg(program).args(&self.arguments).env("QGA_MUTANT", number.to_string());
        command.env("RUST_BACKTRACE", "0").current_dir(program.parent().unwrap_or(Path::new(".")));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().else_say("cannot run timeout (package coreutils)")
    }
}
