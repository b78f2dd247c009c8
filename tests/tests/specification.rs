//! SPECIFICATION.md against the tests: each promise names what holds it, and what it names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Commands of the project that hold a promise, with what shows that they are there.
const COMMANDS: [(&str, &str); 8] = [
    ("cargo xtask sim", "xtask/src/sim.rs"),
    ("cargo xtask fuzz", "xtask/src/fuzz.rs"),
    ("cargo xtask soak", "xtask/src/soak.rs"),
    ("cargo xtask coverage", "xtask/src/coverage.rs"),
    ("cargo xtask mutants", "xtask/src/mutants.rs"),
    ("cargo xtask size --check", "xtask/src/size.rs"),
    ("cargo xtask bench", "xtask/src/bench.rs"),
    ("cargo build --release", "platform-linux/build.rs"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of the tables, without heads and rules: each row's cells.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.filter(|row| !row.starts_with("promise |") && !row.starts_with("--- "))
        .map(|row| row.split(" | ").collect())
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Why a holder does not exist, if it does not.
fn missing(holder: &str) -> Option<String> {
    if let Some((_, file)) = COMMANDS.iter().find(|(command, _)| *command == holder) {
        return (!root().join(file).is_file()).then(|| format!("{holder}: no {file}"));
    }
    let Some((file, test)) = holder.split_once("::") else {
        return Some(format!("{holder}: neither a test nor a command of the project"));
    };
    let path = root().join("tests/tests").join(file);
    let Ok(source) = fs::read_to_string(&path) else { return Some(format!("{holder}: no {file}")) };
    let found = source.match_indices(&format!("fn {test}()")).any(|(at, _)| {
        let before = source[..at].trim_end();
        before.ends_with("#[test]")
    });
    (!found).then(|| format!("{holder}: no such test"))
}

#[test]
fn each_promise_has_a_test_that_exists() {
    let text = fs::read_to_string(root().join("SPECIFICATION.md")).expect("SPECIFICATION.md");
    let rows = rows(&text);
    assert!(rows.len() >= 40, "only {} promises were found", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let holders: BTreeSet<&str> = quoted(row.last().expect("a cell")).collect();
        if holders.is_empty() {
            wrong.push(format!("nothing holds: {}", row[0]));
        }
        wrong.extend(holders.into_iter().filter_map(missing));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_test_that_does_not_exist_is_missed() {
    assert_eq!(missing("limits.rs::depth"), None);
    for holder in ["limits.rs::no_such_test", "no_such_file.rs::depth", "make it so", "limits.rs"] {
        assert!(missing(holder).is_some(), "{holder}");
    }
}
