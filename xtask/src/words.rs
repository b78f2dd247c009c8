//! A task's command line: its words in; flags, values and names out, and an error with the task's
//! usage for what it does not know.

use std::ops::RangeBounds;
use std::str::FromStr;

use crate::Result;

/// The words that nobody has taken yet.
pub struct Words {
    words: Vec<String>,
    usage: &'static str,
}

impl Words {
    /// The words of a task; none when they ask for help, which is then printed.
    pub fn new(words: &[String], usage: &'static str) -> Option<Words> {
        if words.iter().any(|word| word == "--help" || word == "-h") {
            println!("{usage}");
            return None;
        }
        Some(Words { words: words.to_vec(), usage })
    }

    /// Whether this flag is there.
    pub fn has(&mut self, flag: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != flag);
        self.words.len() < before
    }

    /// The value after this option.
    pub fn value(&mut self, option: &str) -> Result<Option<String>> {
        let Some(at) = self.words.iter().position(|word| word == option) else { return Ok(None) };
        self.words.remove(at);
        match at < self.words.len() {
            true => Ok(Some(self.words.remove(at))),
            false => Err(self.wrong(&format!("{option} needs a value"))),
        }
    }

    /// The number after this option, which must be in `range`.
    pub fn number<N: FromStr + PartialOrd>(
        &mut self,
        option: &str,
        range: impl RangeBounds<N>,
    ) -> Result<Option<N>> {
        let Some(text) = self.value(option)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let wrong = || self.wrong(&format!("{option} {text} is no number that it can have"));
        number.map(Some).ok_or_else(wrong)
    }

    /// What is left, each of it one of these names.
    pub fn names(self, known: &[String]) -> Result<Vec<String>> {
        match self.words.iter().find(|word| !known.contains(word)) {
            None => Ok(self.words),
            Some(word) if known.is_empty() => Err(self.wrong(&format!("no option {word}"))),
            Some(word) => {
                let known = known.join(", ");
                Err(self.wrong(&format!("no option or target {word}\ntargets: {known}")))
            }
        }
    }

    /// Nothing is left.
    pub fn end(self) -> Result<()> {
        self.names(&[]).map(|_| ())
    }

    /// An error that shows the usage.
    pub fn wrong(&self, what: &str) -> String {
        format!("{what}\n{}", self.usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Words {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Words::new(&words, "usage: x").expect("no help")
    }

    #[test]
    fn each_word_is_taken_once_or_refused_by_name() {
        let mut all = words("a --fast --jobs 3 b");
        assert!(all.has("--fast") && !all.has("--fast"));
        assert_eq!(all.number("--jobs", 1..).unwrap(), Some(3));
        assert_eq!(all.number::<u32>("--jobs", ..).unwrap(), None);
        let known = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(all.names(&known).unwrap(), ["a", "b"]);
        for line in ["--jobs", "--jobs 0", "--jobs x", "--jobs -1"] {
            let error = words(line).number::<u32>("--jobs", 1..).unwrap_err();
            assert!(error.contains("--jobs") && error.ends_with("usage: x"), "{error}");
        }
        assert!(words("--hours nan").number("--hours", 0.0..1e4).is_err());
        let error = words("nothing").names(&known).unwrap_err();
        assert!(error.contains("target nothing") && error.contains("a, b, c"), "{error}");
        assert!(words("--x").end().unwrap_err().contains("no option --x"));
        assert!(Words::new(&["x".to_owned(), "-h".to_owned()], "usage: x").is_none());
    }
}
