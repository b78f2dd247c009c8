//! `docs/coverage.md`: what no test reaches, with its reason, comes in; the figures go out, between two marks.
//!
//! ```text
//! ## core/src/frame.rs
//!
//! * `place.is_some()` is always met at `if place.is_some() {`: the reason, as long as it takes
//!
//! ## platform-linux/src/sys.rs
//!
//! * lines of `reboot`: the reason
//! ```

use std::fs;
use std::path::PathBuf;

use xtask::{Result, paths};

const BEGIN: &str = "<!-- figures: written by cargo xtask coverage -->";
const END: &str = "<!-- end -->";

/// What a row of the list is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Gap {
    /// One way of a condition: its text, whether it is `always` met or `never`, and the source line.
    Way(String, &'static str, String),
    /// Lines of a function.
    Lines(String),
}

/// A gap in a file.
pub type Row = (String, Gap);

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Gap::Way(condition, how, line) => {
                write!(f, "* `{condition}` is {how} met at `{line}`: ")
            }
            Gap::Lines(function) => write!(f, "* lines of `{function}`: "),
        }
    }
}

fn path() -> PathBuf {
    paths::root().join("docs/coverage.md")
}

fn text() -> Result<String> {
    fs::read_to_string(path()).map_err(|error| format!("cannot read docs/coverage.md: {error}"))
}

/// The list.
pub fn listed() -> Result<Vec<Row>> {
    parse(&text()?)
}

fn parse(text: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut file = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            file = heading.ends_with(".rs").then(|| heading.to_owned());
        }
        let (Some(file), Some(row)) = (&file, line.strip_prefix("* ")) else { continue };
        let gap = gap(row).ok_or_else(|| format!("docs/coverage.md: not understood: {row}"))?;
        rows.push((file.clone(), gap));
    }
    Ok(rows)
}

/// Reads a row; nothing if it is none, or has no reason.
fn gap(row: &str) -> Option<Gap> {
    if let Some(row) = row.strip_prefix("lines of `") {
        let (function, reason) = row.split_once("`: ")?;
        return (!reason.trim().is_empty()).then(|| Gap::Lines(function.to_owned()));
    }
    let (what, reason) = row.rsplit_once("`: ")?;
    if reason.trim().is_empty() {
        return None;
    }
    let what = what.strip_prefix('`')?;
    ["always", "never"].into_iter().find_map(|how| {
        let (condition, line) = what.split_once(&format!("` is {how} met at `"))?;
        Some(Gap::Way(condition.to_owned(), how, line.to_owned()))
    })
}

/// Writes the figures.
pub fn write_figures(figures: &str) -> Result<()> {
    let text = text()?;
    let (before, rest) = text.split_once(BEGIN).ok_or("docs/coverage.md has no figures' mark")?;
    let (_, after) = rest.split_once(END).ok_or("docs/coverage.md: the figures do not end")?;
    fs::write(path(), format!("{before}{BEGIN}\n{figures}\n{END}{after}"))
        .map_err(|error| format!("cannot write docs/coverage.md: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_as_it_is_shown() {
        let rows = [
            Gap::Way("a < b".into(), "never", "if a < b {".into()),
            Gap::Way("a".into(), "always", "if a && b {".into()),
            Gap::Lines("reboot".into()),
        ];
        for row in rows {
            let text = format!("## core/src/a.rs\n\n{row}because: so\n");
            assert_eq!(parse(&text), Ok(vec![("core/src/a.rs".into(), row.clone())]));
            assert!(parse(&format!("## core/src/a.rs\n\n{row}\n")).is_err(), "{row}");
        }
    }

    #[test]
    fn the_projects_own_list_is_understood() {
        assert!(listed().is_ok());
    }
}
