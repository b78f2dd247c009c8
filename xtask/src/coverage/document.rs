//! The rows of `docs/coverage.md`: text in; what no test reaches out, and the other way round.
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

use crate::exceptions::Document;
use xtask::Result;

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

/// The document.
pub const DOCUMENT: Document = Document {
    name: "docs/coverage.md",
    begin: "<!-- figures: written by cargo xtask coverage -->",
    form: "`CONDITION` is always (or never) met at `LINE`: REASON, nor lines of `FUNCTION`: REASON",
};

/// The list.
pub fn listed() -> Result<Vec<Row>> {
    DOCUMENT.rows(gap)
}

/// Reads a row: the gap, and the reason.
fn gap(row: &str) -> Option<(Gap, &str)> {
    if let Some(row) = row.strip_prefix("lines of `") {
        let (function, reason) = row.split_once("`: ")?;
        return Some((Gap::Lines(function.to_owned()), reason));
    }
    let (what, reason) = row.rsplit_once("`: ")?;
    let what = what.strip_prefix('`')?;
    ["always", "never"].into_iter().find_map(|how| {
        let (condition, line) = what.split_once(&format!("` is {how} met at `"))?;
        Some((Gap::Way(condition.to_owned(), how, line.to_owned()), reason))
    })
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
            assert_eq!(DOCUMENT.parse(&text, gap), Ok(vec![("core/src/a.rs".into(), row.clone())]));
            let bare = format!("## core/src/a.rs\n\n{row}\n");
            assert!(DOCUMENT.parse(&bare, gap).is_err(), "{row}");
        }
    }

    #[test]
    fn the_projects_own_list_is_understood() {
        assert!(listed().is_ok());
    }
}
