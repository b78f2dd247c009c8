//! A document with a part that a task writes: what belongs between its two marks comes in, the
//! document with that in its place goes out. All else in it is written by people and stays as it
//! is, byte for byte.

use std::path::PathBuf;

use crate::{Result, paths};

/// Where a task writes.
pub struct Marked {
    /// The document, from the project's root.
    pub name: &'static str,
    /// The mark before the part.
    pub begin: &'static str,
    /// The mark after it.
    pub end: &'static str,
}

impl Marked {
    pub fn path(&self) -> PathBuf {
        paths::root().join(self.name)
    }

    pub fn text(&self) -> Result<String> {
        paths::text(&self.path())
    }

    /// Writes the part.
    pub fn write(&self, part: &str) -> Result<()> {
        paths::write(&self.path(), self.replaced(&self.text()?, part)?)
    }

    /// `text` with this part, which stands on lines of its own.
    fn replaced(&self, text: &str, part: &str) -> Result<String> {
        let Marked { name, begin, end } = self;
        let (before, rest) =
            text.split_once(begin).ok_or_else(|| format!("{name} has no mark {begin}"))?;
        let (_, after) = rest
            .split_once(end)
            .ok_or_else(|| format!("{name} has no mark {end} after {begin}"))?;
        Ok(format!("{before}{begin}\n{}\n{end}{after}", part.trim_end_matches('\n')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKED: Marked =
        Marked { name: "docs/a.md", begin: "<!-- begin -->", end: "<!-- end -->" };

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let text = "<!-- end -->\n<!-- begin -->\nold\n<!-- end -->\nafter <!-- end -->";
        let new = "<!-- end -->\n<!-- begin -->\nnew\n<!-- end -->\nafter <!-- end -->";
        for part in ["new", "new\n"] {
            assert_eq!(MARKED.replaced(text, part).as_deref(), Ok(new));
            assert_eq!(MARKED.replaced(new, part).as_deref(), Ok(new));
        }
    }

    #[test]
    fn a_mark_that_is_missing_is_named() {
        let error = |text| MARKED.replaced(text, "new").unwrap_err();
        assert_eq!(error("no marks"), "docs/a.md has no mark <!-- begin -->");
        let wrong = "docs/a.md has no mark <!-- end --> after <!-- begin -->";
        assert_eq!(error("<!-- end --><!-- begin -->"), wrong);
    }
}
