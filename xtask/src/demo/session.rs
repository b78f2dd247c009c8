//! Requests in, printed with their replies and times; values out. The parts of the session that
//! the virtual machine and this machine have in common.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use xtask::vm::Channel;

use super::terminal;

/// What the session writes into a file and reads back.
const TEXT: &str = "hello from the hypervisor\n";

/// A conversation with the agent that a person can follow.
pub struct Session {
    channel: Channel,
    columns: usize,
}

impl Session {
    /// A session over `channel`, which is in sync already.
    pub fn new(channel: Channel) -> Session {
        Session { channel, columns: terminal::columns() }
    }

    /// A heading between the parts of the session.
    pub fn heading(&self, text: &str) {
        println!("\n{text}");
    }

    /// A remark of ours between requests.
    pub fn remark(&self, text: &str) {
        println!("     {text}");
    }

    /// Sends one request; prints it, its reply and its time; yields what it returned.
    pub fn request(&mut self, text: &str) -> Result<Value, String> {
        let reply = self.exchange(text)?;
        match reply.get("return") {
            Some(value) => Ok(value.clone()),
            None => Err(format!("{text} was answered with {reply}")),
        }
    }

    /// As [`Session::request`], for a request that must be refused.
    pub fn refused(&mut self, text: &str) -> Result<(), String> {
        let reply = self.exchange(text)?;
        match reply.get("error") {
            Some(_) => Ok(()),
            None => Err(format!("{text} should have been refused, but got {reply}")),
        }
    }

    /// Sends a request that has no reply by design.
    pub fn send(&mut self, text: &str) -> Result<(), String> {
        println!("  -> {}", terminal::cut(text, self.columns - 5));
        self.channel.send(format!("{text}\n").as_bytes())
    }

    /// A whole small file of the agent's side, read through the agent without a word.
    pub fn file(&mut self, path: &str) -> Result<String, String> {
        let open = format!(
            "{{\"execute\": \"guest-file-open\", \"arguments\": {{\"path\": \"{path}\"}}}}"
        );
        let handle = returned(&self.channel.request(&open)?)?;
        let on_handle = |name: &str| {
            format!("{{\"execute\": \"{name}\", \"arguments\": {{\"handle\": {handle}}}}}")
        };
        let read = returned(&self.channel.request(&on_handle("guest-file-read"))?);
        self.channel.request(&on_handle("guest-file-close"))?;
        let encoded = read?["buf-b64"].as_str().unwrap_or_default().to_owned();
        let bytes = BASE64.decode(&encoded);
        let bytes = bytes.map_err(|error| format!("{path} was read as {encoded}: {error}"))?;
        String::from_utf8(bytes).map_err(|_| format!("{path} holds no text"))
    }

    /// Sync, the first schema's own example line, ping, and a file written and read back.
    pub fn opening(&mut self, file: &str) -> Result<(), String> {
        self.heading("In sync, and who is there");
        self.sync_shown()?;
        let info = self.request("{'execute':'guest-info'}")?;
        let commands = info["supported_commands"].as_array().map_or(0, Vec::len);
        self.remark(&format!("{commands} commands; the request is the first schema's own example"));
        self.request("{\"execute\": \"guest-ping\"}")?;
        self.heading("A file, written and read back");
        let text = BASE64.encode(TEXT);
        let open = format!(
            "{{\"execute\": \"guest-file-open\", \
             \"arguments\": {{\"path\": \"{file}\", \"mode\": \"w+\"}}}}"
        );
        let handle = self.request(&open)?;
        let mut on_handle = |name: &str, more: &str| {
            self.request(&format!(
                "{{\"execute\": \"{name}\", \"arguments\": {{\"handle\": {handle}{more}}}}}"
            ))
        };
        on_handle("guest-file-write", &format!(", \"buf-b64\": \"{text}\""))?;
        on_handle("guest-file-flush", "")?;
        on_handle("guest-file-seek", ", \"offset\": 0, \"whence\": \"set\"")?;
        let read = on_handle("guest-file-read", ", \"count\": 4096")?;
        on_handle("guest-file-close", "")?;
        match (read["buf-b64"].as_str(), read["count"].as_u64()) {
            (Some(same), Some(count)) if same == text && count == TEXT.len() as u64 => Ok(()),
            _ => Err(format!("the file reads differently from what was written: {read}")),
        }
    }

    /// guest-sync-delimited behind a 0xFF, byte for byte as clients do it.
    fn sync_shown(&mut self) -> Result<(), String> {
        let text = "{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": 20110211}}";
        let begun = Instant::now();
        self.channel.send(&[b"\xff", text.as_bytes(), b"\n"].concat())?;
        // As clients do: what an earlier one left behind ends where the 0xFF stands.
        self.channel.receive_until(0xFF)?;
        let line = self.channel.receive_line()?;
        let reply = format!("\\xff{}", String::from_utf8_lossy(&line));
        self.print(&format!("\\xff{text}"), &reply, begun);
        match line == b"{\"return\": 20110211}" {
            true => Ok(()),
            false => Err(format!("the sync reply is {reply}")),
        }
    }

    fn exchange(&mut self, text: &str) -> Result<Value, String> {
        let begun = Instant::now();
        let reply = self.channel.request(text)?;
        self.print(text, &reply, begun);
        serde_json::from_str(&reply).map_err(|error| format!("the reply is no JSON: {error}"))
    }

    /// A request, and its reply with the time at the right edge.
    fn print(&self, request: &str, reply: &str, begun: Instant) {
        let time = format!("{:.2} ms", begun.elapsed().as_secs_f64() * 1e3);
        let room = self.columns.saturating_sub(5 + 12);
        println!("  -> {}", terminal::cut(request, self.columns - 5));
        println!("  <- {:room$}{time:>12}", terminal::cut(reply, room));
    }
}

fn returned(reply: &str) -> Result<Value, String> {
    let reply: Value =
        serde_json::from_str(reply).map_err(|error| format!("no JSON: {error}: {reply}"))?;
    reply.get("return").cloned().ok_or_else(|| format!("unexpected reply: {reply}"))
}
