//! `cargo xtask fuzz`: the fuzz targets under libFuzzer with the address sanitizer; a table of
//! executions and coverage, and each finding with the command that replays it, come out.
//!
//! Invariant: the corpus in the repository is only read, but for `--keep` and `--minimise`. No
//! nightly toolchain and no cargo-fuzz is needed; `cargo +nightly fuzz run TARGET` works as well.

mod build;
mod campaign;
mod finding;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::coverage;
use build::Built;
use xtask::words::Words;
use xtask::{ElseSay, Result, command, paths, progress, table};

pub use campaign::Outcome;

const USAGE: &str = "usage: cargo xtask fuzz [options] [TARGET...]
Fuzzes the targets (all of them, if none is named) and prints what was found.

  --seconds N   how long each target runs (60)
  --hours N     how long all of it lasts, shared evenly among the targets
  --jobs N      how many targets run at a time (one for each CPU)
  --fast        without the address sanitizer, which only unsafe code needs: up to five times
                as many executions
  --keep        adds inputs that reach something new to fuzz/corpus, as few as do it
  --minimise    runs nothing: throws out of fuzz/corpus what shows nothing of its own
  --coverage    runs nothing: lines of each source file that fuzz/corpus reaches";

/// How long a target runs in the ordinary test run, unless `$QGA_FUZZ_SECONDS` says otherwise.
const ORDINARY_SECONDS: u64 = 30;
const HOURS_MAX: f64 = 10_000.0;

/// The sources of ours that `--coverage` names; what else is linked in does not concern us.
const SOURCES: [&str; 4] =
    ["core/src", "virtio-console/src", "platform-linux/src", "platform-baremetal/src"];

struct Options {
    targets: Vec<String>,
    /// How long each target runs.
    time: Duration,
    jobs: usize,
    sanitizer: bool,
    keep: bool,
    minimise: bool,
    coverage: bool,
}

pub fn run(arguments: &[String]) -> Result<()> {
    let Some(words) = Words::new(arguments, USAGE) else { return Ok(()) };
    let options = parse(words)?;
    let targets = &options.targets;
    if options.coverage {
        return report(targets);
    }
    let built = build::fuzzers(targets, options.sanitizer)?;
    if options.minimise {
        return targets.iter().try_for_each(|target| campaign::minimise(&built, target));
    }
    let outcomes = fuzz(&built, &options)?;
    match outcomes.iter().filter(|outcome| !outcome.passed()).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} target(s) found something, or did not run")),
    }
}

/// Fuzzes every target for as long as an ordinary test run has; what came of each.
pub fn ordinary() -> Result<Vec<Outcome>> {
    let words = match std::env::var("QGA_FUZZ_SECONDS") {
        Err(_) => Vec::new(),
        Ok(text) => vec!["--seconds".to_owned(), text],
    };
    let Some(words) = Words::new(&words, USAGE) else { return Ok(Vec::new()) };
    let options = parse(words).else_say("QGA_FUZZ_SECONDS")?;
    fuzz(&build::fuzzers(&options.targets, true)?, &options)
}

fn fuzz(built: &Built, options: &Options) -> Result<Vec<Outcome>> {
    let outcomes =
        campaign::run(built, &options.targets, options.time, options.jobs, options.keep)?;
    println!("{}", shown(&outcomes));
    for finding in outcomes.iter().flat_map(|outcome| &outcome.findings) {
        println!("{finding}");
    }
    Ok(outcomes)
}

fn parse(mut words: Words) -> Result<Options> {
    let known = all_targets()?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = words.number("--jobs", 1..)?.unwrap_or(cpus);
    let seconds = words.number("--seconds", ..)?.unwrap_or(ORDINARY_SECONDS);
    let hours = words.number("--hours", f64::MIN_POSITIVE..HOURS_MAX)?;
    let mut options = Options {
        targets: Vec::new(),
        time: Duration::from_secs(seconds),
        jobs,
        sanitizer: !words.has("--fast"),
        keep: words.has("--keep"),
        minimise: words.has("--minimise"),
        coverage: words.has("--coverage"),
    };
    options.targets = words.names(&known)?;
    if options.targets.is_empty() {
        options.targets = known;
    }
    if let Some(hours) = hours {
        let rounds = options.targets.len().div_ceil(jobs) as f64;
        options.time = Duration::from_secs_f64(hours * 3600.0 / rounds);
    }
    Ok(options)
}

/// The names of all targets: one source file each.
fn all_targets() -> Result<Vec<String>> {
    let folder = directory().join("fuzz_targets");
    let files = paths::files(&folder)?.into_iter();
    let sources = files.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let names = sources.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    let names: Vec<String> = names.collect();
    if names.is_empty() { Err(format!("no target in {}", folder.display())) } else { Ok(names) }
}

/// The workspace of the targets.
fn directory() -> PathBuf {
    paths::root().join("fuzz")
}

/// What came of the targets: a table of at most 80 columns, and a line with the sums.
fn shown(outcomes: &[Outcome]) -> String {
    let head = ["target", "seconds", "executions", "per second", "edges", "inputs", "findings"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(outcomes.iter().map(|outcome| {
        let Outcome { target, seconds, executions, edges, inputs, findings, .. } = outcome;
        let findings = findings.len().max(usize::from(!outcome.passed()));
        let speed = *executions as f64 / seconds.max(0.001);
        let (seconds, speed) = (format!("{seconds:.0}"), format!("{speed:.0}"));
        table::cells([target, &seconds, executions, &speed, edges, inputs, &findings])
    }));
    let executions: u64 = outcomes.iter().map(|outcome| outcome.executions).sum();
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    let table = table::columns(&lines, &[0]);
    format!("{table}\n{executions} executions in all, {failed} target(s) with findings")
}

/// Which lines the corpus reaches: the targets replay it with counters in them, and the counts are
/// printed file by file.
fn report(targets: &[String]) -> Result<()> {
    coverage::report::prepare()?;
    let built = build::counting(targets)?;
    let scratch = tempfile::tempdir().else_say("cannot make a folder")?;
    let mut report = coverage::report::Report::new();
    for target in targets {
        progress::say(&format!("replaying fuzz/corpus/{target}"));
        let mut replay = Command::new(built.program(target));
        let profile = scratch.path().join(format!("{target}.profraw"));
        replay.arg(directory().join("corpus").join(target)).env("RUST_BACKTRACE", "0");
        command::run(replay.env("LLVM_PROFILE_FILE", &profile))?;
        let (program, root) = (built.program(target), paths::root());
        coverage::report::add(&mut report, &program, &[profile], &root, &SOURCES)?;
    }
    println!("{}", coverage::report::table(&report, false));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_each_targets_or_shared() {
        let seconds = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            parse(Words::new(&words, USAGE).expect("no help")).expect("options").time.as_secs()
        };
        assert_eq!(seconds("--seconds 5 --jobs 1 framer request"), 5);
        assert_eq!(seconds("--hours 1 --jobs 1 framer request"), 1800);
        assert_eq!(seconds("--hours 1 --jobs 2 framer request session"), 1800);
        assert_eq!(seconds("framer"), ORDINARY_SECONDS);
    }

    #[test]
    fn the_table_fits_a_terminal_and_sums_up() {
        let outcome = |target: &str, findings: Vec<String>| Outcome {
            target: target.to_owned(),
            seconds: 3600.0,
            executions: 1_000_000_000,
            edges: 12_345,
            inputs: 9999,
            findings,
            ended_well: true,
        };
        let table =
            shown(&[outcome("virtio_console", vec![]), outcome("framer", vec!["x".into()])]);
        assert!(table.lines().all(|line| line.len() <= 80), "{table}");
        assert!(table.ends_with("2000000000 executions in all, 1 target(s) with findings"));
    }
}
