//! The load of a soak as a whole: a seed in, the acts in the order that it gives out, and the state
//! of a quiet point between them.

use std::thread::sleep;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use xtask::Result;
use xtask::vm::channel::request;
use xtask::vm::{AGENT_PORT, Vm};

use super::acts::{ACTS, HANDLES_MAX};
use super::client::Client;
use super::{DATA, DATA_BYTES};

/// Larger than what the agent keeps of its buffers.
const QUIET_BYTES: usize = 256 << 10;

/// The machine, the client and what they have done.
pub struct Load {
    pub vm: Vm,
    pub client: Client,
    pub random: fastrand::Rng,
    counts: [u64; ACTS.len()],
    /// The act under way, for errors.
    now: &'static str,
}

impl Load {
    /// A load on a machine whose agent answers.
    pub fn new(vm: Vm, seed: u64) -> Load {
        let client = Client::new(vm.port_path(AGENT_PORT));
        let random = fastrand::Rng::with_seed(seed);
        Load { vm, client, random, counts: [0; ACTS.len()], now: "" }
    }

    pub fn act(&mut self) -> Result<()> {
        let all: usize = ACTS.iter().map(|(_, share, _)| share).sum();
        let mut left = self.random.usize(..all);
        let chosen = ACTS.iter().position(|(_, share, _)| {
            let here = left < *share;
            left = left.saturating_sub(*share);
            here
        });
        chosen.map_or(Ok(()), |number| self.work(number))
    }

    /// Each act once, so that whatever memory it takes is taken before anything is compared.
    pub fn warm_up(&mut self) -> Result<()> {
        (0..ACTS.len()).try_for_each(|number| self.work(number))?;
        self.frozen(&[Load::replug, Load::broken, Load::half_request])
    }

    fn work(&mut self, number: usize) -> Result<()> {
        let (name, _, work) = ACTS[number];
        self.counts[number] += 1;
        self.now = name;
        work(self).map_err(|error| format!("{name}: {error}"))
    }

    /// Comes to the state that every quiet point has.
    pub fn quiet(&mut self) -> Result<()> {
        self.now = "quiet point";
        self.close_down_to(0)?;
        // Finds the handles whose replies were lost, and closes them. Reply and request are large,
        // so that of the buffers for both the same pages are in use.
        let handle = self.client.open(DATA, "r")?;
        self.client.value("file-read", json!({"handle": handle, "count": QUIET_BYTES}))?;
        self.client.close(handle)?;
        let padding = " ".repeat(QUIET_BYTES);
        let text = format!("{{\"execute\":\"guest-ping\"{padding}}}\n");
        self.client.send(text.as_bytes())?;
        self.client.reply(&text)?;
        // A port that was never without a client since it was plugged in has one descriptor less:
        // the agent waits for the next client on one of its own, which it keeps.
        self.client.hang_up();
        sleep(Duration::from_millis(300));
        self.vm.shell("true")?;
        self.client.returns("fsfreeze-status", Value::Null, json!("thawed"))
    }

    /// What has been done so far.
    pub fn history(&self) -> String {
        let acts: Vec<String> = ACTS
            .iter()
            .zip(self.counts)
            .map(|((name, ..), count)| format!("{count} {name}"))
            .collect();
        format!("the load so far: {}; last: {}", acts.join(", "), self.now)
    }

    /// Closes files, in any order.
    pub fn close_down_to(&mut self, count: usize) -> Result<()> {
        while self.client.open.len() > count {
            let handle = self.client.open[self.random.usize(..self.client.open.len())];
            self.client.close(handle)?;
        }
        Ok(())
    }

    /// A file, open; room for it is made.
    pub fn opened(&mut self, path: &str, mode: &str) -> Result<u64> {
        if self.client.open.len() + 8 > HANDLES_MAX {
            let count = self.random.usize(..HANDLES_MAX / 2);
            self.close_down_to(count)?;
        }
        self.client.open(path, mode)
    }

    /// Base64 of that many groups of three bytes.
    pub fn text(&mut self, groups: usize) -> String {
        let mut bytes = vec![0; 3 * groups];
        self.random.fill(&mut bytes);
        BASE64.encode(bytes)
    }

    /// A read that begins anywhere in the data file, its request and how many bytes it yields.
    pub fn large(&mut self, count_max: u64) -> Result<(u64, String, u64)> {
        let handle = self.opened(DATA, "r")?;
        let offset = self.random.u64(..DATA_BYTES);
        let count = self.random.u64(1..=count_max);
        let arguments = json!({"handle": handle, "offset": offset, "whence": "set"});
        let position = json!({"position": offset, "eof": false});
        self.client.returns("file-seek", arguments, position)?;
        let text = request("file-read", json!({"handle": handle, "count": count}));
        Ok((handle, text, count.min(DATA_BYTES - offset)))
    }

    pub fn check_large(&mut self, text: &str, count: u64) -> Result<()> {
        let reply = self.client.reply(text)?;
        let characters = reply["return"]["buf-b64"].as_str().map(str::len);
        let right =
            reply["return"]["count"] == count && characters == Some(count.div_ceil(3) as usize * 4);
        right.then_some(()).ok_or_else(|| {
            let count_said = &reply["return"]["count"];
            format!("{text}: {count_said} bytes in {characters:?} characters, expected {count}")
        })
    }
}
