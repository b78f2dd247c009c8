//! The result as a picture: rows go in, an SVG bar chart comes out: how many times better than the
//! reference each number is, on a logarithmic scale, readable on light and on dark pages.

use super::table::{Better, Goal, Row, factor_text};
use crate::table::number;

const TITLE: &str = "How many times better than Debian's qemu-ga";
const WIDTH: f64 = 860.0;
/// Where the bars start and how far they may reach.
const BARS_FROM: f64 = 330.0;
const BARS_TO: f64 = 650.0;
const TOP: f64 = 84.0;
const STEP: f64 = 27.0;
const BAR: f64 = 15.0;
const BOTTOM: f64 = 12.0;

const STYLE: &str = "
    text { font: 13px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328; }
    .title { font-size: 16px; font-weight: 600; }
    .quiet { fill: #59636e; font-size: 12px; }
    .paper { fill: #ffffff; }
    .grid { stroke: #d1d9e0; }
    .bar { fill: #2c6fbb; }
    .goal { stroke: #bc4c00; stroke-width: 2; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .quiet { fill: #9198a1; }
      .paper { fill: #0d1117; }
      .grid { stroke: #3d444d; }
      .bar { fill: #5a9bea; }
      .goal { stroke: #f0883e; }
    }
";

pub fn svg(rows: &[Row]) -> String {
    let bars: Vec<(&Row, f64)> = rows.iter().filter_map(|row| Some((row, row.factor()?))).collect();
    let goals = bars.iter().filter_map(|(row, _)| goal_factor(row));
    let largest = bars.iter().map(|(_, factor)| *factor).chain(goals).fold(10.0, f64::max);
    let decades = largest.log10().ceil();
    let x = |factor: f64| {
        BARS_FROM + (BARS_TO - BARS_FROM) * (factor.log10() / decades).clamp(0.0, 1.0)
    };
    let end = TOP + STEP * bars.len() as f64;
    let height = end + BOTTOM;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{TITLE}\">\n  \
         <style>{STYLE}  </style>\n  \
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n"
    );
    out += &text("title", 16.0, 28.0, "start", TITLE);
    let legend = "both measured in the same run, medians; logarithmic scale; the line is the goal";
    out += &text("quiet", 16.0, 48.0, "start", legend);
    out += &text("quiet", WIDTH - 16.0, TOP - 12.0, "end", "ours : qemu-ga");
    for decade in 0..=decades as i32 {
        let value = 10f64.powi(decade);
        let at = x(value);
        out += &line("grid", at, TOP - 6.0, end);
        out += &text("quiet", at, TOP - 12.0, "middle", &format!("{} x", number(value, 0)));
    }
    for (place, (row, factor)) in bars.iter().enumerate() {
        out += &bar(row, *factor, TOP + STEP * place as f64, &x);
    }
    out + "</svg>\n"
}

fn bar(row: &Row, factor: f64, top: f64, x: &dyn Fn(f64) -> f64) -> String {
    let base = top + BAR - 2.5;
    let to = x(factor);
    let mut out = text("", BARS_FROM - 10.0, base, "end", row.what);
    out += &format!(
        "  <rect class=\"bar\" x=\"{BARS_FROM:.1}\" y=\"{top:.1}\" width=\"{:.1}\" \
         height=\"{BAR}\" rx=\"2\"/>\n",
        (to - BARS_FROM).max(1.5)
    );
    let mut words_from = to;
    if let Some(goal) = goal_factor(row) {
        let at = x(goal);
        out += &line("goal", at, top - 3.0, top + BAR + 3.0);
        // A goal close after the bar's end would cross the number.
        if (to..to + 48.0).contains(&at) {
            words_from = at;
        }
    }
    let value =
        |value: Option<f64>| value.map_or(String::new(), |value| number(value, row.decimals));
    out += &text("", words_from + 8.0, base, "start", &factor_text(factor));
    let both = format!("{} : {}", value(row.ours), value(row.reference));
    out + &text("quiet", WIDTH - 16.0, base, "end", &both)
}

/// A goal as a multiple of the reference.
fn goal_factor(row: &Row) -> Option<f64> {
    let reference = row.reference.filter(|reference| *reference > 0.0)?;
    let limit = match row.goal {
        Goal::Times(times) => return Some(times),
        Goal::AtMost(limit) => limit,
        Goal::AtMostAboveIdle(more, idle) => idle + more,
        Goal::AtLeast(limit) => limit,
        Goal::None => return None,
    };
    match row.better {
        Better::Less => (limit > 0.0).then(|| reference / limit),
        Better::More => Some(limit / reference),
    }
}

fn line(class: &str, x: f64, from: f64, to: f64) -> String {
    let ends = format!("x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{from:.1}\" y2=\"{to:.1}\"");
    format!("  <line class=\"{class}\" {ends}/>\n")
}

fn text(class: &str, x: f64, y: f64, anchor: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"");
    format!("  <text class=\"{class}\" {place}>{words}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_ratio_has_no_bar() {
        let rows = [Row::less("a", "first", [1.0, 250.0]), Row::less("b", "second", [0.0, 0.0])];
        let picture = svg(&rows);
        assert!(picture.contains("first") && !picture.contains("second"));
        assert!(picture.contains("250 x"));
    }
}
