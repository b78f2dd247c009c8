//! Quiet points in; a table of at most 80 columns and, for each promise, whether it was kept, out.
//!
//! Flat means: after the first fifth, which warms up, all quiet points show the same but for CPU
//! time, of which the last third shows what the first third showed.

use xtask::Result;
use xtask::table::{cells, columns};

use super::sample::Sample;

/// CPU time counts instructions here (see `COUNTED_INSTRUCTIONS`), so it does not swing with the
/// load of the machine; interrupts that happen to come while the agent runs are counted to it,
/// though.
const CPU_RATIO_MAX: f64 = 1.15;
/// Rows of the table; a long run shows some of its quiet points.
const ROWS_MAX: usize = 20;

/// What was promised, what came, and whether that is flat.
pub struct Line {
    pub what: &'static str,
    pub found: String,
    pub flat: bool,
}

/// Judges a run. Errors: it was too short for a verdict.
pub fn judge(samples: &[Sample]) -> Result<Vec<Line>> {
    let end = samples.last().map(|sample| sample.at).unwrap_or_default();
    let warm: Vec<&Sample> = samples.iter().filter(|sample| sample.at >= end / 5).collect();
    let third = warm.len() / 3;
    if third < 2 {
        return Err(format!("{} quiet points are too few for a verdict", samples.len()));
    }
    let (first, last) = (&warm[..third], &warm[warm.len() - third..]);
    let other = samples.iter().find(|sample| sample.descriptors != samples[0].descriptors);
    let descriptors = Line {
        what: "descriptors",
        found: match other {
            None => format!("{} at each quiet point", samples[0].descriptors.len()),
            Some(other) => {
                let (one, two) = (&samples[0].descriptors, &other.descriptors);
                format!("{}, at {} {}", one.join(" "), other.clock(), two.join(" "))
            }
        },
        flat: other.is_none(),
    };
    let memory = |what, value: fn(&Sample) -> u64| {
        let values = || warm.iter().map(|sample| value(sample));
        let (least, most) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
        let found = match most - least {
            0 => format!("{least} kB at each quiet point"),
            _ => format!("{least} to {most} kB at quiet points, which are alike"),
        };
        Line { what, found, flat: least == most }
    };
    let (before, after) = (cost(first), cost(last));
    let ratio = after / before;
    let cpu = Line {
        what: "CPU a request",
        found: format!(
            "{before:.1} us, then {after:.1} us: {ratio:.3} x (at most {CPU_RATIO_MAX})"
        ),
        flat: ratio <= CPU_RATIO_MAX,
    };
    let wake_ups: u64 = samples.iter().map(|sample| sample.wake_ups).sum();
    let idle = Line {
        what: "wake-ups when idle",
        found: format!("{wake_ups} in {} s", samples.len()),
        flat: wake_ups == 0,
    };
    Ok(vec![
        descriptors,
        memory("resident memory", |sample| sample.resident_kb),
        memory("anonymous memory", |sample| sample.anonymous_kb),
        memory("private dirty", |sample| sample.dirty_kb),
        cpu,
        idle,
    ])
}

/// The middle one of the costs of a request.
fn cost(samples: &[&Sample]) -> f64 {
    let mut costs: Vec<f64> = samples.iter().map(|sample| sample.request_us).collect();
    costs.sort_by(f64::total_cmp);
    costs.get(costs.len() / 2).copied().unwrap_or(0.0)
}

/// Prints the table and what [`judge`] says.
pub fn print(samples: &[Sample]) {
    let head = "time requests connects fds RSS/kB anon/kB dirty/kB us/req wakes handle";
    let mut lines = vec![head.split(' ').map(str::to_owned).collect()];
    lines.extend(shown(samples).into_iter().map(|sample| {
        let s = sample;
        let memory = [s.resident_kb, s.anonymous_kb, s.dirty_kb].map(|kb| kb.to_string());
        let cost = format!("{:.1}", s.request_us);
        let first = cells([&s.clock(), &s.requests, &s.connections, &s.descriptors.len()]);
        [&first[..], &memory, &cells([&cost, &s.wake_ups, &s.handle])].concat()
    }));
    println!("\n{}\n", columns(&lines, &[]));
    let lines = judge(samples).unwrap_or_default();
    for Line { what, found, flat } in lines {
        println!("  {:8} {what:18} {found}", if flat { "flat" } else { "NOT FLAT" });
    }
    if let Some(last) = samples.last() {
        println!(
            "  {:8} {:18} {} requests, {} connections, every one with its sync",
            "answered", "", last.requests, last.connections
        );
    }
}

/// As many of the samples as the table has rows, the first and the last among them.
fn shown(samples: &[Sample]) -> Vec<&Sample> {
    let rows = samples.len().min(ROWS_MAX);
    let step = |row: usize| row * (samples.len() - 1) / (rows - 1).max(1);
    (0..rows).map(|row| &samples[step(row)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn run(change: impl Fn(usize, &mut Sample)) -> Vec<Sample> {
        let flat = |at: usize| {
            let mut sample = Sample {
                at: Duration::from_secs(10 * at as u64),
                requests: 100 * at as u64,
                connections: at as u64,
                descriptors: vec!["/dev/null".to_owned(); 3],
                resident_kb: 100,
                anonymous_kb: 50,
                dirty_kb: 60,
                request_us: 200.0,
                wake_ups: 0,
                handle: 1000 + at as u64,
            };
            change(at, &mut sample);
            sample
        };
        (1..=40).map(flat).collect()
    }

    fn not_flat(samples: &[Sample]) -> Vec<&'static str> {
        let lines = judge(samples).unwrap();
        lines.iter().filter(|line| !line.flat).map(|line| line.what).collect()
    }

    #[test]
    fn what_grows_is_named() {
        assert_eq!(not_flat(&run(|_, _| {})), [""; 0]);
        // A page in the warm-up is none that leaks; one later is.
        assert_eq!(not_flat(&run(|at, sample| sample.resident_kb += 4 * (at > 5) as u64)), [""; 0]);
        let late = run(|at, sample| sample.anonymous_kb += 4 * (at > 35) as u64);
        assert_eq!(not_flat(&late), ["anonymous memory"]);
        // What comes and goes with the load would be a leak under another load.
        let once = run(|at, sample| sample.dirty_kb += 4 * (at == 20) as u64);
        assert_eq!(not_flat(&once), ["private dirty"]);
        let leak = run(|at, sample| sample.descriptors.truncate(if at == 2 { 2 } else { 3 }));
        assert_eq!(not_flat(&leak), ["descriptors"]);
        let slower = run(|at, sample| sample.request_us *= 1.0 + at as f64 / 80.0);
        assert_eq!(not_flat(&slower), ["CPU a request"]);
        let wakes = run(|at, sample| sample.wake_ups = (at == 20) as u64);
        assert_eq!(not_flat(&wakes), ["wake-ups when idle"]);
    }

    #[test]
    fn a_run_too_short_has_no_verdict() {
        assert!(judge(&run(|_, _| {})[..5]).is_err());
        assert!(judge(&[]).is_err());
    }

    #[test]
    fn long_runs_show_some() {
        let samples = run(|_, _| {});
        let rows = shown(&samples);
        assert_eq!((rows.len(), rows[0].requests, rows[19].requests), (20, 100, 4000));
        assert_eq!(shown(&samples[..3]).len(), 3);
        assert_eq!(shown(&samples[..1]).len(), 1);
        assert!(shown(&[]).is_empty());
    }
}
