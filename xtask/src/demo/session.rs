//! Requests in, printed with their replies and times; values out. The parts of the session that
//! the virtual machine and this machine have in common.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use xtask::vm::channel::request;
use xtask::vm::{Channel, Vm};
use xtask::{ElseSay, Result};

/// What the session writes into a file and reads back.
const TEXT: &str = "hello from the hypervisor\n";

/// The width where there is no terminal, or one that does not tell.
const COLUMNS: usize = 100;

/// A conversation with the agent that a person can follow.
pub struct Session {
    channel: Channel,
    columns: usize,
}

impl Session {
    /// A session over `channel`, which is in sync already.
    pub fn new(channel: Channel) -> Session {
        Session { channel, columns: columns() }
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
    pub fn request(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let text = request(command, arguments);
        let mut reply = self.exchange(&text)?;
        let value = reply.get_mut("return").map(Value::take);
        value.ok_or_else(|| format!("{text} was answered with {reply}"))
    }

    /// As [`Session::request`], for a request that must be refused.
    pub fn refused(&mut self, command: &str, arguments: Value) -> Result<()> {
        let text = request(command, arguments);
        let reply = self.exchange(&text)?;
        match reply.get("error") {
            Some(_) => Ok(()),
            None => Err(format!("{text} should have been refused, but got {reply}")),
        }
    }

    /// As [`Session::request`], without a word.
    fn quietly(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let reply = self.channel.request(request(command, arguments).trim_end())?;
        let mut value: Value =
            serde_json::from_str(&reply).else_say(format!("no JSON: {reply}"))?;
        let value = value.get_mut("return").map(Value::take);
        value.ok_or_else(|| format!("unexpected reply: {reply}"))
    }

    /// guest-shutdown: the machine ends by itself, as it should.
    pub fn shut_down(mut self, vm: &mut Vm) -> Result<()> {
        self.heading("Shutdown: no reply by design, the machine ends");
        let begun = Instant::now();
        let text = request("shutdown", Value::Null);
        println!("  -> {}", cut(text.trim_end(), self.columns - 5));
        self.channel.send(text.as_bytes())?;
        let reason = vm.wait_shutdown(Duration::from_secs(60))?;
        self.remark(&format!(
            "QEMU's event SHUTDOWN ({reason}), and QEMU ended {:.0} ms after the request",
            begun.elapsed().as_secs_f64() * 1e3
        ));
        match reason.as_str() {
            "guest-shutdown" => Ok(()),
            _ => Err(format!("the machine ended with {reason}, which is no power-down")),
        }
    }

    /// A whole small file of the agent's side, read through the agent without a word.
    pub fn file(&mut self, path: &str) -> Result<String> {
        let handle = self.quietly("file-open", json!({"path": path}))?;
        let read = self.quietly("file-read", json!({"handle": handle}));
        self.quietly("file-close", json!({"handle": handle}))?;
        let encoded = read?["buf-b64"].as_str().unwrap_or_default().to_owned();
        let bytes = BASE64.decode(&encoded).else_say(format!("{path} was read as {encoded}"))?;
        String::from_utf8(bytes).map_err(|_| format!("{path} holds no text"))
    }

    /// Sync, the first schema's own example line, ping, and a file written and read back.
    pub fn opening(&mut self, file: &str) -> Result<()> {
        self.heading("In sync, and who is there");
        self.sync_shown()?;
        let info = self.exchange("{'execute':'guest-info'}")?;
        let commands = info["return"]["supported_commands"].as_array().map(Vec::len);
        let commands = commands.ok_or_else(|| format!("guest-info was answered with {info}"))?;
        self.remark(&format!("{commands} commands; the request is the first schema's own example"));
        self.request("ping", Value::Null)?;
        self.heading("A file, written and read back");
        let text = BASE64.encode(TEXT);
        let handle = self.request("file-open", json!({"path": file, "mode": "w+"}))?;
        self.request("file-write", json!({"handle": handle, "buf-b64": text}))?;
        self.request("file-flush", json!({"handle": handle}))?;
        self.request("file-seek", json!({"handle": handle, "offset": 0, "whence": "set"}))?;
        let read = self.request("file-read", json!({"handle": handle, "count": 4096}))?;
        self.request("file-close", json!({"handle": handle}))?;
        match (read["buf-b64"].as_str(), read["count"].as_u64()) {
            (Some(same), Some(count)) if same == text && count == TEXT.len() as u64 => Ok(()),
            _ => Err(format!("the file reads differently from what was written: {read}")),
        }
    }

    /// guest-sync-delimited after a 0xFF, byte for byte as clients do it.
    fn sync_shown(&mut self) -> Result<()> {
        let text = request("sync-delimited", json!({"id": 20110211}));
        let text = text.trim_end();
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

    fn exchange(&mut self, text: &str) -> Result<Value> {
        let begun = Instant::now();
        let text = text.trim_end();
        let reply = self.channel.request(text)?;
        self.print(text, &reply, begun);
        serde_json::from_str(&reply).else_say("the reply is no JSON")
    }

    /// A request, and its reply with the time at the right edge.
    fn print(&self, request: &str, reply: &str, begun: Instant) {
        let time = format!("{:.2} ms", begun.elapsed().as_secs_f64() * 1e3);
        let room = self.columns.saturating_sub(5 + 12);
        println!("  -> {}", cut(request, self.columns - 5));
        println!("  <- {:room$}{time:>12}", cut(reply, room));
    }
}

/// How many columns a line of output may take.
fn columns() -> usize {
    let size = console::Term::stdout().size_checked();
    size.map(|(_, width)| width.into()).filter(|width| *width >= 40).unwrap_or(COLUMNS)
}

/// `text` cut to `width` columns, with dots where something is missing.
fn cut(text: &str, width: usize) -> Cow<'_, str> {
    console::truncate_str(text, width, " ...")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_fits() {
        assert_eq!(cut("abcdefghij", 10), "abcdefghij");
        assert_eq!(cut("abcdefghijk", 10), "abcdef ...");
    }
}
