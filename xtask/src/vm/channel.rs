//! One end of a stream socket in: requests out, reply lines back, every wait bounded.
//!
//! Serves the agent's channel, QMP and the guest's shell alike: all three speak in lines.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::progress::until;
use crate::{ElseSay, Result};

/// One request as a line: the command without `guest-`, and its arguments unless they are null.
pub fn request(command: &str, arguments: Value) -> String {
    let name = format!("guest-{command}");
    let request = match arguments {
        Value::Null => json!({"execute": name}),
        arguments => json!({"execute": name, "arguments": arguments}),
    };
    format!("{request}\n")
}

/// A client's end of a unix stream socket, with a buffer for what came beyond the current line.
pub struct Channel {
    stream: UnixStream,
    buffer: Vec<u8>,
    timeout: Duration,
    name: String,
}

impl Channel {
    /// Connects to the socket at `path`. Every later wait lasts at most 30 s; see
    /// [`Channel::set_timeout`].
    pub fn connect(path: &Path) -> Result<Channel> {
        let name = path.display().to_string();
        let stream = UnixStream::connect(path).else_say_of("cannot connect to", path)?;
        Ok(Channel { stream, buffer: Vec::new(), timeout: Duration::from_secs(30), name })
    }

    /// Connects as soon as something listens at `path`, trying for `patience` at most.
    pub fn connect_within(path: &Path, patience: Duration) -> Result<Channel> {
        until(patience, Duration::from_micros(200), || Channel::connect(path).ok())
            .map_or_else(|| Channel::connect(path), Ok)
    }

    /// How long one later call may wait, at most.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Sends `text` and a newline, yields the reply line without its newline. Whatever comes
    /// before a 0xFF in that line, and the 0xFF itself, is dropped, as clients do.
    pub fn request(&mut self, text: &str) -> Result<String> {
        self.send(format!("{text}\n").as_bytes())?;
        let line = self.receive_line()?;
        let start = line.iter().rposition(|byte| *byte == 0xFF).map_or(0, |at| at + 1);
        String::from_utf8(line[start..].to_vec())
            .map_err(|_| format!("{}: a reply is no UTF-8: {line:?}", self.name))
    }

    /// Brings the conversation to a known point: guest-sync-delimited after a 0xFF, again every
    /// `every` until the reply to the latest one is there, `patience` at most.
    pub fn sync(&mut self, patience: Duration, every: Duration) -> Result<()> {
        let usual = self.timeout;
        let end = Instant::now() + patience;
        let mut last = Err(String::new());
        while Instant::now() < end && last.is_err() {
            self.timeout = every.min(end.saturating_duration_since(Instant::now()));
            last = self.sync_once();
            if last.is_err() && self.closed() {
                break;
            }
        }
        self.timeout = usual;
        last.map_err(|error| format!("no reply to guest-sync-delimited: {error}"))
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream
            .set_write_timeout(Some(self.timeout))
            .and_then(|()| self.stream.write_all(bytes))
            .map_err(|error| match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                    format!("{}: took no data for {:?}", self.name, self.timeout)
                }
                _ => format!("{}: cannot send: {error}", self.name),
            })
    }

    /// The next line, without its newline, as bytes (a 0xFF in it stays in it).
    pub fn receive_line(&mut self) -> Result<Vec<u8>> {
        let mut line = self.receive_until(b'\n')?;
        line.pop();
        Ok(line)
    }

    /// Everything up to and with the next `end` byte.
    pub fn receive_until(&mut self, end: u8) -> Result<Vec<u8>> {
        let deadline = Instant::now() + self.timeout;
        let mut searched = 0;
        loop {
            if let Some(at) = self.buffer[searched..].iter().position(|byte| *byte == end) {
                let rest = self.buffer.split_off(searched + at + 1);
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            searched = self.buffer.len();
            let left = deadline.saturating_duration_since(Instant::now());
            match self.fill(left) {
                Ok(0) => return Err(format!("{}: the other side hung up", self.name)),
                Ok(_) => {}
                Err(error) => return Err(self.receive_error(&error)),
            }
        }
    }

    /// Whatever comes within `patience`: empty when nothing did (or the other side hung up).
    pub fn receive_some(&mut self, patience: Duration) -> Vec<u8> {
        if self.buffer.is_empty() {
            let _ = self.fill(patience);
        }
        std::mem::take(&mut self.buffer)
    }

    fn sync_once(&mut self) -> Result<()> {
        let id = sync_id();
        let request = request("sync-delimited", json!({"id": id}));
        self.send(&[&[0xFF], request.as_bytes()].concat())?;
        let expected = format!("{{\"return\": {id}}}");
        loop {
            self.receive_until(0xFF)?;
            if self.receive_line()? == expected.as_bytes() {
                return Ok(());
            }
        }
    }

    /// Reads once, waiting for `patience`; 0 means that the other side hung up.
    fn fill(&mut self, patience: Duration) -> std::io::Result<usize> {
        if patience.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.stream.set_read_timeout(Some(patience))?;
        let mut chunk = [0; 65536];
        loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Ok(count);
                }
            }
        }
    }

    /// Whether the other side is gone and nothing is left to read.
    fn closed(&mut self) -> bool {
        matches!(self.fill(Duration::from_millis(1)), Ok(0))
    }

    fn receive_error(&self, error: &std::io::Error) -> String {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                let seen = &self.buffer[..self.buffer.len().min(200)];
                let seen = String::from_utf8_lossy(seen);
                format!("{}: no full reply within {:?} (got {seen:?})", self.name, self.timeout)
            }
            _ => format!("{}: cannot receive: {error}", self.name),
        }
    }
}

/// A number that no earlier client of the same agent is likely to have used.
fn sync_id() -> u64 {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_1970.map_or(1, |time| time.as_micros() as u64 & 0xF_FFFF_FFFF_FFFF)
}
