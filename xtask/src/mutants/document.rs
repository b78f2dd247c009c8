//! `docs/mutants.md`: the mutants that no test can catch, each with its reason, come in; the figures of the
//! last whole campaign go out, between two marks.
//!
//! ```text
//! ## core/src/frame.rs
//!
//! * `replace < with <= in shift_down` at `while read < end {`: the reason, as long as it takes
//! ```

use std::fs;
use std::path::PathBuf;

use super::list::Mutant;
use xtask::{Result, paths};

const BEGIN: &str = "<!-- figures: written by cargo xtask mutants -->";
const END: &str = "<!-- end -->";

/// A mutant that is known to be missed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its file.
    pub file: String,
    /// What is changed.
    pub what: String,
    /// The source line.
    pub source: String,
}

impl Listed {
    /// Whether it is this one.
    pub fn is(&self, mutant: &Mutant) -> bool {
        self.file == mutant.file && self.what == mutant.what && self.source == mutant.source
    }
}

fn path() -> PathBuf {
    paths::root().join("docs/mutants.md")
}

fn text() -> Result<String> {
    fs::read_to_string(path()).map_err(|error| format!("cannot read docs/mutants.md: {error}"))
}

/// The list.
pub fn listed() -> Result<Vec<Listed>> {
    parse(&text()?)
}

fn parse(text: &str) -> Result<Vec<Listed>> {
    let mut listed = Vec::new();
    let mut file = None;
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            file = heading.ends_with(".rs").then(|| heading.to_owned());
        }
        let (Some(file), Some(row)) = (&file, line.strip_prefix("* ")) else { continue };
        let parts = row.strip_prefix('`').and_then(|row| row.split_once("` at `"));
        let parts = parts.and_then(|(what, rest)| Some((what, rest.rsplit_once("`: ")?)));
        let Some((what, (source, reason))) = parts else {
            return Err(format!("docs/mutants.md: not `WHAT` at `LINE`: REASON: {row}"));
        };
        if reason.trim().is_empty() {
            return Err(format!("docs/mutants.md: no reason: {row}"));
        }
        listed.push(Listed { file: file.clone(), what: what.into(), source: source.into() });
    }
    Ok(listed)
}

/// The row that a mutant would need in the list.
pub fn row(mutant: &Mutant) -> String {
    format!("* `{}` at `{}`: ", mutant.what, mutant.source)
}

/// Writes the figures of a whole campaign.
pub fn write_figures(figures: &str) -> Result<()> {
    let text = text()?;
    let (before, rest) = text.split_once(BEGIN).ok_or("docs/mutants.md has no figures' mark")?;
    let (_, after) = rest.split_once(END).ok_or("docs/mutants.md: the figures do not end")?;
    fs::write(path(), format!("{before}{BEGIN}\n{figures}\n{END}{after}"))
        .map_err(|error| format!("cannot write docs/mutants.md: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_file_a_change_a_line_and_a_reason() {
        let text = "# T\n* no row\n## core/src/a.rs\n\n* `replace < with <= in f` at `a < `b`: c`: why\n  more\n";
        let rows = parse(text).expect("a list");
        let expected = Listed {
            file: "core/src/a.rs".into(),
            what: "replace < with <= in f".into(),
            source: "a < `b`: c".into(),
        };
        assert_eq!(rows, [expected]);
        assert!(parse("## core/src/a.rs\n* `x` at `y`: \n").is_err());
        assert!(parse("## core/src/a.rs\n* x: y\n").is_err());
    }

    #[test]
    fn the_projects_own_list_is_understood() {
        assert!(listed().is_ok());
    }
}
