//! The mutants of the core: what cargo-mutants would change comes in as its JSON, one [`Mutant`]
//! each comes out, with places in bytes.
//!
//! What a mutant is, cargo-mutants alone decides; here it is only given a name that does not change
//! when lines move: its file, its words, and the source line that it is on.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use crate::exceptions::Row;
use serde_json::Value;
use xtask::{ElseSay, Result, command, paths};

/// A function returns at once.
pub const BODY: &str = "FnValue";
/// A field of a struct comes from its base.
pub const FIELD: &str = "StructField";

/// One change of the core's text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutant {
    /// Which of all it is, from 1 on; the switch's number.
    pub number: u32,
    /// The file, from the project's root.
    pub file: String,
    /// In which line it begins, for people.
    pub line: usize,
    /// The source line that it begins on, without its indentation.
    pub source: String,
    /// What is changed, in cargo-mutants' words; `(2)` after it for the second of its kind in a
    /// line.
    pub what: String,
    /// How, in cargo-mutants' words.
    pub genre: String,
    /// The bytes of the file that are replaced.
    pub place: Range<usize>,
    pub replacement: String,
}

impl Mutant {
    /// Where and what, on one line.
    pub fn shown(&self) -> String {
        format!("{}:{}: {}", self.file, self.line, self.what)
    }

    /// Whether nothing is changed: the function cannot be called, because its type has no value, or
    /// it does what it is changed to already, but for naming what it does not use.
    pub fn changes_nothing(&self, text: &str) -> bool {
        let mut body = text[self.place.clone()].trim();
        while let Some((_, rest)) = body.strip_prefix("let _ = ").and_then(|b| b.split_once(';')) {
            body = rest.trim();
        }
        let body = if body.is_empty() { "()" } else { body };
        self.genre == BODY && (body == "match *self {}" || body == self.replacement)
    }

    /// What a row of the list says of it.
    pub fn row(&self) -> Row {
        (self.file.clone(), format!("`{}` at `{}`", self.what, self.source))
    }

    /// The part of the file's text with this change in it.
    pub fn apply(&self, text: &str, part: Range<usize>) -> String {
        let before = &text[part.start..self.place.start];
        let mut after = &text[self.place.end..part.end];
        if self.genre == FIELD {
            after = after.trim_start().strip_prefix(',').unwrap_or(after);
        }
        // A space on each side keeps what is left in separate tokens.
        format!("{before} {} {after}", self.replacement)
    }
}

/// All mutants of the core in `root`, in the order of the files, as the `program` cargo-mutants has
/// them.
pub fn list(program: &Path, root: &Path) -> Result<Vec<Mutant>> {
    let mut command = Command::new(program);
    command.args(["mutants", "--list", "--json", "--no-config", "--dir", "core"]);
    let output = command::output(command.current_dir(root))?;
    let list: Vec<Value> = serde_json::from_slice(&output.stdout)
        .else_say("cargo mutants --list gave no JSON list")?;
    let mut texts = HashMap::new();
    let mut mutants = Vec::with_capacity(list.len());
    for value in &list {
        let file = value["file"].as_str().unwrap_or_default();
        if !texts.contains_key(file) {
            texts.insert(file, paths::text(&root.join(file))?);
        }
        let number = mutants.len() as u32 + 1;
        let mutant = parse(value, number, &texts[file]);
        mutants.push(mutant.ok_or_else(|| format!("not understood of cargo mutants: {value}"))?);
    }
    tell_apart(&mut mutants);
    Ok(mutants)
}

fn parse(value: &Value, number: u32, text: &str) -> Option<Mutant> {
    let place = |end: &str| {
        let (line, column) = (&value["span"][end]["line"], &value["span"][end]["column"]);
        offset(text, line.as_u64()? as usize, column.as_u64()? as usize)
    };
    let line = value["span"]["start"]["line"].as_u64()? as usize;
    // The name begins with FILE:LINE:COLUMN.
    let what = value["name"].as_str()?.splitn(4, ':').nth(3)?.trim().to_owned();
    Some(Mutant {
        number,
        file: value["file"].as_str()?.to_owned(),
        line,
        source: text.lines().nth(line.checked_sub(1)?)?.trim().to_owned(),
        what,
        genre: value["genre"].as_str()?.to_owned(),
        place: place("start")?..place("end")?,
        replacement: value["replacement"].as_str()?.to_owned(),
    })
}

/// The byte at which a line (from 1) and a column of characters (from 1) begin.
fn offset(text: &str, line: usize, column: usize) -> Option<usize> {
    let start: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum();
    let rest = text.get(start..)?;
    let column = column.checked_sub(1)?;
    let width = rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
    Some(start + width)
}

/// Numbers those that have the same words on lines with the same text.
fn tell_apart(mutants: &mut [Mutant]) {
    let mut seen: HashMap<(String, String, String), usize> = HashMap::new();
    for mutant in mutants {
        let key = (mutant.file.clone(), mutant.source.clone(), mutant.what.clone());
        let count = seen.entry(key).or_default();
        *count += 1;
        if *count > 1 {
            mutant.what = format!("{} ({count})", mutant.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters() {
        let text = "ab\nü = x\n";
        assert_eq!(offset(text, 2, 5), Some(8));
        assert_eq!(&text[offset(text, 2, 5).expect("a place")..], "x\n");
    }
}
