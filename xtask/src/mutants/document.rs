//! The rows of `docs/mutants.md`: text in; the mutants that no test can catch out, and the other way round.
//!
//! ```text
//! ## core/src/frame.rs
//!
//! * `replace < with <= in shift_down` at `while read < end {`: the reason, as long as it takes
//! ```

use super::list::Mutant;
use crate::exceptions::Document;
use xtask::Result;

/// What is changed in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    what: String,
    /// The source line.
    source: String,
}

/// A mutant that is known to be missed: its file, and the change.
pub type Row = (String, Change);

/// Whether a row is about this mutant.
pub fn is_about((file, change): &Row, mutant: &Mutant) -> bool {
    *file == mutant.file && change.what == mutant.what && change.source == mutant.source
}

/// The document.
pub const DOCUMENT: Document = Document {
    name: "docs/mutants.md",
    begin: "<!-- figures: written by cargo xtask mutants -->",
    form: "`WHAT` at `LINE`: REASON",
};

/// The list.
pub fn listed() -> Result<Vec<Row>> {
    DOCUMENT.rows(change)
}

/// Reads a row: the change, and the reason.
fn change(row: &str) -> Option<(Change, &str)> {
    let (what, rest) = row.strip_prefix('`')?.split_once("` at `")?;
    let (source, reason) = rest.rsplit_once("`: ")?;
    Some((Change { what: what.into(), source: source.into() }, reason))
}

/// The row that a mutant would need in the list.
pub fn row(mutant: &Mutant) -> String {
    format!("* `{}` at `{}`: ", mutant.what, mutant.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_file_a_change_a_line_and_a_reason() {
        let text = "# T\n* no row\n## core/src/a.rs\n\n* `replace < with <= in f` at `a < `b`: c`: why\n  more\n";
        let expected =
            Change { what: "replace < with <= in f".into(), source: "a < `b`: c".into() };
        let rows = DOCUMENT.parse(text, change);
        assert_eq!(rows, Ok(vec![("core/src/a.rs".into(), expected)]));
        for row in ["* `x` at `y`: ", "* x: y"] {
            let text = format!("## core/src/a.rs\n{row}\n");
            assert!(DOCUMENT.parse(&text, change).is_err(), "{row}");
        }
    }

    #[test]
    fn the_projects_own_list_is_understood() {
        assert!(listed().is_ok());
    }
}
