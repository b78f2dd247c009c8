//! What llvm-cov found, by source: its JSON in; each branch with both its ways, and each line, covered or not,
//! out.
//!
//! Generic code is compiled many times. A way of a branch, or a line, is covered when any of the copies took
//! it, in any of the programs that ran.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use xtask::Result;

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
    /// Its branches.
    pub branches: BTreeMap<Span, Ways>,
    /// Its lines that are code, and whether one was run.
    pub lines: BTreeMap<usize, bool>,
}

/// The files below one folder, by their names from the project's root.
pub type Report = BTreeMap<String, File>;

/// Where Debian has LLVM of the version that the compiler is made with.
const DEBIAN: &str = "/usr/lib/llvm-22/bin";

/// Where a tool of LLVM is: what `$LLVM_COV` or `$LLVM_PROFDATA` names, the compiler's own, or Debian's.
pub fn tool(name: &str) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(name.to_uppercase().replace('-', "_")) {
        return Ok(path.into());
    }
    let output = Command::new("rustc").args(["--print", "target-libdir"]).output();
    let output = output.map_err(|error| format!("cannot run rustc: {error}"))?;
    let libraries = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let own = Path::new(&libraries).with_file_name("bin").join(name);
    let found = [own, Path::new(DEBIAN).join(name)].into_iter().find(|path| path.is_file());
    found.ok_or_else(|| format!("there is no {name} of the compiler's version"))
}

/// Adds what `program` counted in these raw profiles to `report`, as far as it is in `folder` of `root`.
pub fn add(
    report: &mut Report,
    program: &Path,
    profiles: &[PathBuf],
    root: &Path,
    folder: &str,
) -> Result<()> {
    let merged = program.with_extension("profdata");
    let mut merge = Command::new(tool("llvm-profdata")?);
    merge.args(["merge", "-sparse", "-o"]).arg(&merged).args(profiles);
    xtask::install::run(&mut merge)?;
    let mut export = Command::new(tool("llvm-cov")?);
    export.args(["export", "-format=text", "-instr-profile"]).arg(&merged).arg(program);
    let output = export.output().map_err(|error| format!("cannot run llvm-cov: {error}"))?;
    if !output.status.success() {
        return Err(format!("llvm-cov: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let json: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("llvm-cov gave no JSON: {error}"))?;
    let prefix = format!("{}/", root.display());
    for function in json["data"][0]["functions"].as_array().into_iter().flatten() {
        add_function(report, function, &prefix, folder);
    }
    Ok(())
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().map(|number| number.as_u64().unwrap_or(0)).collect()
}

fn span(numbers: &[u64]) -> Span {
    [0, 1, 2, 3].map(|at| numbers.get(at).copied().unwrap_or(0) as usize)
}

fn add_function(report: &mut Report, function: &Value, prefix: &str, folder: &str) {
    let names: Vec<Option<&str>> = function["filenames"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|name| name.as_str()?.strip_prefix(prefix).filter(|name| name.starts_with(folder)))
        .collect();
    let name = |at: u64| names.get(at as usize).copied().flatten();
    for branch in function["branches"].as_array().into_iter().flatten().map(numbers) {
        let [_, _, _, _, met, unmet, file, ..] = branch[..] else { continue };
        let Some(name) = name(file) else { continue };
        let ways = report.entry(name.to_owned()).or_default();
        let ways = ways.branches.entry(span(&branch)).or_default();
        ways.met += met;
        ways.unmet += unmet;
    }
    let mut regions: HashMap<&str, Vec<(Span, u64)>> = HashMap::new();
    for region in function["regions"].as_array().into_iter().flatten().map(numbers) {
        // Only code; not what an expansion or a gap stands for.
        let [_, _, _, _, count, file, _, 0] = region[..] else { continue };
        if let Some(name) = name(file) {
            regions.entry(name).or_default().push((span(&region), count));
        }
    }
    for (name, regions) in regions {
        let lines = &mut report.entry(name.to_owned()).or_default().lines;
        for (line, run) in lines_of(&regions) {
            *lines.entry(line).or_default() |= run;
        }
    }
}

/// The lines of one function: a line is run when any piece that begins on it is, and one on which none
/// begins goes with the smallest piece around it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_copy_covers_a_branch_and_a_line() {
        let function = |met: u64, unmet: u64, inside: u64| {
            serde_json::json!({
                "filenames": ["/p/core/src/a.rs", "/else/b.rs"],
                "branches": [[2, 5, 2, 9, met, unmet, 0, 0, 4], [1, 1, 1, 2, 0, 0, 1, 0, 4]],
                "regions": [[1, 1, 5, 2, 1, 0, 0, 0], [2, 10, 4, 6, inside, 0, 0, 0]],
            })
        };
        let mut report = Report::new();
        add_function(&mut report, &function(0, 3, 0), "/p/", "core/src");
        assert_eq!(report["core/src/a.rs"].branches[&[2, 5, 2, 9]], Ways { met: 0, unmet: 3 });
        assert!(!report["core/src/a.rs"].lines[&3]);
        add_function(&mut report, &function(1, 0, 1), "/p/", "core/src");
        assert_eq!(report["core/src/a.rs"].branches[&[2, 5, 2, 9]], Ways { met: 1, unmet: 3 });
        let lines = &report["core/src/a.rs"].lines;
        assert!((1..=5).all(|line| lines[&line]));
        assert_eq!(report.len(), 1);
    }
}
