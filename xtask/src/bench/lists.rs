//! What it costs to ask for each list of the guest: both agents by turns; the list in which ours is
//! the least ahead goes out.

use std::path::Path;
use std::time::Instant;

use xtask::commands::{LISTS, NEWER};
use xtask::{ElseSay, Result, progress};

use super::agent::{Agent, Program};
use super::client::Client;
use super::process;
use super::table::{Better, Goal, Row};

/// How often each is asked for in a round: the clock of children has ticks of 10 ms.
const ASKED: u32 = 40;

/// What one agent took for a list, all rounds together.
#[derive(Clone, Copy, Default)]
struct Cost {
    cpu_us: f64,
    least_us: f64,
}

/// Two rows: processor time and time on the clock.
pub fn rows(programs: &[Program; 2], rounds: usize, folder: &Path) -> Result<Vec<Row>> {
    let mut running = Vec::new();
    for (place, program) in programs.iter().enumerate() {
        let mut agent = Agent::start_unpinned(program, &folder.join(format!("lists-{place}")))?;
        let client = agent.connect()?;
        running.push((agent, client));
    }
    let mut costs = Vec::new();
    // Debian's qemu-ga has no newer ones.
    for list in LISTS.iter().filter(|list| !NEWER.contains(list)) {
        progress::say(&format!("bench: {list}, {rounds} rounds"));
        costs.push((list, cost(rounds, &mut running, list)?));
    }
    let row = |key, what, times, of: fn(&Cost) -> f64| {
        let factor = |costs: &[Cost; 2]| of(&costs[1]) / of(&costs[0]).max(0.1);
        let least = costs.iter().min_by(|a, b| factor(&a.1).total_cmp(&factor(&b.1)));
        let (name, both) = least.ok_or("no list")?;
        let all: Vec<String> =
            costs.iter().map(|(_, costs)| format!("{:.1}", factor(costs))).collect();
        let note = format!("{name}; the others: {} x", all.join(", "));
        let row = Row::new(key, what, Better::Less).decimals(0).aim(Goal::Times(times));
        Ok::<Row, String>(row.numbers([of(&both[0]), of(&both[1])]).note(Some(note)))
    };
    Ok(vec![
        row("list-cpu-us", "CPU time of a list, copies included, us", 5.0, |cost| cost.cpu_us)?,
        row("list-us", "a list, asked for and answered, us", 3.0, |cost| cost.least_us)?,
    ])
}

fn cost(rounds: usize, running: &mut [(Agent, Client)], list: &str) -> Result<[Cost; 2]> {
    let request = format!("{{\"execute\":\"{list}\"}}\n");
    let mut costs = [Cost { cpu_us: 0.0, least_us: f64::MAX }; 2];
    for _ in 0..rounds {
        for ((agent, client), cost) in running.iter_mut().zip(&mut costs) {
            let before = cpu_us(agent)?;
            for _ in 0..ASKED {
                let begun = Instant::now();
                client.ask(request.as_bytes())?;
                cost.least_us = cost.least_us.min(begun.elapsed().as_secs_f64() * 1e6);
            }
            cost.cpu_us += cpu_us(agent)? - before;
        }
    }
    let asked = f64::from(ASKED) * rounds as f64;
    Ok(costs.map(|cost| Cost { cpu_us: cost.cpu_us / asked, ..cost }))
}

/// The processor time of an agent and of its children that have ended.
fn cpu_us(agent: &Agent) -> Result<f64> {
    std::thread::sleep(std::time::Duration::from_millis(3));
    let path = format!("/proc/{}/stat", agent.process());
    let text = std::fs::read_to_string(&path).else_say("cannot read what an agent has used")?;
    // proc_pid_stat(5): the 16th and 17th field, in hundredths of a second; two stand before the
    // bracket.
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(process::cpu_ns(agent.process())? as f64 / 1e3 + ticks * 1e4)
}
