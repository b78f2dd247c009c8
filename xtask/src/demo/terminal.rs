//! Lines out, cut to the terminal's width; numbers with separators.

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

/// 1234567 as "1,234,567".
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_numbers_fit() {
        assert_eq!(cut("abcdefghij", 10), "abcdefghij");
        assert_eq!(cut("abcdefghijk", 10), "abcdef ...");
        assert_eq!([0, 999, 1000, 1234567].map(grouped).join(" "), "0 999 1,000 1,234,567");
    }
}
