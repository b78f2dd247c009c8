//! `cargo xtask sim` runs this, built in release: options in; progress, findings, and a last line
//! of figures out.

#![forbid(unsafe_code)]

mod campaign;

use campaign::Campaign;
use qga_sim::Canary;
use qga_simulation::source::Script;
use qga_simulation::torture::{Point, Session};
use qga_simulation::{Options, run_seed};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask sim [--seeds N] [--seed S] [--threads T] [--findings F]
       cargo xtask sim --torture N [--seed S] [--threads T] [--findings F]
       cargo xtask sim (--seed S | --script S) [--fault KIND:NUMBER:ERRNO[:lasting]]... [--canary NAME]

Holds seeded sessions with the agent on a simulated guest and judges every step.

  --seeds N      so many sessions (default 1000000), then looks for each canary
  --torture N    N untroubled sessions, each call of each failing once and for ever, for each reason;
                 then the scripts, each pair of calls failing
  --seed S       the first seed (default 0); on its own: that session only, with every byte shown
  --script S     that script only
  --fault F      fails that call in the session shown, as the torture does
  --threads T    on so many processors (default: all)
  --findings F   ends after so many findings (default 10)
  --canary NAME  with this bug in the guest: it must be found within 10000 sessions";

/// Within how many sessions a canary must be found.
const CANARY_SEEDS: u64 = 10_000;
const SEEDS_DEFAULT: u64 = 1_000_000;
/// After how many findings a campaign ends.
const FINDINGS_DEFAULT: u64 = 10;

#[derive(Default)]
struct Arguments {
    seeds: Option<u64>,
    seed: Option<u64>,
    torture: Option<u64>,
    threads: Option<usize>,
    findings: Option<u64>,
    canary: Option<Canary>,
    script: Option<u64>,
    faults: Vec<Point>,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if run(&arguments) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "--help" | "-h") {
            return Ok(None);
        }
        let value = words.next().ok_or(format!("{word}: a value is missing"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word}: {value} is no number"));
        match word.as_str() {
            "--seeds" => arguments.seeds = Some(number()?),
            "--seed" => arguments.seed = Some(number()?),
            "--script" => arguments.script = Some(number()?),
            "--torture" => arguments.torture = Some(number()?),
            "--threads" => arguments.threads = Some(number()?.max(1) as usize),
            "--findings" => arguments.findings = Some(number()?),
            "--fault" => {
                let point = Point::parse(&value);
                arguments.faults.push(point.ok_or(format!("--fault: {value} names no call"))?);
            }
            "--canary" => {
                let found = Canary::ALL.into_iter().find(|canary| canary.name() == value);
                arguments.canary = Some(found.ok_or_else(|| {
                    let names = Canary::ALL.map(Canary::name).join(", ");
                    format!("--canary: there is no {value}; there are {names}")
                })?);
            }
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(Some(arguments))
}

/// Whether everything held.
fn run(arguments: &Arguments) -> bool {
    let seed = arguments.seed.unwrap_or(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(cores);
    let single = match arguments {
        Arguments { script: Some(script), .. } => {
            Some(Session::Script(*script as usize % Script::ALL.len()))
        }
        Arguments { seed: Some(seed), seeds: None, torture: None, .. } => {
            Some(Session::Seed(*seed))
        }
        _ => None,
    };
    if let Some(session) = single {
        match session {
            Session::Seed(seed) if arguments.faults.is_empty() => {
                run_seed(seed, Options { canary: arguments.canary, show: true });
            }
            session => {
                session.run(&arguments.faults, arguments.canary, true);
            }
        }
        println!("{session:?}: nothing happened that must not");
        return true;
    }
    let most = arguments.findings.unwrap_or(FINDINGS_DEFAULT) as usize;
    if let Some(sessions) = arguments.torture {
        let singles = Campaign::new("torture", threads, most).torture(seed, sessions);
        return singles & Campaign::new("pairs", threads, most).pairs();
    }
    if let Some(canary) = arguments.canary {
        return Campaign::new("sim", threads, most).find(canary, seed, CANARY_SEEDS);
    }
    let seeds = arguments.seeds.unwrap_or(SEEDS_DEFAULT);
    let held = Campaign::new("sim", threads, most).seeds(seed, seeds);
    // A search that finds nothing shows what it can find.
    let find = |canary| Campaign::new("sim", threads, most).find(canary, seed, CANARY_SEEDS);
    held & Canary::ALL.into_iter().fold(true, |held, canary| held & find(canary))
}
