//! `cargo xtask coverage`: which branches of the core, and which lines of the Linux platform, the
//! tests reach; a table, and everything that they do not reach, come out.
//!
//! What cannot be reached stands in `docs/coverage.md` with its reason. Anything else that is not
//! reached fails the command, and so does a row of that list which is reached now or exists no
//! more.

mod counters;
pub mod report;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::exceptions::{Document, Row};
use crate::functions::Functions;
use crate::programs;
use counters::Measured;
use report::{File, Report, table};
use xtask::words::Words;
use xtask::{ElseSay, Result, command, paths, progress};

const USAGE: &str = "usage: cargo xtask coverage [--core] [--linux] [--seeds N]
Measures which branches of the core and which lines of the Linux platform tests reach.

  --core     only the core
  --linux    only the Linux platform
  --seeds N  so many seeded sessions for the core (default 20000)";

const SEEDS: u64 = 20_000;
const CORE: &str = "core/src";
const LINUX: &str = "platform-linux/src";

/// The tests that start the binary as a process of its own and look at what it does.
const BINARY_TESTS: &str = "bad_clients clients conversations freeze freeze_faults freeze_odd \
    freeze_stacks freeze_timeout limits options serial shutdown typed_clients";

/// Those of them that measure memory, of which a build that counts takes more, and those whose
/// guest has none at the place of the counters.
const NOT_MEASURED: &str = "memory_while_a_large_read_streams read_count nowhere_to_keep_the_mark \
    the_usual_places_are_on_the_disk";

/// Where what cannot be reached stands.
pub const DOCUMENT: Document = Document {
    name: "docs/coverage.md",
    begin: "<!-- figures: written by cargo xtask coverage -->",
};

pub fn run(arguments: &[String]) -> Result<()> {
    let Some(mut words) = Words::new(arguments, USAGE) else { return Ok(()) };
    let (only_core, only_linux) = (words.has("--core"), words.has("--linux"));
    let seeds = words.number("--seeds", ..)?.unwrap_or(SEEDS);
    words.end()?;
    let (with_core, with_linux) = (only_core || !only_linux, only_linux || !only_core);
    report::prepare()?;
    let listed = DOCUMENT.rows()?;
    let root = paths::root();
    let mut gaps = Vec::new();
    let mut tables = Vec::new();
    if with_core {
        let report = core(&root, seeds)?;
        gaps.extend(ways(&root, &report)?);
        tables.push(table(&report, true));
    }
    if with_linux {
        let report = linux(&root)?;
        gaps.extend(lines(&root, &report)?);
        tables.push(table(&report, false));
    }
    gaps.sort();
    gaps.dedup();
    let tables = tables.join("\n\n");
    println!("{tables}");
    if with_core && with_linux {
        DOCUMENT.write_figures(&tables)?;
    }
    DOCUMENT.compare(&gaps, &listed, |(file, _)| {
        with_core && file.starts_with(CORE) || with_linux && file.starts_with(LINUX)
    })
}

/// Runs the core's tests with every branch counted.
fn core(root: &Path, seeds: u64) -> Result<Report> {
    let folder = paths::target().join("coverage/core");
    let flags = "-Cinstrument-coverage -Zcoverage-options=branch --cap-lints=warn";
    let mut settings = programs::settings(&folder, flags);
    // Branches are an option that the compiler does not promise to keep.
    settings.push(("RUSTC_BOOTSTRAP", "1".into()));
    settings.push(("LLVM_PROFILE_FILE", "/dev/null".into()));
    let programs = progress::timed("building the core's tests with counters", || {
        programs::programs(root, &settings)
    })?;
    let profiles = folder.join("profiles");
    let mut report = Report::new();
    let (quiet, seeds) =
        (vec!["--quiet".to_owned()], vec!["--seeds".to_owned(), seeds.to_string()]);
    let tests = [(&programs.sim, &quiet), (&programs.corpus, &quiet), (&programs.seeds, &seeds)];
    for (program, arguments) in tests {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        progress::timed(&format!("running {name}"), || {
            paths::make_empty(&profiles)?;
            let mut run = Command::new(program);
            run.args(arguments).env("LLVM_PROFILE_FILE", profiles.join("%p.profraw"));
            command::run(run.current_dir(root.join("tests")))?;
            report::add(&mut report, program, &paths::entries(&profiles)?, root, &[CORE])
        })?;
    }
    without_brackets(root, report)
}

/// Runs the tests of the binary on one that counts its lines.
fn linux(root: &Path) -> Result<Report> {
    let folder = paths::target().join("coverage/linux");
    let measured =
        progress::timed("building the agent with counters", || Measured::build(root, &folder))?;
    let tests = progress::timed("building the tests of the binary", || binary_tests(root))?;
    for (name, path) in &tests {
        progress::timed(&format!("running {name}"), || {
            let mut test = Command::new(path);
            test.args(["--quiet", "--test-threads", "2"]).current_dir(root.join("tests"));
            test.args(NOT_MEASURED.split(' ').flat_map(|test| ["--skip", test]));
            // Guests of the tests, with a root of their own, show the counters to their agents by
            // this.
            test.env("QGA_COUNTERS", &measured.counters);
            command::run(test.env("QGA_BIN", &measured.binary).stdout(Stdio::null()))
        })?;
    }
    let profile = folder.join("agent.profraw");
    measured.profile(&profile)?;
    let mut report = Report::new();
    report::add(&mut report, &measured.binary, &[profile], root, &[LINUX])?;
    without_brackets(root, report)
}

/// The same without lines that hold nothing but closing brackets: one is counted where a condition
/// is always met, for the way around it.
fn without_brackets(root: &Path, mut report: Report) -> Result<Report> {
    for (file, File { lines, .. }) in &mut report {
        let text = source(root, file)?;
        let all: Vec<&str> = text.lines().collect();
        let is_code = |line: usize| {
            let text = all.get(line - 1).copied().unwrap_or_default();
            text.contains(|letter: char| !" })];,".contains(letter))
        };
        lines.retain(|line, _| is_code(*line));
    }
    Ok(report)
}

/// Builds the tests that start the binary; their names and paths.
fn binary_tests(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let target = paths::target().join("coverage/tests");
    let settings = programs::settings(&target, "--cap-lints=warn");
    let names: Vec<&str> = BINARY_TESTS.split(' ').collect();
    let mut arguments = vec!["test", "--no-run"];
    arguments.extend(names.iter().flat_map(|&test| ["--test", test]));
    let (whole, messages) = programs::cargo(&root.join("tests"), &arguments, &settings)?;
    let found = programs::executables(&messages).filter(|(name, _)| names.contains(name));
    let found: Vec<(String, PathBuf)> = found.map(|(name, path)| (name.into(), path)).collect();
    match whole && found.len() == names.len() {
        true => Ok(found),
        false => Err("the tests of the binary do not build; cargo test in tests/ says why".into()),
    }
}

fn source(root: &Path, file: &str) -> Result<String> {
    paths::text(&root.join(file))
}

/// The ways of branches that were not taken.
fn ways(root: &Path, report: &Report) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (file, File { branches, .. }) in report {
        let text = source(root, file)?;
        let all: Vec<&str> = text.lines().collect();
        for ([line, from, last, to], ways) in branches {
            let source = all.get(line - 1).copied().unwrap_or_default();
            let end = if last == line { to - 1 } else { source.chars().count() };
            let condition: String = source.chars().take(end).skip(from - 1).collect();
            for (count, how) in [(ways.met, "never"), (ways.unmet, "always")] {
                if count == 0 {
                    let what = format!("`{condition}` is {how} met at `{}`", source.trim());
                    rows.push((file.clone(), what));
                }
            }
        }
    }
    Ok(rows)
}

/// The functions with lines that were not run.
fn lines(root: &Path, report: &Report) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (file, File { lines, .. }) in report {
        let functions = Functions::of(&source(root, file)?).else_say(file)?;
        for (line, _) in lines.iter().filter(|(_, run)| !**run) {
            let mut around = functions.all.iter().filter(|function| function.lines.contains(line));
            // The innermost comes last.
            let name = around.next_back().map_or("(no function)", |function| &function.name);
            progress::say(&format!("not run: {file}:{line} ({name})"));
            rows.push((file.clone(), format!("lines of `{name}`")));
        }
    }
    Ok(rows)
}
