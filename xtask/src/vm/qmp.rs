//! QEMU's own control channel: commands in, their results and QEMU's events out.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::channel::Channel;
use crate::Result;

/// A connection to QEMU's machine protocol, past its greeting.
pub struct Qmp {
    channel: Channel,
    events: VecDeque<Value>,
}

impl Qmp {
    /// Connects, reads the greeting and leaves the negotiation behind.
    pub fn connect(path: &Path) -> Result<Qmp> {
        let mut channel = Channel::connect(path)?;
        channel.receive_line()?;
        let mut qmp = Qmp { channel, events: VecDeque::new() };
        qmp.execute("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Executes one command and yields what it returns.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        self.channel.set_timeout(Duration::from_secs(30));
        let request = json!({"execute": command, "arguments": arguments});
        self.channel.send(format!("{request}\n").as_bytes())?;
        loop {
            let mut message = self.message()?;
            if message.get("event").is_some() {
                self.events.push_back(message);
            } else if let Some(result) = message.get_mut("return") {
                return Ok(result.take());
            } else {
                return Err(format!("QEMU refused {command}: {message}"));
            }
        }
    }

    /// The next event with one of these names, waiting for `patience` at most; others are dropped.
    pub fn wait_event(&mut self, names: &[&str], patience: Duration) -> Result<Value> {
        let end = Instant::now() + patience;
        loop {
            while let Some(event) = self.events.pop_front() {
                if names.iter().any(|name| event["event"] == **name) {
                    return Ok(event);
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            self.channel.set_timeout(left.max(Duration::from_millis(1)));
            let message = self.message();
            let message =
                message.map_err(|error| format!("no event {}: {error}", names.join("/")))?;
            self.events.push_back(message);
        }
    }

    fn message(&mut self) -> Result<Value> {
        let line = self.channel.receive_line()?;
        serde_json::from_slice(&line).map_err(|error| format!("QMP sent no JSON: {error}"))
    }
}
