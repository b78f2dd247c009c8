//! The result as text: rows go in; a table of at most 100 columns, the same as markdown, and a JSON
//! value come out, and which goals were missed.

use serde_json::{Value, json};

use crate::table::{self, columns, number};

/// Whether a smaller or a larger number is the better one.
#[derive(Clone, Copy, PartialEq)]
pub enum Better {
    Less,
    More,
}

/// What is asked of our number.
#[derive(Clone)]
pub enum Goal {
    /// At most this, in the row's unit.
    AtMost(f64),
    /// At most this much more than the idle row's number, which is the second value.
    AtMostAboveIdle(f64, f64),
    /// At least this many times better than the reference.
    Times(f64),
    /// At least this, in the row's unit.
    AtLeast(f64),
    None,
}

/// One line of the table.
#[derive(Clone)]
pub struct Row {
    /// Its name in the JSON.
    pub key: &'static str,
    /// Its name for people, unit last.
    pub what: &'static str,
    pub ours: Option<f64>,
    pub reference: Option<f64>,
    pub better: Better,
    pub decimals: usize,
    pub goal: Goal,
    /// A missed goal fails the command: the goal is a promise, not only an aim.
    pub promised: bool,
    /// Why a number is missing, or what else must be said.
    pub note: Option<String>,
}

impl Row {
    /// A row without numbers.
    pub fn new(key: &'static str, what: &'static str, better: Better) -> Row {
        let (ours, reference, goal, note) = (None, None, Goal::None, None);
        Row { key, what, ours, reference, better, decimals: 0, goal, promised: false, note }
    }

    /// Ours and the reference's, of which the smaller is the better one.
    pub fn less(key: &'static str, what: &'static str, numbers: [f64; 2]) -> Row {
        Row::new(key, what, Better::Less).numbers(numbers)
    }

    /// The same, of which the larger is the better one.
    pub fn more(key: &'static str, what: &'static str, numbers: [f64; 2]) -> Row {
        Row::new(key, what, Better::More).numbers(numbers)
    }

    pub fn numbers(self, [ours, reference]: [f64; 2]) -> Row {
        Row { ours: Some(ours), reference: Some(reference), ..self }
    }

    pub fn decimals(self, decimals: usize) -> Row {
        Row { decimals, ..self }
    }

    pub fn promised(self, goal: Goal) -> Row {
        Row { goal, promised: true, ..self }
    }

    pub fn aim(self, goal: Goal) -> Row {
        Row { goal, ..self }
    }

    pub fn note(self, note: Option<String>) -> Row {
        Row { note, ..self }
    }

    /// How many times better ours is, when that can be said.
    pub fn factor(&self) -> Option<f64> {
        let (ours, reference) = (self.ours?, self.reference?);
        let (above, below) = match self.better {
            Better::Less => (reference, ours),
            Better::More => (ours, reference),
        };
        (above > 0.0 && below > 0.0).then(|| above / below)
    }

    /// Whether the goal holds; `None` without a goal. A number that is missing holds nothing.
    pub fn holds(&self) -> Option<bool> {
        // Half a unit of the last decimal shown is no miss: what is printed is what is judged.
        let slack = 0.5 / 10f64.powi(self.decimals as i32);
        let at_most = |limit: f64| self.ours.is_some_and(|ours| ours < limit + slack);
        match self.goal {
            Goal::AtMost(limit) => Some(at_most(limit)),
            Goal::AtMostAboveIdle(more, idle) => Some(at_most(idle + more)),
            Goal::Times(times) => Some(self.factor().is_some_and(|factor| factor >= times)),
            Goal::AtLeast(limit) => Some(self.ours.is_some_and(|ours| ours > limit - slack)),
            Goal::None => None,
        }
    }

    fn goal_text(&self) -> String {
        match self.goal {
            Goal::AtMost(limit) => format!("<= {}", number(limit, self.decimals)),
            Goal::AtMostAboveIdle(more, _) => format!("<= idle + {more}"),
            Goal::Times(times) => format!(">= {times} x"),
            Goal::AtLeast(limit) => format!(">= {}", number(limit, self.decimals)),
            Goal::None => String::new(),
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.holds(), self.promised) {
            (Some(true), _) => "yes",
            (Some(false), true) => "MISSED",
            (Some(false), false) => "not yet",
            (None, _) => "",
        }
    }

    fn cells(&self) -> [String; 6] {
        let cell =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| number(value, self.decimals));
        let factor = self.factor().map_or("-".to_owned(), factor_text);
        [
            self.what.to_owned(),
            cell(self.ours),
            cell(self.reference),
            factor,
            self.goal_text(),
            self.verdict().to_owned(),
        ]
    }
}

/// Columns of words.
const LEFT: [usize; 3] = [0, 4, 5];
const HEAD: [&str; 6] = ["what", "ours", "qemu-ga", "ratio", "goal", "ok?"];

fn lines(rows: &[Row]) -> Vec<Vec<String>> {
    let head = HEAD.map(str::to_owned);
    std::iter::once(head).chain(rows.iter().map(Row::cells)).map(Vec::from).collect()
}

/// The table for a terminal, at most 100 columns wide.
pub fn text(rows: &[Row]) -> String {
    format!("{}\n{}", columns(&lines(rows), &LEFT), notes(rows, "note: ", "\n      "))
}

/// The same for a markdown file.
pub fn markdown(rows: &[Row]) -> String {
    let (out, notes) = (table::markdown(&lines(rows), &LEFT), notes(rows, "* ", " "));
    if notes.is_empty() { out } else { format!("{out}\n{notes}") }
}

/// The same for programs.
pub fn value(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| {
            json!({
                "key": row.key,
                "what": row.what,
                "ours": row.ours.map(|value| rounded(value, row.decimals)),
                "qemu-ga": row.reference.map(|value| rounded(value, row.decimals)),
                "times-better": row.factor().map(|factor| rounded(factor, 2)),
                "goal": row.goal_text(),
                "promised": row.promised,
                "holds": row.holds(),
                "note": row.note,
            })
        })
        .collect()
}

/// The promises that did not hold, one line each.
pub fn missed(rows: &[Row]) -> Vec<String> {
    rows.iter()
        .filter(|row| row.promised && row.holds() == Some(false))
        .map(|row| {
            let [what, ours, reference, ratio, goal, _] = row.cells();
            format!("{what}: {ours} (qemu-ga {reference}, {ratio}), goal {goal}")
        })
        .collect()
}

fn notes(rows: &[Row], lead: &str, gap: &str) -> String {
    let with_note = rows.iter().filter_map(|row| Some((row.what, row.note.as_ref()?)));
    with_note.map(|(what, note)| format!("{lead}{what}:{gap}{note}\n")).collect()
}

pub fn factor_text(factor: f64) -> String {
    if factor >= 9.95 { format!("{factor:.0} x") } else { format!("{factor:.1} x") }
}

fn rounded(value: f64, decimals: usize) -> Value {
    let scale = 10f64.powi(decimals as i32);
    if decimals == 0 { json!(value.round() as i64) } else { json!((value * scale).round() / scale) }
}

/// The middle value; of an even count the lower of the two in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_judged_as_they_are_printed() {
        let row = Row::less("a", "what", [0.2504, 1.0]).decimals(3);
        assert_eq!(row.clone().promised(Goal::AtMost(0.25)).holds(), Some(true));
        assert_eq!(row.clone().promised(Goal::AtMost(0.249)).holds(), Some(false));
        assert_eq!(row.clone().promised(Goal::Times(4.0)).holds(), Some(false));
        assert_eq!(row.holds(), None);
    }

    #[test]
    fn a_missing_number_misses_its_promise() {
        let row = Row::new("a", "what", Better::More).note(Some("not measured: no tool".into()));
        let rows = [row.promised(Goal::Times(5.0))];
        assert_eq!(missed(&rows).len(), 1);
        assert!(text(&rows).contains("MISSED") && text(&rows).contains("no tool"));
    }

    #[test]
    fn the_table_fits_a_hundred_columns_and_parts_thousands() {
        let row = Row::new("a", "memory peak in a 40 MiB guest-file-read, kB", Better::Less);
        let rows = [row.numbers([1_234_567.0, 7_654_321.0]).promised(Goal::AtMost(9.0))];
        assert!(text(&rows).lines().all(|line| line.len() <= 100));
        assert!(text(&rows).contains("1,234,567"));
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
