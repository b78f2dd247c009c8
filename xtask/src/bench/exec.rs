//! What it costs to have a program run: both agents by turns, `/bin/true` started and asked for
//! until it has ended; and how much memory an agent takes while a hundred programs run.

use std::path::Path;
use std::time::Instant;

use xtask::{Result, progress};

use super::agent::{Agent, Program};
use super::client::Client;
use super::process;
use super::table::{Better, Goal, Row};

/// How many programs in a round.
const PROGRAMS: u32 = 100;

const TRUE: &[u8] = b"{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/true\"}}\n";
const SLEEP: &[u8] = b"{\"execute\":\"guest-exec\",\"arguments\":\
    {\"path\":\"sleep\",\"arg\":[\"20\"],\"capture-output\":true}}\n";

/// Two rows: programs a second, and memory.
pub fn rows(programs: &[Program; 2], rounds: usize, folder: &Path) -> Result<Vec<Row>> {
    let mut running = Vec::new();
    for (place, program) in programs.iter().enumerate() {
        let mut agent = Agent::start_unpinned(program, &folder.join(format!("exec-{place}")))?;
        let client = agent.connect()?;
        running.push((agent, client));
    }
    progress::say(&format!("bench: guest-exec, {rounds} rounds"));
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for ((_, client), rates) in running.iter_mut().zip(&mut rates) {
            let begun = Instant::now();
            for _ in 0..PROGRAMS {
                run(client)?;
            }
            rates.push(f64::from(PROGRAMS) / begun.elapsed().as_secs_f64());
        }
    }
    let mut more_kb = [0.0; 2];
    for ((agent, client), more_kb) in running.iter_mut().zip(&mut more_kb) {
        let before = process::memory(agent.process())?.resident_kb;
        for _ in 0..PROGRAMS {
            start(client, SLEEP)?;
        }
        let after = process::memory(agent.process())?.resident_kb;
        *more_kb = after.saturating_sub(before) as f64;
    }
    let median = |mut rates: Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or_default()
    };
    Ok(vec![
        Row::new("exec-rate", "guest-exec of true and its status, a second", Better::More)
            .numbers(rates.map(median))
            .aim(Goal::Times(3.0)),
        Row::new("exec-more-kb", "memory more while 100 programs run, kB", Better::Less)
            .numbers(more_kb)
            .aim(Goal::AtMost(32.0)),
    ])
}

/// Starts one: its number.
fn start(client: &mut Client, request: &[u8]) -> Result<u64> {
    let reply = client.ask(request)?;
    reply.integer("pid").ok_or_else(|| "guest-exec has no number".to_owned())
}

/// Runs `true` to its end.
fn run(client: &mut Client) -> Result<()> {
    let pid = start(client, TRUE)?;
    let status = format!("{{\"execute\":\"guest-exec-status\",\"arguments\":{{\"pid\":{pid}}}}}\n");
    while client.ask(status.as_bytes())?.integer("exitcode").is_none() {}
    Ok(())
}
