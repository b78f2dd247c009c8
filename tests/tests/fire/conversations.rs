//! Every system call of every conversation that can be held outside a jail: each error that it can
//! give, and SIGKILL before it. An ordinary run takes a sample of so many points, by a seed; all of
//! them with QGA_FIRE=full, an eighth of them with QGA_FIRE=1/8.

use qga_tests::conversations::{self, Conversation};
use qga_tests::fire::{Point, Strike, in_parallel, is_full, numbered, part, sample};
use qga_tests::fire_errnos::{CANNOT_FAIL, of};
use qga_tests::fire_oracle::{is_harmless, record, strike};
use qga_tests::{program, skip};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// Points of an ordinary run.
const POINTS: usize = 15_000;
/// After so many failures the rest is not tried.
const FAILURES_SHOWN: usize = 20;
/// Which ones; `QGA_FIRE_SEED` says otherwise.
const SEED: u64 = 4;

/// Every point of one conversation.
fn points(lives: &[Vec<String>], cannot_fail: &mut BTreeMap<String, usize>) -> Vec<Point> {
    let mut points = Vec::new();
    for (life, calls) in lives.iter().enumerate() {
        // The first call is the execve that makes the process the agent.
        for (call, number) in numbered(calls).into_iter().skip(1) {
            let point = |strike| Point { life, call: call.to_owned(), number, strike };
            points.push(point(Strike::Kill));
            if CANNOT_FAIL.contains(&call) {
                *cannot_fail.entry(call.to_owned()).or_default() += 1;
                continue;
            }
            let errnos = of(call).unwrap_or_else(|| panic!("which errors can {call} give?"));
            points.extend(errnos.iter().map(|errno| point(Strike::Error(errno))));
        }
    }
    points
}

fn collect(conversations: &[Conversation]) -> Vec<(usize, Point)> {
    let found = Mutex::new((Vec::new(), BTreeMap::new(), Vec::new()));
    in_parallel(
        conversations.len(),
        || (),
        |(), at| match record(&conversations[at]) {
            Ok(lives) => {
                let mut found = found.lock().unwrap();
                let new = points(&lives, &mut found.1);
                found.0.extend(new.into_iter().map(|point| (at, point)));
            }
            Err(error) => found.lock().unwrap().2.push(error),
        },
    );
    let (mut all, cannot_fail, failures) = found.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    println!("calls that cannot fail, so only killed at: {cannot_fail:?}");
    // The threads bring them in any order.
    all.sort_by_key(|(at, point)| (*at, point.life, point.injection()));
    all
}

#[test]
fn struck_at_every_system_call() {
    let name = "fire::conversations::struck_at_every_system_call";
    if program("strace").is_none() {
        return skip(name, "needs strace");
    }
    let start = Instant::now();
    let conversations: Vec<_> = conversations::load().into_iter().filter(is_harmless).collect();
    let all = collect(&conversations);
    let seed = std::env::var("QGA_FIRE_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(SEED);
    let count = all.len();
    let tried = if is_full() { part(all) } else { sample(all, POINTS, seed) };
    let Struck { hit, missed } = strike_all(&conversations, &tried);
    println!(
        "{} conversations, {count} points, {} tried (seed {seed}), {hit} hit, {} not reached, {:.0?}",
        conversations.len(),
        tried.len(),
        missed.len(),
        start.elapsed()
    );
    println!("not reached: {missed:?}");
    // Timing moves a read or a poll now and then; more would mean that the numbering is wrong.
    assert!(missed.len() * 50 <= tried.len(), "{} were never reached", missed.len());
    assert!(count >= POINTS, "only {count} points were found");
}

/// A sample leaves out most of them, and a handle number that is given out twice is another
/// client's file.
#[test]
fn struck_everywhere_around_a_restart() {
    let name = "fire::conversations::struck_everywhere_around_a_restart";
    if program("strace").is_none() {
        return skip(name, "needs strace");
    }
    let mut conversations = conversations::load();
    conversations.retain(|conversation| conversation.name == "own-handle-numbers-across-a-restart");
    let all = collect(&conversations);
    let Struck { hit, missed } = strike_all(&conversations, &all);
    println!("{hit} points hit, not reached: {missed:?}");
    assert!(hit > 400 && missed.len() * 50 <= hit, "{hit} hit, {} never reached", missed.len());
}

/// How many points were hit, and which were not.
struct Struck {
    hit: usize,
    missed: Vec<String>,
}

/// Strikes at each of the points; fails with what went wrong at any.
fn strike_all(conversations: &[Conversation], tried: &[(usize, Point)]) -> Struck {
    let results = Mutex::new((0, Vec::new(), Vec::new()));
    in_parallel(
        tried.len(),
        || (),
        |(), at| {
            let (conversation, point) = (&conversations[tried[at].0], &tried[at].1);
            if results.lock().unwrap().2.len() >= FAILURES_SHOWN {
                return;
            }
            let result = strike(conversation, point);
            let mut results = results.lock().unwrap();
            match result {
                Ok(true) => results.0 += 1,
                Ok(false) => {
                    results.1.push(format!("{}: {}", conversation.name, point.injection()))
                }
                Err(error) => results.2.push(error),
            }
        },
    );
    let (hit, missed, failures) = results.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    Struck { hit, missed }
}
