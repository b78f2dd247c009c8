//! The slowest requests of 4 MiB that are known, beside a plain one: CPU time of the agent under
//! test in, one row out.

use std::time::Duration;

use super::agent::Agent;
use super::client::Client;
use super::table::{Better, Goal, Row};
use super::{Bench, process};
use crate::Result;

const BYTES: usize = 4 << 20;
const TIMES_MAX: f64 = 3.0;

/// A ping whose `id` is what people have in JSON: a list of records.
const PLAIN: Shape = Shape("records", "{\"execute\":\"guest-ping\",\"id\":[0", RECORD, "]}");
const RECORD: &str =
    ",{\"name\":\"eth0\",\"mtu\":1500,\"up\":true,\"path\":\"/sys/class/net/eth0\"}";

/// What it is, its beginning, what is repeated (`@` is the number of the repetition), its end.
struct Shape(&'static str, &'static str, &'static str, &'static str);

const SLOW: [Shape; 10] = [
    Shape("numbers in the id", "{\"execute\":\"guest-ping\",\"id\":[1", ",1", "]}"),
    Shape("objects in the id", "{\"execute\":\"guest-ping\",\"id\":[1", ",{}", "]}"),
    Shape(
        "numbers in the arguments",
        "{\"execute\":\"guest-ping\",\"arguments\":{\"x\":[1",
        ",1",
        "]}}",
    ),
    Shape("brackets", "{\"execute\":\"guest-ping\",\"id\":[1", ",[[[[[[[[[[[[]]]]]]]]]]]]", "]}"),
    Shape("text that is not ASCII", "{\"execute\":\"guest-ping\",\"id\":\"", "\u{e4}", "\"}"),
    Shape("characters of four bytes", "{\"execute\":\"guest-ping\",\"id\":\"", "\u{1f600}", "\"}"),
    Shape("a command that is not ASCII", "{\"execute\":\"", "\u{e4}", "\"}"),
    Shape("escapes", "{\"execute\":\"guest-ping\",\"id\":\"", "\\n", "\"}"),
    Shape(
        "small objects",
        "{\"execute\":\"guest-ping\",\"id\":[1",
        ",{\"a\":1,\"b\":1,\"c\":1,\"d\":1}",
        "]}",
    ),
    Shape("syncs in a list", "{\"arguments\":[1", ",{\"execute\":\"guest-sync\",}", "]}"),
];

/// Keys that differ late, with an escape in each, as many as there may be.
fn keys() -> Vec<u8> {
    let key = |number| format!("\"\\u0061{}{number:03}\":1", "a".repeat(BYTES / 120 - 20));
    let keys: Vec<String> = (0..119).map(key).collect();
    format!("{{\"execute\":\"guest-ping\",\"id\":{{{}}}}}", keys.join(",")).into_bytes()
}

impl Shape {
    fn text(&self) -> Vec<u8> {
        let Shape(_, start, unit, end) = self;
        let count = (BYTES - start.len() - end.len()) / unit.len();
        [start, &*unit.repeat(count), end].concat().into_bytes()
    }
}

/// The row: how many times as long as the plain one the slowest takes.
pub fn row(bench: &Bench) -> Result<Row> {
    let mut agent = Agent::start(&bench.programs[0], &bench.folder("slow"))?;
    let mut client = agent.connect()?;
    let shapes = SLOW.iter().map(|shape| (shape.0, shape.text()));
    let texts: Vec<_> = shapes.chain([("keys that differ late", keys())]).collect();
    let plain = PLAIN.text();
    let (mut least, mut plain_ns) = (vec![u64::MAX; texts.len()], u64::MAX);
    for round in 0..bench.rounds {
        bench.progress(&format!("slow requests, round {}", round + 1));
        plain_ns = plain_ns.min(cpu_ns(&agent, &mut client, &plain)?);
        for ((_, text), least) in texts.iter().zip(&mut least) {
            *least = (*least).min(cpu_ns(&agent, &mut client, text)?);
        }
    }
    let slowest = least.iter().zip(&texts).max_by_key(|(ns, _)| **ns);
    let (ns, (name, _)) = slowest.ok_or("no slow request")?;
    let note = format!("{name}; a plain one takes {:.0} ms", plain_ns as f64 / 1e6);
    let row =
        Row::new("slowest-request", "slowest request of 4 MiB, times a plain one", Better::Less)
            .decimals(1)
            .promised(Goal::AtMost(TIMES_MAX))
            .note(Some(note));
    Ok(Row { ours: Some(*ns as f64 / plain_ns as f64), ..row })
}

/// The agent's time for one request, whatever it answers.
fn cpu_ns(agent: &Agent, client: &mut Client, request: &[u8]) -> Result<u64> {
    let before = process::cpu_ns(agent.process())?;
    client.exchange(request)?;
    std::thread::sleep(Duration::from_millis(2));
    Ok(process::cpu_ns(agent.process())? - before)
}
