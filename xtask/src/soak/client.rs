//! The client of a soak: requests in, their replies out, each one counted; it connects anew when it
//! has hung up, and knows which handles it left open.
//!
//! Invariant: whoever has this client's connection is in sync: what came before is no part of a
//! reply.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use xtask::Result;
use xtask::vm::Channel;
use xtask::vm::channel::request;

/// A guest under emulation on a busy machine, in the middle of something large.
const PATIENCE: Duration = Duration::from_secs(60);
/// A sync that a closing port has swallowed is sent again.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// Lost replies to guest-file-open hide that many handles at most.
const STRAY_HANDLES_MAX: u64 = 16;
/// How much of a request or reply an error shows.
const SHOWN_CHARS: usize = 200;

/// `text`, or how it begins.
pub fn shown(text: &str) -> String {
    let text = text.trim_end();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}... ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// A client of the agent behind one port.
pub struct Client {
    socket: PathBuf,
    channel: Option<Channel>,
    /// The handles that are open.
    pub open: Vec<u64>,
    pub answered: u64,
    /// Connections that were made, each with a sync that was answered.
    pub connections: u64,
    /// The latest handle number; all before were lower.
    pub handle: u64,
}

impl Client {
    pub fn new(socket: PathBuf) -> Client {
        Client { socket, channel: None, open: Vec::new(), answered: 0, connections: 0, handle: 0 }
    }

    /// The connection, in sync; a new one after a [`Client::hang_up`].
    pub fn channel(&mut self) -> Result<&mut Channel> {
        if self.channel.is_none() {
            let mut channel = Channel::connect(&self.socket)?;
            channel.set_timeout(PATIENCE);
            channel
                .sync(PATIENCE, SYNC_EVERY)
                .map_err(|error| format!("the next client's guest-sync: {error}"))?;
            self.answered += 1;
            self.connections += 1;
            self.channel = Some(channel);
        }
        Ok(self.channel.as_mut().ok_or("no connection")?)
    }

    /// Goes, whatever is under way.
    pub fn hang_up(&mut self) {
        self.channel = None;
    }

    /// Sends bytes whose reply is not waited for here.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.channel()?.send(bytes)
    }

    /// Ends whatever is under way on the connection, or on a new one.
    pub fn sync(&mut self) -> Result<()> {
        self.channel()?.sync(PATIENCE, SYNC_EVERY)?;
        self.answered += 1;
        Ok(())
    }

    pub fn reply(&mut self, to: &str) -> Result<Value> {
        let line = self.channel()?.receive_line();
        let line = line.map_err(|error| format!("{}: {error}", shown(to)))?;
        self.answered += 1;
        // What guest-sync-delimited begins with.
        let line = line.strip_prefix(b"\xff").unwrap_or(&line);
        serde_json::from_slice(line).map_err(|error| {
            let line = String::from_utf8_lossy(line);
            format!("{}: the reply is no JSON ({error}): {}", shown(to), shown(&line))
        })
    }

    /// A request as a line, and the reply to it.
    fn ask(&mut self, command: &str, arguments: Value) -> Result<(String, Value)> {
        let text = request(command, arguments);
        self.send(text.as_bytes())?;
        let reply = self.reply(&text)?;
        Ok((text, reply))
    }

    /// What a command returns.
    pub fn value(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let (text, mut reply) = self.ask(command, arguments)?;
        match reply.get_mut("return") {
            Some(value) => Ok(value.take()),
            None => Err(format!("{}: {}", shown(&text), shown(&reply.to_string()))),
        }
    }

    /// A command returns exactly this.
    pub fn returns(&mut self, command: &str, arguments: Value, expected: Value) -> Result<()> {
        match self.value(command, arguments)? {
            value if value == expected => Ok(()),
            value => {
                let value = shown(&value.to_string());
                Err(format!("guest-{command} returned {value} in place of {expected}"))
            }
        }
    }

    /// A command is refused; why.
    pub fn refused(&mut self, command: &str, arguments: Value) -> Result<String> {
        let (text, reply) = self.ask(command, arguments)?;
        match reply["error"]["desc"].as_str() {
            Some(why) => Ok(why.to_owned()),
            None => Err(format!("{text} was not refused: {reply}")),
        }
    }

    /// A new handle, or why there is none.
    pub fn try_open(&mut self, path: &str, mode: &str) -> Result<std::result::Result<u64, String>> {
        let (text, reply) = self.ask("file-open", json!({"path": path, "mode": mode}))?;
        let Some(handle) = reply["return"].as_u64() else {
            let why = reply["error"]["desc"].as_str();
            return why.map(|why| Err(why.to_owned())).ok_or_else(|| format!("{text}: {reply}"));
        };
        let last = std::mem::replace(&mut self.handle, handle);
        if handle <= last {
            return Err(format!("handle {handle} was given out after {last}"));
        }
        self.open.push(handle);
        // Replies that nobody took opened those between, if they were carried out.
        let stray = last.max(handle.saturating_sub(STRAY_HANDLES_MAX)) + 1..handle;
        for handle in stray.filter(|_| last > 0) {
            self.ask("file-close", json!({"handle": handle}))?;
        }
        Ok(Ok(handle))
    }

    pub fn open(&mut self, path: &str, mode: &str) -> Result<u64> {
        self.try_open(path, mode)?.map_err(|why| format!("guest-file-open {path}: {why}"))
    }

    pub fn close(&mut self, handle: u64) -> Result<()> {
        self.open.retain(|open| *open != handle);
        self.returns("file-close", json!({"handle": handle}), json!({}))
    }
}
