//! Targets under libFuzzer, some at a time: programs and a time in, one [`Outcome`] a target out.
//!
//! Each works on a copy of its corpus. A process that dies without a finding of its own (killed,
//! not started) is not passed over: its outcome did not end well.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::build::Built;
use super::directory;
use super::finding::findings;
use xtask::{ElseSay, Result, paths, progress};

/// How the names of inputs begin that show what was once found.
const KEPT: [&str; 2] = ["found-", "regression-"];

/// The sanitizer's own costs kept low: a small quarantine and no stack trace of each allocation.
/// Nothing is leaked on purpose or by `unsafe`, and looking for leaks needs rights of a debugger.
const SANITIZER: &str = "detect_leaks=0:quarantine_size_mb=1:malloc_context_size=0:\
    detect_stack_use_after_return=0";

/// Longest input: long ones are slow, and what they find short ones find as well. A session's acts
/// are a byte each, and its oracle works after every one.
const LEN_MAX: &str = "-max_len=512";
const SESSION_LEN_MAX: &str = "-max_len=64";

/// How often a target that runs says how far it is.
const PROGRESS: Duration = Duration::from_secs(30);

/// How long one input may take, in seconds: none takes a hundredth of it.
const INPUT_SECONDS_MAX: u32 = 20;

/// A corpus has as many files at least, as tests/tests/corpus.rs wants it.
const FILES_MIN: usize = 20;

/// What came of a target.
#[derive(Default)]
pub struct Outcome {
    pub target: String,
    pub seconds: f64,
    /// How many inputs it ran.
    pub executions: u64,
    /// How many edges of the program they reached.
    pub edges: u64,
    /// How many inputs are in its corpus now.
    pub inputs: u64,
    /// What was found, each with the command that replays it.
    pub findings: Vec<String>,
    /// Whether its process ended by itself and said so.
    pub ended_well: bool,
}

impl Outcome {
    /// Whether it ran to its end and found nothing.
    pub fn passed(&self) -> bool {
        self.ended_well && self.findings.is_empty()
    }
}

/// Runs targets, `jobs` at a time.
pub fn run(
    built: &Built,
    targets: &[String],
    time: Duration,
    jobs: usize,
    keep: bool,
) -> Result<Vec<Outcome>> {
    let scratch = tempfile::tempdir().else_say("cannot make a folder")?;
    let outcomes = progress::together("fuzz targets", targets, jobs, |target| {
        run_one(built, target, &scratch.path().join(target), time, keep)
    });
    outcomes.into_iter().collect()
}

fn run_one(
    built: &Built,
    target: &str,
    scratch: &Path,
    time: Duration,
    keep: bool,
) -> Result<Outcome> {
    let artifacts = directory().join("artifacts").join(target);
    paths::make(scratch)?;
    paths::make(&artifacts)?;
    let corpus = corpus(target)?;
    let mut command = program(built, target);
    // New inputs go into the first folder; the second is only read.
    command.arg(scratch).arg(&corpus);
    command.arg(format!("-max_total_time={}", time.as_secs().max(1)));
    command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    command.arg(format!("-dict={}", directory().join("qga.dict").display()));
    // How often an edge is met, and how rare it is, cost more than they find in sessions.
    if target == "session" {
        command.args([SESSION_LEN_MAX, "-entropic=0", "-use_counters=0"]);
    } else {
        command.arg(LEN_MAX);
    }
    command.arg(format!("-artifact_prefix={}/", artifacts.display()));
    progress::say(&format!("fuzzing {target} for {} s", time.as_secs()));
    let begun = Instant::now();
    let (mut outcome, said, status) = follow(command, target)?;
    outcome.seconds = begun.elapsed().as_secs_f64();
    outcome.ended_well = status && said.iter().any(|line| line.contains("DONE"));
    if !outcome.ended_well {
        outcome.findings = findings(target, &said);
    }
    if keep {
        let before = count(&corpus);
        merge(built, target, &["-use_counters=0"], &[&corpus, scratch])?;
        say_change(target, before, count(&corpus));
    }
    Ok(outcome)
}

/// Runs libFuzzer to its end; what it counted, the last lines that it said, whether it succeeded.
fn follow(mut command: Command, target: &str) -> Result<(Outcome, Vec<String>, bool)> {
    /// As many lines as a report of a finding has, and some.
    const LINES_MAX: usize = 400;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .else_say(format!("cannot run the target {target}"))?;
    let mut outcome = Outcome { target: target.to_owned(), ..Outcome::default() };
    let (mut said, mut shown) = (Vec::new(), Instant::now());
    let stderr = child.stderr.take().ok_or("the target has no output")?;
    for line in BufReader::new(stderr).split(b'\n') {
        let line = line.else_say(format!("cannot read what {target} says"))?;
        let line = String::from_utf8_lossy(&line).into_owned();
        count_up(&line, &mut outcome);
        if shown.elapsed() >= PROGRESS {
            shown = Instant::now();
            let Outcome { executions, edges, .. } = outcome;
            progress::say(&format!("{target}: {executions} executions, {edges} edges"));
        }
        if said.len() == LINES_MAX {
            said.remove(0);
        }
        said.push(line);
    }
    let status = child.wait().else_say(format!("cannot wait for {target}"))?;
    Ok((outcome, said, status.success()))
}

/// Takes libFuzzer's own line: `#1234 NEW cov: 56 ft: 78 corp: 9/10Kb ...`.
fn count_up(line: &str, outcome: &mut Outcome) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = words.first().and_then(|word| word.strip_prefix('#')?.parse().ok());
    let Some(executions) = number else { return };
    outcome.executions = executions;
    for pair in words.windows(2) {
        let digits = pair[1].split('/').next().and_then(|number| number.parse().ok());
        match (pair[0], digits) {
            ("cov:", Some(edges)) => outcome.edges = edges,
            ("corp:", Some(inputs)) => outcome.inputs = inputs,
            _ => {}
        }
    }
}

/// Throws out of a target's corpus what shows nothing that the rest does not.
pub fn minimise(built: &Built, target: &str) -> Result<()> {
    let corpus = corpus(target)?;
    let before = count(&corpus);
    let fresh = corpus.with_extension("minimised");
    paths::make_empty(&fresh)?;
    // An input for each edge is enough; where there are few edges, one for each count of them.
    merge(built, target, &["-use_counters=0"], &[&fresh, &corpus])?;
    if count(&fresh) < FILES_MIN {
        merge(built, target, &[], &[&fresh, &corpus])?;
    }
    keep_findings(&corpus, &fresh).else_say_of("cannot copy findings into", &fresh)?;
    fs::remove_dir_all(&corpus).else_say_of("cannot remove", &corpus)?;
    fs::rename(&fresh, &corpus).else_say_of("cannot replace the corpus by", &fresh)?;
    say_change(target, before, count(&corpus));
    Ok(())
}

/// Copies what was once found: that is replayed for ever, whatever else shows the same.
fn keep_findings(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if KEPT.iter().any(|kept| name.starts_with(kept)) {
            fs::copy(entry.path(), to.join(&*name))?;
        }
    }
    Ok(())
}

/// Adds to the first folder the fewest inputs of the others that show all that they show.
fn merge(built: &Built, target: &str, options: &[&str], folders: &[&Path]) -> Result<()> {
    let mut command = program(built, target);
    command.arg("-set_cover_merge=1").args(options).args(folders).stdin(Stdio::null());
    let output = command.output().else_say(format!("cannot run {target}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let said: Vec<String> = said.lines().map(str::to_owned).collect();
    Err(format!("merging inputs failed:\n{}", findings(target, &said).join("\n")))
}

fn program(built: &Built, target: &str) -> Command {
    let mut command = Command::new(built.program(target));
    command.env("ASAN_OPTIONS", SANITIZER);
    command
}

/// The folder of a target's corpus, which must be there.
fn corpus(target: &str) -> Result<PathBuf> {
    let folder = directory().join("corpus").join(target);
    if folder.is_dir() { Ok(folder) } else { Err(format!("no corpus in {}", folder.display())) }
}

/// Says how the corpus of a target changed.
fn say_change(target: &str, before: usize, after: usize) {
    progress::say(&format!("fuzz/corpus/{target}: {before} files before, {after} now"));
}

fn count(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_counts_are_kept() {
        let mut outcome = Outcome::default();
        let lines = [
            "INFO: Loaded 1 modules",
            "#16\tpulse  cov: 10 ft: 11 corp: 3/8b exec/s: 0 rss: 30Mb",
            "#123456\tDONE   cov: 4876 ft: 16993 corp: 160/29Kb lim: 512 exec/s: 0 rss: 70Mb",
            "#x is no count",
        ];
        lines.iter().for_each(|line| count_up(line, &mut outcome));
        let counted = (outcome.executions, outcome.edges, outcome.inputs);
        assert_eq!(counted, (123_456, 4876, 160));
    }
}
