//! Lines out, cut to the terminal's width.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

/// Width where there is no terminal, or one that does not tell.
const COLUMNS: usize = 100;

/// How many columns a line of output may take.
pub fn columns() -> usize {
    if !std::io::stdout().is_terminal() {
        return COLUMNS;
    }
    let output = Command::new("stty").arg("size").stdin(Stdio::inherit()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let width = text.ok().and_then(|text| text.split_whitespace().nth(1)?.parse().ok());
    width.filter(|width| *width >= 40).unwrap_or(COLUMNS)
}

/// `text` (ASCII) cut to `width` columns, with dots where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.len() <= width {
        return text.to_owned();
    }
    let shown: String = text.chars().take(width.saturating_sub(4)).collect();
    format!("{shown} ...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fits() {
        assert_eq!(cut("abcdefghij", 10), "abcdefghij");
        assert_eq!(cut("abcdefghijk", 10), "abcdef ...");
    }
}
