//! What llvm-cov found, by source: its JSON in; each branch with both its ways, and each line,
//! covered or not, out.
//!
//! Generic code is compiled many times. A way of a branch, or a line, is covered when any of the
//! copies took it, in any of the programs that ran.

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xtask::table::{cells, columns};
use xtask::{ElseSay, Result, command, install, progress};

/// A place in a file: line and column of its beginning and end, from 1 on.
pub type Span = [usize; 4];

/// One condition of the source and how often each way was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ways {
    /// It was met.
    pub met: u64,
    /// It was not.
    pub unmet: u64,
}

/// What is known of one file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct File {
    pub branches: BTreeMap<Span, Ways>,
    /// Its lines that are code, and whether one was run.
    pub lines: BTreeMap<usize, bool>,
}

/// The files below one folder, by their names from the project's root.
pub type Report = BTreeMap<String, File>;

/// Where Debian has LLVM of the version that the compiler is made with.
const DEBIAN: &str = "/usr/lib/llvm-22/bin";

/// Makes sure that LLVM's tools of this compiler's version are there.
pub fn prepare() -> Result<()> {
    let missing = || ["llvm-cov", "llvm-profdata"].into_iter().find_map(|name| tool(name).err());
    if missing().is_none() {
        return Ok(());
    }
    progress::say("installing the Rust component llvm-tools with rustup");
    let mut rustup = Command::new("rustup");
    if command::run(rustup.args(["component", "add", "llvm-tools"])).is_err() {
        install::commands(&[("llvm-cov-22", "llvm-22")])?;
    }
    missing().map_or(Ok(()), Err)
}

/// Where a tool of LLVM is: what `$LLVM_COV` or `$LLVM_PROFDATA` names, the compiler's own, or
/// Debian's.
fn tool(name: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(name.to_uppercase().replace('-', "_")) {
        return Ok(path.into());
    }
    let libraries = command::text(Command::new("rustc").args(["--print", "target-libdir"]))?;
    let own = Path::new(libraries.trim()).with_file_name("bin").join(name);
    let found = [own, Path::new(DEBIAN).join(name)].into_iter().find(|path| path.is_file());
    found.ok_or_else(|| format!("there is no {name} of the compiler's version"))
}

/// Adds what `program` counted in these raw profiles to `report`, as far as it is in `folders` of
/// `root`.
pub fn add(
    report: &mut Report,
    program: &Path,
    profiles: &[PathBuf],
    root: &Path,
    folders: &[&str],
) -> Result<()> {
    let merged = program.with_extension("profdata");
    let mut merge = Command::new(tool("llvm-profdata")?);
    merge.args(["merge", "-sparse", "-o"]).arg(&merged).args(profiles);
    command::run(&mut merge)?;
    let mut export = Command::new(tool("llvm-cov")?);
    export.args(["export", "-format=text", "-instr-profile"]).arg(&merged).arg(program);
    let json: Value = serde_json::from_slice(&command::output(&mut export)?.stdout)
        .else_say("llvm-cov gave no JSON")?;
    for function in json["data"][0]["functions"].as_array().into_iter().flatten() {
        add_function(report, function, root, folders);
    }
    Ok(())
}

/// The name of a source below the root; a file that is included from elsewhere comes with `..` in
/// its name.
fn source_name(path: &str, root: &Path, folders: &[&str]) -> Option<String> {
    let mut plain = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            part => plain.push(part),
        }
    }
    let name = plain.strip_prefix(root).ok()?;
    folders.iter().any(|folder| name.starts_with(folder)).then(|| name.display().to_string())
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().map(|number| number.as_u64().unwrap_or(0)).collect()
}

fn span(numbers: &[u64]) -> Span {
    [0, 1, 2, 3].map(|at| numbers.get(at).copied().unwrap_or(0) as usize)
}

fn add_function(report: &mut Report, function: &Value, root: &Path, folders: &[&str]) {
    let names = function["filenames"].as_array().into_iter().flatten();
    let names: Vec<Option<String>> =
        names.map(|name| source_name(name.as_str()?, root, folders)).collect();
    let name = |at: u64| names.get(at as usize)?.clone();
    for branch in function["branches"].as_array().into_iter().flatten().map(numbers) {
        let [_, _, _, _, met, unmet, file, ..] = branch[..] else { continue };
        let Some(name) = name(file) else { continue };
        let ways = report.entry(name).or_default().branches.entry(span(&branch)).or_default();
        ways.met += met;
        ways.unmet += unmet;
    }
    let mut regions: HashMap<String, Vec<(Span, u64)>> = HashMap::new();
    for region in function["regions"].as_array().into_iter().flatten().map(numbers) {
        // Only code; not what an expansion or a gap stands for.
        let [_, _, _, _, count, file, _, 0] = region[..] else { continue };
        if let Some(name) = name(file) {
            regions.entry(name).or_default().push((span(&region), count));
        }
    }
    for (name, regions) in regions {
        let lines = &mut report.entry(name).or_default().lines;
        for (line, run) in lines_of(&regions) {
            *lines.entry(line).or_default() |= run;
        }
    }
}

/// The lines of one function: a line is run when any piece that begins on it is, and one on which
/// none begins goes with the smallest piece around it.
fn lines_of(regions: &[(Span, u64)]) -> Vec<(usize, bool)> {
    let first = regions.iter().map(|(span, _)| span[0]).min().unwrap_or(1);
    let last = regions.iter().map(|(span, _)| span[2]).max().unwrap_or(0);
    let mut lines = Vec::new();
    for line in first..=last {
        let begin: Vec<u64> =
            regions.iter().filter(|(span, _)| span[0] == line).map(|(_, count)| *count).collect();
        let around = regions.iter().filter(|(span, _)| span[0] < line && line <= span[2]);
        let around = around.min_by_key(|(span, _)| (span[2] - span[0], usize::MAX - span[1]));
        match (begin.is_empty(), around) {
            (false, _) => lines.push((line, begin.iter().any(|&count| count > 0))),
            (true, Some((_, count))) => lines.push((line, *count > 0)),
            (true, None) => {}
        }
    }
    lines
}

/// The figures, a row for each file; with branches or without.
pub fn table(report: &Report, branches: bool) -> String {
    let mut rows = Vec::new();
    let mut sum = [0; 4];
    for (file, File { branches, lines }) in report {
        let taken = |ways: &Ways| usize::from(ways.met > 0) + usize::from(ways.unmet > 0);
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
    let head = ["file", "branches", "%", "lines", "reached", "%"].map(str::to_owned).to_vec();
    let rows = rows.into_iter().map(|(file, [all, taken, lines, run])| {
        cells([&file, &all, &percent(taken, all), &lines, &run, &percent(run, lines)])
    });
    let mut rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    if !branches {
        rows.iter_mut().for_each(|row| _ = row.drain(1..3));
    }
    columns(&rows, &[0])
}

/// Only what is whole is shown as 100.0.
fn percent(covered: usize, all: usize) -> String {
    match all {
        0 => "-".to_owned(),
        all => format!("{:.1}", (1000 * covered / all) as f64 / 10.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_copy_covers_a_branch_and_a_line() {
        let function = |met: u64, unmet: u64, inside: u64| {
            serde_json::json!({
                "filenames": ["/p/fuzz/../core/src/a.rs", "/else/b.rs"],
                "branches": [[2, 5, 2, 9, met, unmet, 0, 0, 4], [1, 1, 1, 2, 0, 0, 1, 0, 4]],
                "regions": [[1, 1, 5, 2, 1, 0, 0, 0], [2, 10, 4, 6, inside, 0, 0, 0]],
            })
        };
        let mut report = Report::new();
        add_function(&mut report, &function(0, 3, 0), Path::new("/p"), &["core/src"]);
        assert_eq!(report["core/src/a.rs"].branches[&[2, 5, 2, 9]], Ways { met: 0, unmet: 3 });
        assert!(!report["core/src/a.rs"].lines[&3]);
        add_function(&mut report, &function(1, 0, 1), Path::new("/p"), &["core/src"]);
        assert_eq!(report["core/src/a.rs"].branches[&[2, 5, 2, 9]], Ways { met: 1, unmet: 3 });
        let lines = &report["core/src/a.rs"].lines;
        assert!((1..=5).all(|line| lines[&line]));
        assert_eq!(report.len(), 1);
        let last = |report: &Report, branches: bool| {
            let table = table(report, branches);
            table.lines().last().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(last(&report, true).as_deref(), Some("all 2 100.0 5 5 100.0"));
        report
            .insert("core/src/b.rs".into(), File { lines: [(1, false)].into(), ..File::default() });
        assert_eq!(last(&report, false).as_deref(), Some("all 6 5 83.3"));
    }
}
