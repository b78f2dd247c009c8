//! Cells and numbers in, text for people out: columns that stand below one another, thousands
//! apart.

/// Lines of cells, each column as wide as it must be; those named in `left` begin at their left.
pub fn columns(lines: &[Vec<String>], left: &[usize]) -> String {
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| Some(line.get(column)?.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let row = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| match left
            .contains(&column)
        {
            true => format!("{cell:<width$}"),
            false => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// Lines of cells as a table in markdown, the first of them its head; columns not in `left` are
/// of numbers.
pub fn markdown(lines: &[Vec<String>], left: &[usize]) -> String {
    let row = |line: &Vec<String>| format!("| {} |\n", line.join(" | "));
    let rule = |column: usize| if left.contains(&column) { "---" } else { "---:" }.to_owned();
    let (head, rest) = lines.split_at(lines.len().min(1));
    let rule = (0..head.first().map_or(0, Vec::len)).map(rule).collect();
    head.iter().chain([&rule]).chain(rest).map(row).collect()
}

/// A line of cells.
pub fn cells<const N: usize>(cells: [&dyn std::fmt::Display; N]) -> Vec<String> {
    cells.iter().map(|cell| cell.to_string()).collect()
}

/// A number with its thousands apart.
pub fn number(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let (whole, fraction) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut out = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + fraction
}

/// The same of bytes.
pub fn bytes(count: u64) -> String {
    number(count as f64, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another_and_thousands_apart() {
        let lines = [cells([&"what", &"ours", &"ok?"]), cells([&"\u{e4}", &1_234_567, &"yes"])];
        let text = columns(&lines, &[0, 2]);
        assert_eq!(text, "what     ours  ok?\n\u{e4}     1234567  yes");
        assert_eq!([0, 999, 1000, 1234567].map(bytes).join(" "), "0 999 1,000 1,234,567");
        let text = markdown(&lines, &[0, 2]);
        assert!(text.starts_with("| what | ours | ok? |\n| --- | ---: | --- |\n| \u{e4} | 12"));
        assert_eq!(number(999.95, 1), "1,000.0");
    }
}
