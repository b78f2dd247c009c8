//! A document of exceptions, `docs/coverage.md` or `docs/mutants.md`: its rows, each with its file
//! and a reason, and what a task has found come in; what they disagree about, and the task's
//! figures between two marks, go out.
//!
//! ```text
//! <!-- figures: written by cargo xtask coverage -->
//! <!-- end -->
//!
//! ## core/src/frame.rs
//!
//! * lines of `shown`: the reason, as long as it takes
//! ```

use xtask::Result;
use xtask::marked::Marked;

/// One of these documents.
pub struct Document {
    /// Its name, from the project's root.
    pub name: &'static str,
    /// The mark before the figures.
    pub begin: &'static str,
}

/// A file, and what is said of it: of a row all after its star, of a finding all before the reason.
pub type Row = (String, String);

impl Document {
    fn marked(&self) -> Marked {
        Marked { name: self.name, begin: self.begin, end: "<!-- end -->" }
    }

    pub fn rows(&self) -> Result<Vec<Row>> {
        self.parse(&self.marked().text()?)
    }

    fn parse(&self, text: &str) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut file = None;
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                file = heading.ends_with(".rs").then(|| heading.to_owned());
            }
            let (Some(file), Some(row)) = (&file, line.strip_prefix("* ")) else { continue };
            if !row.contains("`: ") || row.ends_with("`: ") {
                return Err(format!("{}: no reason: {row}", self.name));
            }
            rows.push((file.clone(), row.to_owned()));
        }
        Ok(rows)
    }

    pub fn write_figures(&self, table: &str) -> Result<()> {
        self.marked().write(&format!("```text\n{table}\n```"))
    }

    /// Names what was found and is not listed, and rows that nothing found is about; `judged` says
    /// whether a row is about what was looked at.
    pub fn compare(
        &self,
        found: &[Row],
        listed: &[Row],
        judged: impl Fn(&Row) -> bool,
    ) -> Result<()> {
        let unlisted = found.iter().filter(|found| !listed.iter().any(|row| is_about(row, found)));
        let judged = listed.iter().filter(|row| judged(row));
        let gone = judged.filter(|row| !found.iter().any(|found| is_about(row, found)));
        let (unlisted, gone): (Vec<_>, Vec<_>) = (unlisted.collect(), gone.collect());
        for (file, what) in &unlisted {
            println!("NOT LISTED {file}\n  * {what}: ");
        }
        for (file, row) in &gone {
            println!("LISTED, but not so or gone: {file}\n  * {row}");
        }
        match unlisted.len() + gone.len() {
            0 => Ok(()),
            count => Err(format!("{count} differences from {}, named above", self.name)),
        }
    }
}

/// Whether a row is about this finding.
pub fn is_about((file, row): &Row, (found_in, what): &Row) -> bool {
    file == found_in && row.strip_prefix(what.as_str()).is_some_and(|rest| rest.starts_with(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: Document = Document { name: "docs/a.md", begin: "<!-- a -->" };

    fn row(what: &str) -> Row {
        ("core/src/a.rs".to_owned(), what.to_owned())
    }

    #[test]
    fn a_row_stands_below_its_file_and_has_a_reason() {
        let text = "# T\n* no row\n## Words\n\n* no row\n## core/src/a.rs\n\n* `x`: why\n  * more\n\
                    * `a < b` at `c: `d`: e`: z";
        let rows = DOCUMENT.parse(text).unwrap();
        assert_eq!(rows, [row("`x`: why"), row("`a < b` at `c: `d`: e`: z")]);
        assert!(DOCUMENT.parse("## core/src/a.rs\n* `x`: \n").is_err());
        assert!(DOCUMENT.parse("## core/src/a.rs\n* `x`\n").is_err());
        assert_eq!(
            DOCUMENT.compare(&[row("`a < b` at `c: `d`: e`"), row("`x`")], &rows, |_| true),
            Ok(())
        );
        assert!(DOCUMENT.compare(&[row("`x`")], &rows, |_| true).is_err());
        assert!(DOCUMENT.compare(&[row("`x`"), row("`y`")], &rows, |_| false).is_err());
        assert_eq!(DOCUMENT.compare(&[row("`x`")], &rows, |_| false), Ok(()));
    }

    #[test]
    fn the_projects_own_lists_are_understood() {
        assert!(crate::coverage::DOCUMENT.rows().is_ok_and(|rows| rows.len() > 9));
        assert!(crate::mutants::DOCUMENT.rows().is_ok_and(|rows| rows.len() > 5));
    }
}
