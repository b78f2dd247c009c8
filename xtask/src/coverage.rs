//! `cargo xtask coverage`: which branches of the core, and which lines of the Linux platform, the tests reach; a
//! table, and everything that they do not reach, come out.
//!
//! What cannot be reached stands in `docs/coverage.md` with its reason. Anything else that is not reached fails
//! the command, and so does a row of that list which is reached now or exists no more.

mod counters;
mod document;
mod report;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::programs;
use counters::Measured;
use document::{DOCUMENT, Gap, Row};
use report::{File, Report};
use xtask::{Result, install, paths, progress};

const USAGE: &str = "usage: cargo xtask coverage [--core] [--linux] [--seeds N]
Measures which branches of the core and which lines of the Linux platform tests reach.

  --core     only the core
  --linux    only the Linux platform
  --seeds N  so many seeded sessions for the core (default 20000)";

const CORE: &str = "core/src";
const LINUX: &str = "platform-linux/src";

/// The tests that start the binary as a process of its own and look at what it does.
const BINARY_TESTS: [&str; 12] = [
    "bad_clients",
    "clients",
    "conversations",
    "freeze",
    "freeze_faults",
    "freeze_odd",
    "freeze_timeout",
    "limits",
    "options",
    "serial",
    "shutdown",
    "typed_clients",
];

/// Those of them that measure memory, of which a build that counts takes more, and those whose guest has none at the
/// place of the counters.
const NOT_MEASURED: [&str; 4] = [
    "memory_while_a_large_read_streams",
    "read_count",
    "nowhere_to_keep_the_mark",
    "the_usual_places_are_on_the_disk",
];

struct Options {
    core: bool,
    linux: bool,
    seeds: u64,
}

fn parse(words: &[String]) -> Result<Options> {
    let mut options = Options { core: false, linux: false, seeds: 20_000 };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--core" => options.core = true,
            "--linux" => options.linux = true,
            "--seeds" => {
                let value = words.next().and_then(|value| value.parse().ok());
                options.seeds = value.ok_or_else(|| format!("--seeds needs a number\n{USAGE}"))?;
            }
            _ => return Err(format!("unknown option {word}\n{USAGE}")),
        }
    }
    if !options.core && !options.linux {
        (options.core, options.linux) = (true, true);
    }
    Ok(options)
}

/// Runs the task with its arguments.
pub fn run(arguments: &[String]) -> Result<()> {
    if let Some("--help" | "-h") = arguments.first().map(String::as_str) {
        println!("{USAGE}");
        return Ok(());
    }
    let options = parse(arguments)?;
    tools()?;
    let listed = document::listed()?;
    let root = paths::root();
    let mut gaps: BTreeSet<Row> = BTreeSet::new();
    let mut tables = Vec::new();
    if options.core {
        let report = core(&root, options.seeds)?;
        gaps.extend(ways(&root, &report)?);
        tables.push(table(&report, true));
    }
    if options.linux {
        let report = linux(&root)?;
        gaps.extend(lines(&root, &report)?);
        tables.push(table(&report, false));
    }
    let tables = tables.join("\n\n");
    println!("{tables}");
    if options.core && options.linux {
        DOCUMENT.write_figures(&tables)?;
    }
    let measured = |file: &str| {
        options.core && file.starts_with(CORE) || options.linux && file.starts_with(LINUX)
    };
    let listed: BTreeSet<Row> = listed.into_iter().filter(|(file, _)| measured(file)).collect();
    compare(&gaps, &listed)
}

fn compare(gaps: &BTreeSet<Row>, listed: &BTreeSet<Row>) -> Result<()> {
    for (file, gap) in gaps.difference(listed) {
        println!("NOT REACHED {file}\n  {gap}");
    }
    for (file, gap) in listed.difference(gaps) {
        println!("LISTED, but reached or gone: {file}\n  {gap}");
    }
    DOCUMENT.differs(gaps.symmetric_difference(listed).count())
}

/// Makes sure that LLVM's tools of this compiler's version are there.
fn tools() -> Result<()> {
    let missing = || ["llvm-cov", "llvm-profdata"].into_iter().find_map(|n| report::tool(n).err());
    if missing().is_none() {
        return Ok(());
    }
    progress::say("installing the Rust component llvm-tools with rustup");
    let added = install::run(Command::new("rustup").args(["component", "add", "llvm-tools"]));
    if added.is_err() {
        install::commands(&[("llvm-cov-22", "llvm-22")])?;
    }
    missing().map_or(Ok(()), Err)
}

fn fresh(folder: &Path) -> Result<()> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))
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
    let quiet = ["--quiet"];
    let seeds = ["--seeds".to_owned(), seeds.to_string()];
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    for (program, arguments) in
        [(&programs.sim, &quiet[..]), (&programs.corpus, &quiet[..]), (&programs.seeds, &seeds[..])]
    {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        progress::timed(&format!("running {name}"), || {
            fresh(&profiles)?;
            let mut command = Command::new(program);
            command.args(arguments).env("LLVM_PROFILE_FILE", profiles.join("%p.profraw"));
            install::run(command.current_dir(root.join("tests")))?;
            let entries = fs::read_dir(&profiles).map_err(|error| format!("{error}"))?;
            let files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            report::add(&mut report, program, &files, root, CORE)
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
            let mut command = Command::new(path);
            command.args(["--quiet", "--test-threads", "2"]).current_dir(root.join("tests"));
            command.args(NOT_MEASURED.iter().flat_map(|&test| ["--skip", test]));
            // Guests of the tests, with a root of their own, show the counters to their agents by this.
            command.env("QGA_COUNTERS", &measured.counters);
            install::run(command.env("QGA_BIN", &measured.binary).stdout(Stdio::null()))
        })?;
    }
    let profile = folder.join("agent.profraw");
    measured.profile(&profile)?;
    let mut report = Report::new();
    report::add(&mut report, &measured.binary, &[profile], root, LINUX)?;
    without_brackets(root, report)
}

/// The same without lines that hold nothing but closing brackets: one is counted where a condition is
/// always met, for the way around it.
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
    let mut arguments = vec!["test", "--no-run"];
    arguments.extend(BINARY_TESTS.iter().flat_map(|&test| ["--test", test]));
    let (whole, messages) = programs::cargo(&root.join("tests"), &arguments, &settings)?;
    let found = programs::executables(&messages).filter(|(name, _)| BINARY_TESTS.contains(name));
    let found: Vec<(String, PathBuf)> = found.map(|(name, path)| (name.into(), path)).collect();
    match whole && found.len() == BINARY_TESTS.len() {
        true => Ok(found),
        false => Err("the tests of the binary do not build; cargo test in tests/ says why".into()),
    }
}

fn source(root: &Path, file: &str) -> Result<String> {
    fs::read_to_string(root.join(file)).map_err(|error| format!("cannot read {file}: {error}"))
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
            let mut gap = |how| {
                rows.push((file.clone(), Gap::Way(condition.clone(), how, source.trim().into())));
            };
            if ways.met == 0 {
                gap("never");
            }
            if ways.unmet == 0 {
                gap("always");
            }
        }
    }
    Ok(rows)
}

/// The functions with lines that were not run.
fn lines(root: &Path, report: &Report) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (file, File { lines, .. }) in report {
        let parsed = syn::parse_file(&source(root, file)?);
        let parsed = parsed.map_err(|error| format!("cannot parse {file}: {error}"))?;
        let mut functions = Functions::default();
        functions.visit_file(&parsed);
        for (line, _) in lines.iter().filter(|(_, run)| !**run) {
            let around =
                functions.0.iter().filter(|(_, first, last)| (first..=last).contains(&line));
            let innermost = around.min_by_key(|(_, first, last)| last - first);
            let name = innermost.map_or("(no function)", |(name, _, _)| name);
            progress::say(&format!("not run: {file}:{line} ({name})"));
            rows.push((file.clone(), Gap::Lines(name.to_owned())));
        }
    }
    Ok(rows)
}

/// The functions of a file: name, first and last line.
#[derive(Default)]
struct Functions(Vec<(String, usize, usize)>);

impl Functions {
    fn add(&mut self, name: &syn::Ident, span: proc_macro2::Span) {
        self.0.push((name.to_string(), span.start().line, span.end().line));
    }
}

impl<'a> Visit<'a> for Functions {
    fn visit_item_fn(&mut self, node: &'a syn::ItemFn) {
        self.add(&node.sig.ident, node.span());
        visit::visit_item_fn(self, node);
    }

    fn visit_impl_item_fn(&mut self, node: &'a syn::ImplItemFn) {
        self.add(&node.sig.ident, node.span());
        visit::visit_impl_item_fn(self, node);
    }
}

/// The figures, a row for each file; with branches or without.
fn table(report: &Report, branches: bool) -> String {
    let percent = |covered: usize, all: usize| match all {
        0 => "-".to_owned(),
        // Only what is whole is shown as 100.0.
        all => format!("{:.1}", (1000 * covered / all) as f64 / 10.0),
    };
    let mut rows = Vec::new();
    let mut sum = [0; 4];
    for (file, File { branches, lines }) in report {
        let taken = |ways: &report::Ways| usize::from(ways.met > 0) + usize::from(ways.unmet > 0);
        let counts = [
            branches.len() * 2,
            branches.values().map(taken).sum(),
            lines.len(),
            lines.values().filter(|run| **run).count(),
        ];
        sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        rows.push((file.as_str(), counts));
    }
    rows.push(("all", sum));
    let head = match branches {
        true => format!("{:<36}{:>9}{:>8}{:>8}{:>8}", "file", "branches", "%", "lines", "%"),
        false => format!("{:<36}{:>9}{:>8}", "file", "lines", "%"),
    };
    let rows = rows.into_iter().map(|(file, [all, taken, lines, run])| {
        let (ways, runs) = (percent(taken, all), percent(run, lines));
        match branches {
            true => format!("{file:<36}{all:>9}{ways:>8}{lines:>8}{runs:>8}"),
            false => format!("{file:<36}{lines:>9}{runs:>8}"),
        }
    });
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}
