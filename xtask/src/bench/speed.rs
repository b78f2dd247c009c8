//! How fast an agent is: the two programs go in, the rows for start, CPU time a ping and file
//! throughput come out, each the median of interleaved rounds.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::agent::{AGENT_CORE, Agent, CLIENT_CORE, Program};
use super::client::{Client, PING, read_request, write_request};
use super::floor::OVER_FLOOR_MAX;
use super::table::{Goal, Row, median};
use super::{Bench, DATA_BYTES, FLOOR, cores, process};
use crate::{ElseSay, Result};

const STARTS_A_ROUND: usize = 9;
const PINGS_MIN: u64 = 20_000;
/// A measurement during which this share of the time went to other processes is made again.
const DISTURBED_SHARE: f64 = 0.05;
/// How often one is made at most, and how many repeats there are for all of them in a round: on a
/// machine that is always busy the run ends all the same.
const TRIES_MAX: usize = 4;
const REPEATS_A_ROUND: usize = 6;
/// What a round of guest-file-write puts into the file before it starts again at its front.
const WRITTEN_BYTES: u64 = 24 << 20;

/// From the agent's first instruction to the last byte of its first reply.
pub fn start(bench: &Bench) -> Result<Row> {
    let _awake = cores::Awake::new(AGENT_CORE);
    let mut samples = [Vec::new(), Vec::new()];
    for round in 0..bench.rounds {
        bench.progress(&format!("start, round {}", round + 1));
        for _ in 0..STARTS_A_ROUND {
            for (place, program) in bench.programs.iter().enumerate() {
                let (mut agent, freed) = Agent::start_timed(program, &bench.folder("agent"))?;
                agent.connect()?.spin()?.ask(PING)?;
                samples[place].push(freed.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    Ok(Row::less("start-ms", "start to first reply, ms", samples.map(median))
        .decimals(3)
        .promised(Goal::AtMost(0.25)))
}

/// The agents' own CPU time a ping, as the scheduler counts it.
///
/// On one core with the client, which then wakes and is woken without a word to another core; and
/// from another core, where falling asleep on an idle core and waking up is on the agent's bill. An
/// agent slow enough never falls asleep there, so that row is judged by its floor, measured beside
/// it.
pub fn cpu(bench: &Bench) -> Result<Vec<Row>> {
    cores::pin(AGENT_CORE).else_say("cannot pin the client")?;
    let shared = cpu_a_ping(bench, "the same core", both(bench, false)?);
    cores::pin(CLIENT_CORE).else_say("cannot pin the client")?;
    let shared = shared?;
    let row = Row::less("cpu-ping-us", "CPU time a ping, us", [shared[0], shared[1]])
        .decimals(2)
        .promised(Goal::Times(4.0));
    let mut running = both(bench, true)?;
    running.push(floor(bench)?);
    let apart = cpu_a_ping(bench, "another core", running)?;
    let (ours, reference, floor) = (apart[0], apart[1], apart[2]);
    let note = format!(
        "a program that only reads and writes takes {floor:.2} us, {:.1} x; the goal is {:.0} % more",
        reference / floor,
        OVER_FLOOR_MAX * 100.0
    );
    let apart =
        Row::less("cpu-ping-apart-us", "CPU time a ping from another core, us", [ours, reference])
            .decimals(2)
            .promised(Goal::AtMost(floor * (1.0 + OVER_FLOOR_MAX)))
            .note(Some(note));
    Ok(vec![row, apart])
}

/// The server that does nothing but read and write, in an agent's place.
fn floor(bench: &Bench) -> Result<(Agent, Client)> {
    let own = std::env::current_exe().else_say("this program's path")?;
    let tool = [own.display().to_string(), "bench".to_owned(), FLOOR.to_owned()];
    let mut agent = Agent::start_under(&tool, &bench.programs[0], &bench.folder("floor"))?;
    let client = agent.connect()?.spin()?;
    Ok((agent, client))
}

/// The medians, one for each of `running`.
fn cpu_a_ping(bench: &Bench, place: &str, mut running: Vec<(Agent, Client)>) -> Result<Vec<f64>> {
    let pings = PINGS_MIN.div_ceil(bench.rounds as u64).max(2_000);
    let mut samples = vec![Vec::new(); running.len()];
    for (_, client) in &mut running {
        client.pings(500)?;
    }
    for round in 1..=bench.rounds {
        bench.progress(&format!("CPU time of {pings} pings from {place}, round {round}"));
        for ((agent, client), samples) in running.iter_mut().zip(&mut samples) {
            let before = asleep_cpu_ns(agent)?;
            client.pings(pings)?;
            let spent_ns = asleep_cpu_ns(agent)? - before;
            samples.push(spent_ns as f64 / 1e3 / pings as f64);
        }
    }
    Ok(samples.into_iter().map(median).collect())
}

/// The clock of a process is exact only once it sleeps.
fn asleep_cpu_ns(agent: &Agent) -> Result<u64> {
    sleep(Duration::from_millis(5));
    process::cpu_ns(agent.process())
}

/// guest-file-read and guest-file-write at several sizes a request.
pub fn throughput(bench: &Bench) -> Result<Vec<Row>> {
    type Measure = fn(&Bench, &mut Client, u64) -> Result<f64>;
    let rows: [(&str, &str, Measure, u64, f64); 5] = [
        ("read-48m-mbps", "guest-file-read, count 48 MiB, MB/s", reading, 48 << 20, 5.0),
        ("read-1m-mbps", "guest-file-read, count 1 MiB, MB/s", reading, 1 << 20, 4.0),
        ("read-64k-mbps", "guest-file-read, count 64 KiB, MB/s", reading, 64 << 10, 3.0),
        ("write-1m-mbps", "guest-file-write, 1 MiB of base64, MB/s", writing, 1 << 20, 10.0),
        ("write-64k-mbps", "guest-file-write, 64 KiB of base64, MB/s", writing, 64 << 10, 6.0),
    ];
    let mut running = both(bench, true)?;
    let mut samples: [[Vec<f64>; 2]; 5] = Default::default();
    let mut disturbed = 0;
    // The first round only warms the caches and the file's pages up.
    for round in 0..=bench.rounds {
        bench.progress(&format!("throughput, round {round} of {}", bench.rounds));
        let mut repeats = REPEATS_A_ROUND;
        for (row, (_, _, measure, size, _)) in rows.iter().enumerate() {
            for ((agent, client), samples) in running.iter_mut().zip(&mut samples[row]) {
                let tries = TRIES_MAX.min(1 + repeats);
                let once = undisturbed(agent, tries, || measure(bench, client, *size))?;
                repeats -= once.tries - 1;
                if round > 0 {
                    samples.push(once.speed);
                    disturbed += usize::from(once.disturbed);
                }
            }
        }
    }
    let note = (disturbed > 0).then(|| {
        let all = bench.rounds * rows.len() * samples[0].len();
        format!("{disturbed} of {all} measurements of throughput were disturbed by other processes")
    });
    let row = |((key, what, _, _, times), samples): (_, [Vec<f64>; 2])| {
        let goal = Goal::Times(times);
        Row::more(key, what, samples.map(median)).promised(goal)
    };
    let mut rows: Vec<Row> = rows.into_iter().zip(samples).map(row).collect();
    rows[0].note = note;
    Ok(rows)
}

/// A speed, and what it took to get it.
struct Once {
    speed: f64,
    tries: usize,
    disturbed: bool,
}

/// Measures again when another process had one of the two cores for long, at most a few times, and
/// takes the least disturbed: on a busy machine the faster agent would lose more by it.
fn undisturbed(
    agent: &Agent,
    tries: usize,
    mut measure: impl FnMut() -> Result<f64>,
) -> Result<Once> {
    let waited_ns = || -> Result<u64> {
        let own = std::process::id();
        Ok(process::kept_waiting_ns(agent.process())? + process::kept_waiting_ns(own)?)
    };
    let mut best = Once { speed: 0.0, tries: 0, disturbed: true };
    let mut least = f64::INFINITY;
    while best.disturbed && best.tries < tries {
        let before = waited_ns()?;
        let started = Instant::now();
        let speed = measure()?;
        let took_ns = started.elapsed().as_nanos() as f64;
        let share = (waited_ns()? - before) as f64 / took_ns;
        best.tries += 1;
        best.disturbed = share >= DISTURBED_SHARE;
        if share < least {
            least = share;
            best.speed = speed;
        }
    }
    Ok(best)
}

/// Reads the whole data file, `count` bytes a request; MB/s of file data.
fn reading(bench: &Bench, client: &mut Client, count: u64) -> Result<f64> {
    let handle = client.open(&bench.data, "r")?;
    let request = read_request(handle, count);
    let started = Instant::now();
    let mut done = 0;
    while done < DATA_BYTES {
        let reply = client.ask(&request)?;
        let got = reply.integer("count").ok_or("a reply to guest-file-read without count")?;
        let base64_bytes = got.div_ceil(3) * 4;
        if got == 0 || (reply.bytes as u64) < base64_bytes {
            return Err(format!("guest-file-read of {count} bytes gave {got} in {}", reply.bytes));
        }
        done += got;
    }
    let took = started.elapsed();
    client.close(handle)?;
    Ok(DATA_BYTES as f64 / 1e6 / took.as_secs_f64())
}

/// Writes to a file, `base64_bytes` of base64 a request; MB/s of file data.
fn writing(bench: &Bench, client: &mut Client, base64_bytes: u64) -> Result<f64> {
    let handle = client.open(&bench.folder("written"), "r+")?;
    let request = write_request(handle, base64_bytes as usize);
    let each = base64_bytes / 4 * 3;
    let requests = WRITTEN_BYTES / each;
    let started = Instant::now();
    for _ in 0..requests {
        let reply = client.ask(&request)?;
        if reply.integer("count") != Some(each) {
            return Err(format!("guest-file-write did not take {each} bytes"));
        }
    }
    let took = started.elapsed();
    client.close(handle)?;
    Ok((requests * each) as f64 / 1e6 / took.as_secs_f64())
}

/// Both agents, started and connected.
fn both(bench: &Bench, spinning: bool) -> Result<Vec<(Agent, Client)>> {
    let start = |(place, program): (usize, &Program)| {
        let mut agent = Agent::start(program, &bench.folder(&format!("agent-{place}")))?;
        let mut client = agent.connect()?;
        client.ask(PING)?;
        Ok((agent, if spinning { client.spin()? } else { client }))
    };
    bench.programs.iter().enumerate().map(start).collect()
}
