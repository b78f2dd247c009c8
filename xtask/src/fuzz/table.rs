//! What came of the targets, as a table of at most 80 columns.

use super::Outcome;

/// The table, and a line with the sums.
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "{:<16}{:>9}{:>14}{:>12}{:>9}{:>8}{:>10}\n",
        "target", "seconds", "executions", "per second", "edges", "inputs", "findings"
    );
    for outcome in outcomes {
        let findings = match outcome.passed() {
            true => "0".to_owned(),
            false => outcome.findings.len().max(1).to_string(),
        };
        text.push_str(&format!(
            "{:<16}{:>9.0}{:>14}{:>12.0}{:>9}{:>8}{findings:>10}\n",
            outcome.target,
            outcome.seconds,
            outcome.executions,
            outcome.executions as f64 / outcome.seconds.max(0.001),
            outcome.edges,
            outcome.inputs,
        ));
    }
    let executions: u64 = outcomes.iter().map(|outcome| outcome.executions).sum();
    let failed = outcomes.iter().filter(|outcome| !outcome.passed()).count();
    text + &format!("{executions} executions in all, {failed} target(s) with findings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_a_terminal_and_sums_up() {
        let outcome = |target: &str, findings: Vec<String>| Outcome {
            target: target.to_owned(),
            seconds: 3600.0,
            executions: 1_000_000_000,
            edges: 12_345,
            inputs: 9999,
            findings,
            ended_well: true,
        };
        let table =
            table(&[outcome("virtio_console", vec![]), outcome("framer", vec!["x".to_owned()])]);
        assert!(table.lines().all(|line| line.len() <= 80), "{table}");
        assert!(table.ends_with("2000000000 executions in all, 1 target(s) with findings"));
    }
}
