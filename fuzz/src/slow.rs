//! Slow inputs: a request that is blown up to 64 KiB must not take much longer than a plain one of
//! that size, and so many small ones not much longer than so many plain small ones.
//!
//! The first byte chooses what stands before and after; the rest is repeated between, with 0xFD for
//! 256 times the byte before it, and 0xFE for the number of the repetition: so a few bytes are many
//! keys that differ late. What is measured is the processor time of this thread, which does not
//! count what else the machine does, and of it the least of some tries.

use qga_sim::files::Content;
use qga_sim::{Session, Sim};
use std::sync::OnceLock;
use std::time::Duration;

use cpu_time::ThreadTime;

type Agent = Session<{ 128 * 1024 }, { 32 * 1024 }>;

const BYTES: usize = 64 * 1024;
/// What is promised is 3, of a request of 4 MiB in the shipped binary; a sanitizer treats some
/// loops worse than others.
const TIMES_MAX: u32 = 10;
const TRIES: usize = 40;

/// What stands before and after.
const AROUND: [(&str, &str); 10] = [
    ("", "\n"),
    ("{\"execute\":\"guest-ping\",\"id\":\"", "\"}\n"),
    ("{\"execute\":\"guest-ping\",\"id\":[0", "]}\n"),
    ("{\"execute\":\"guest-ping\",\"id\":{", "\"\":0}}\n"),
    ("{\"execute\":\"guest-file-write\",\"arguments\":{\"handle\":1000,\"buf-b64\":\"", "\"}}\n"),
    ("{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"/f\",", "\"\":0}}\n"),
    ("{\"execute\":\"", "\"}\n"),
    ("{\"id\":1,", "\"\":0}\n"),
    ("# ", "\n"),
    ("{\"arguments\":{\"a\":[[", "\n"),
];

/// What the plain ones take: one of the whole size, and a small one.
struct Plain {
    large: Duration,
    small: Duration,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some((&choice, pattern)) = data.split_first() else { return };
    let text = blown_up(choice, pattern);
    let plain = plain();
    let mut least = Duration::MAX;
    for _ in 0..TRIES {
        let (time, replies) = measure(&text);
        least = least.min(time);
        if least <= (plain.large + plain.small * replies as u32) * TIMES_MAX {
            return;
        }
    }
    panic!("{least:?} for {} bytes, a plain one takes {:?}", text.len(), plain.large);
}

fn blown_up(choice: u8, pattern: &[u8]) -> Vec<u8> {
    let (before, after) = AROUND[usize::from(choice) % AROUND.len()];
    let mut text = before.as_bytes().to_vec();
    for number in 0.. {
        let len = text.len();
        for &byte in pattern {
            match byte {
                0xFD => text.extend([text.last().copied().unwrap_or(b' '); 256]),
                0xFE => text.extend(format!("{number:06}").into_bytes()),
                byte => text.push(byte),
            }
        }
        let grown = text.len() - len;
        if grown == 0 || text.len() + grown > BYTES {
            break;
        }
    }
    text.truncate(BYTES);
    text.extend(after.bytes());
    text
}

/// How long a fresh agent takes for a text, and how often it replies.
fn measure(text: &[u8]) -> (Duration, usize) {
    let sim = Sim::new(1);
    sim.with(|world| world.files.add("/f", Content::Regular(Vec::new())));
    let mut agent = Agent::start(&sim).expect("the agent starts");
    let open = "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"/f\",\"mode\":\"w\"}}";
    agent.send(open.as_bytes());
    let start = ThreadTime::now();
    let output = agent.send(text);
    (start.elapsed(), output.iter().filter(|&&byte| byte == b'\n').count())
}

fn plain() -> &'static Plain {
    static PLAIN: OnceLock<Plain> = OnceLock::new();
    PLAIN.get_or_init(|| {
        let least = |text: &[u8]| (0..20).map(|_| measure(text).0).min().unwrap_or_default();
        let small = b"{\"execute\":\"guest-nope\"}\n".repeat(100);
        Plain { large: least(&blown_up(1, b"plain text ")), small: least(&small) / 100 }
    })
}
