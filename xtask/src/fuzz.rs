//! `cargo xtask fuzz`: the fuzz targets under libFuzzer with the address sanitizer; a table of
//! executions and coverage, and each finding with the command that replays it, come out.
//!
//! Invariant: the corpus in the repository is only read, but for `--keep` and `--minimise`. No
//! nightly toolchain and no cargo-fuzz is needed; `cargo +nightly fuzz run TARGET` works as well.

mod build;
mod campaign;
mod coverage;
mod finding;
mod table;

use std::path::PathBuf;
use std::time::Duration;

use xtask::{Result, paths, progress};

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
const ORDINARY_SECONDS: u64 = 60;

/// What is asked for.
struct Options {
    targets: Vec<String>,
    seconds: Option<u64>,
    hours: Option<f64>,
    jobs: usize,
    sanitizer: bool,
    task: Task,
}

#[derive(Clone, Copy, PartialEq)]
enum Task {
    Fuzz { keep: bool },
    Minimise,
    Coverage,
    Help,
}

/// Runs the task with its arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    let options = parse(arguments)?;
    match options.task {
        Task::Help => {
            println!("{USAGE}");
            Ok(())
        }
        Task::Coverage => coverage::report(&options.targets),
        Task::Minimise => {
            let built = build::fuzzers(&options.targets, options.sanitizer)?;
            options.targets.iter().try_for_each(|target| campaign::minimise(&built, target))
        }
        Task::Fuzz { keep } => {
            let built = build::fuzzers(&options.targets, options.sanitizer)?;
            let time = options.time();
            let outcomes = campaign::run(&built, &options.targets, time, options.jobs, keep)?;
            println!("{}", table::table(&outcomes));
            for finding in outcomes.iter().flat_map(|outcome| &outcome.findings) {
                println!("{finding}");
            }
            match outcomes.iter().filter(|outcome| !outcome.passed()).count() {
                0 => Ok(()),
                failed => Err(format!("{failed} target(s) found something, or did not run")),
            }
        }
    }
}

/// Fuzzes every target for as long as an ordinary test run has; what came of each.
pub fn ordinary() -> Result<Vec<Outcome>> {
    let seconds = match std::env::var("QGA_FUZZ_SECONDS") {
        Err(_) => ORDINARY_SECONDS,
        Ok(text) => text.parse().map_err(|_| format!("QGA_FUZZ_SECONDS={text} is no number"))?,
    };
    let targets = all_targets()?;
    let built = build::fuzzers(&targets, true)?;
    let time = Duration::from_secs(seconds);
    let outcomes = campaign::run(&built, &targets, time, cpus(), false)?;
    println!("{}", table::table(&outcomes));
    for finding in outcomes.iter().flat_map(|outcome| &outcome.findings) {
        println!("{finding}");
    }
    Ok(outcomes)
}

impl Options {
    /// How long each target runs.
    fn time(&self) -> Duration {
        let rounds = self.targets.len().div_ceil(self.jobs).max(1) as f64;
        match (self.hours, self.seconds) {
            (Some(hours), _) => Duration::from_secs_f64(hours * 3600.0 / rounds),
            (None, seconds) => Duration::from_secs(seconds.unwrap_or(ORDINARY_SECONDS)),
        }
    }
}

fn parse(arguments: &[String]) -> Result<Options> {
    let known = all_targets()?;
    let task = Task::Fuzz { keep: false };
    let mut options = Options {
        targets: Vec::new(),
        seconds: None,
        hours: None,
        jobs: cpus(),
        sanitizer: true,
        task,
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => options.task = Task::Help,
            "--fast" => options.sanitizer = false,
            "--keep" => options.task = Task::Fuzz { keep: true },
            "--minimise" => options.task = Task::Minimise,
            "--coverage" => options.task = Task::Coverage,
            "--seconds" => options.seconds = Some(number(word, words.next())?),
            "--jobs" => options.jobs = number::<usize>(word, words.next())?.max(1),
            "--hours" => {
                let hours: f64 = number(word, words.next())?;
                if !(hours > 0.0 && hours < 10_000.0) {
                    return Err(format!("--hours {hours} is no time to fuzz for"));
                }
                options.hours = Some(hours);
            }
            target if known.iter().any(|name| name == target) => {
                options.targets.push(target.to_owned());
            }
            other => {
                let known = known.join(", ");
                return Err(format!("no option or target {other}\ntargets: {known}\n{USAGE}"));
            }
        }
    }
    if options.targets.is_empty() {
        options.targets = known;
    }
    Ok(options)
}

fn number<N: std::str::FromStr>(option: &str, word: Option<&String>) -> Result<N> {
    let parsed = word.and_then(|word| word.parse().ok());
    parsed.ok_or_else(|| format!("{option} needs a number\n{USAGE}"))
}

/// The names of all targets: one source file each.
fn all_targets() -> Result<Vec<String>> {
    let folder = directory().join("fuzz_targets");
    let entries = std::fs::read_dir(&folder)
        .map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut names: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    if names.is_empty() { Err(format!("no target in {}", folder.display())) } else { Ok(names) }
}

/// The workspace of the targets.
fn directory() -> PathBuf {
    paths::root().join("fuzz")
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Says how the corpus of a target changed.
fn say_change(target: &str, before: usize, after: usize) {
    progress::say(&format!("fuzz/corpus/{target}: {before} files before, {after} now"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    #[test]
    fn the_time_is_each_targets_or_shared() {
        let seconds = |line| options(line).expect("options").time().as_secs();
        assert_eq!(seconds("--seconds 5 --jobs 1 framer request"), 5);
        assert_eq!(seconds("--hours 1 --jobs 1 framer request"), 1800);
        assert_eq!(seconds("--hours 1 --jobs 2 framer request session"), 1800);
        assert_eq!(seconds("framer"), ORDINARY_SECONDS);
    }

    #[test]
    fn wrong_words_are_refused_by_name() {
        for line in ["--seconds", "--seconds x", "--hours 0", "--hours -1", "nothing"] {
            assert!(options(line).is_err(), "{line}");
        }
        let error = options("nothing").err().expect("an error");
        assert!(error.contains("no option or target nothing") && error.contains("framer"));
    }
}
