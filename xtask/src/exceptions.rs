//! A document of exceptions, `docs/coverage.md` or `docs/mutants.md`: its rows, each with its file and a reason,
//! come in; the figures of the task that measures go out, between two marks.
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
    /// How a row is written, for who wrote another.
    pub form: &'static str,
}

impl Document {
    fn marked(&self) -> Marked {
        Marked { name: self.name, begin: self.begin, end: "<!-- end -->" }
    }

    /// Its rows, each with its file. `read` takes a row apart into what it is about and the reason.
    pub fn rows<T>(&self, read: impl Fn(&str) -> Option<(T, &str)>) -> Result<Vec<(String, T)>> {
        self.parse(&self.marked().text()?, read)
    }

    /// As [`Document::rows`], from a text.
    pub fn parse<T>(
        &self,
        text: &str,
        read: impl Fn(&str) -> Option<(T, &str)>,
    ) -> Result<Vec<(String, T)>> {
        let Document { name, form, .. } = self;
        let mut rows = Vec::new();
        let mut file = None;
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("## ") {
                file = heading.ends_with(".rs").then(|| heading.to_owned());
            }
            let (Some(file), Some(row)) = (&file, line.strip_prefix("* ")) else { continue };
            let (what, reason) = read(row).ok_or_else(|| format!("{name}: not {form}: {row}"))?;
            if reason.trim().is_empty() {
                return Err(format!("{name}: no reason: {row}"));
            }
            rows.push((file.clone(), what));
        }
        Ok(rows)
    }

    /// Writes the figures.
    pub fn write_figures(&self, table: &str) -> Result<()> {
        self.marked().write(&format!("```text\n{table}\n```"))
    }

    /// What a task says that found differences.
    pub fn differs(&self, count: usize) -> Result<()> {
        match count {
            0 => Ok(()),
            _ => Err(format!("{count} differences from {}, named above", self.name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, String)>> {
        let document = Document { name: "docs/a.md", begin: "<!-- a -->", form: "WHAT: REASON" };
        document.parse(text, |row| row.split_once(':').map(|(what, why)| (what.to_owned(), why)))
    }

    #[test]
    fn a_row_stands_below_its_file_and_has_a_reason() {
        let text =
            "# T\n* no row\n## Words\n\n* no row\n## core/src/a.rs\n\n* x: why\n  * more\n* y: z";
        let row = |what: &str| ("core/src/a.rs".to_owned(), what.to_owned());
        assert_eq!(parse(text), Ok(vec![row("x"), row("y")]));
        let refused = |line: &str| parse(&format!("## core/src/a.rs\n* {line}\n"));
        assert_eq!(refused("x: "), Err("docs/a.md: no reason: x: ".into()));
        assert_eq!(refused("x"), Err("docs/a.md: not WHAT: REASON: x".into()));
    }
}
