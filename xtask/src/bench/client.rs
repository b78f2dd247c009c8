//! The measuring client: a request goes in, its one-line reply comes out; of a long reply only the
//! two ends and the length, so that the client is never what limits a throughput.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::vm::channel::request;
use crate::{ElseSay, Result};

const SILENCE_S_MAX: u64 = 120;
/// Room for a reply at first, and from the first one that fills it on. To set aside the large room
/// before it is needed would take five times as long as an agent's whole start, of which connecting
/// is a part.
const READ_BYTES_FIRST: usize = 4096;
const READ_BYTES: usize = 1 << 20;
/// What is kept of a reply's start and end: enough for every member but the data.
const END_BYTES: usize = 256;

/// A connection to an agent.
pub struct Client {
    stream: UnixStream,
    room: Vec<u8>,
    spinning: bool,
}

/// What a reply looked like: its ends (the whole of it twice when it is short) and its length.
pub struct Reply {
    pub head: Vec<u8>,
    pub tail: Vec<u8>,
    pub bytes: usize,
}

impl Reply {
    /// The integer member `name` (`count`, `position`), wherever it stands outside the data.
    pub fn integer(&self, name: &str) -> Option<u64> {
        let pattern = format!("\"{name}\": ");
        [&self.head, &self.tail].iter().find_map(|end| {
            let text = String::from_utf8_lossy(end);
            let digits = &text[text.find(&pattern)? + pattern.len()..];
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().ok()
        })
    }

    pub fn is_error(&self) -> bool {
        let head = String::from_utf8_lossy(&self.head);
        head.contains("\"error\": ")
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.head).trim_end().to_owned()
    }
}

impl Client {
    pub fn connect(socket: &Path) -> std::io::Result<Client> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(SILENCE_S_MAX)))?;
        stream.set_write_timeout(Some(Duration::from_secs(SILENCE_S_MAX)))?;
        Ok(Client { stream, room: vec![0; READ_BYTES_FIRST], spinning: false })
    }

    /// From now on waits without sleeping. A client that sleeps must be woken by the agent, and to
    /// wake an idle core of a virtual machine costs 25 us of the agent's time: more than all else
    /// that either agent does for a ping, and nothing that it could help.
    pub fn spin(mut self) -> Result<Client> {
        self.stream.set_nonblocking(true).else_say("the socket")?;
        self.spinning = true;
        Ok(self)
    }

    /// Sends a request and takes in the reply to it; an error reply is an `Err`.
    pub fn ask(&mut self, request: &[u8]) -> Result<Reply> {
        self.ask_watching(request, &mut |_| Ok(()))
    }

    /// The same, whatever the reply is.
    pub fn exchange(&mut self, request: &[u8]) -> Result<Reply> {
        self.exchange_watching(request, &mut |_| Ok(()))
    }

    /// As [`Client::ask`], calling `watch` with the length so far after each part of the reply: the
    /// agent stands still in the middle of its work when `watch` takes its time.
    pub fn ask_watching(
        &mut self,
        request: &[u8],
        watch: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Reply> {
        let reply = self.exchange_watching(request, watch)?;
        if reply.is_error() {
            return Err(failed(request, &format!("the agent answered {}", reply.text())));
        }
        Ok(reply)
    }

    fn exchange_watching(
        &mut self,
        request: &[u8],
        watch: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Reply> {
        let deadline = Instant::now() + Duration::from_secs(SILENCE_S_MAX);
        let mut rest = request;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if self.again(&error, deadline) => (),
                Err(error) => return Err(failed(request, &format!("cannot be sent: {error}"))),
            }
        }
        let mut reply = Reply { head: Vec::new(), tail: Vec::new(), bytes: 0 };
        loop {
            let count = match self.stream.read(&mut self.room) {
                Ok(0) => return Err(failed(request, "the agent hung up before it had answered")),
                Ok(count) => count,
                Err(error) if self.again(&error, deadline) => continue,
                Err(error) => {
                    let so_far = reply.bytes;
                    let what =
                        format!("no reply within {SILENCE_S_MAX} s, {so_far} bytes: {error}");
                    return Err(failed(request, &what));
                }
            };
            let part = &self.room[..count];
            let missing = END_BYTES.saturating_sub(reply.head.len()).min(count);
            reply.head.extend_from_slice(&part[..missing]);
            reply.bytes += count;
            // A reply is one line, so only the last byte of what came can be its end.
            let ended = part[count - 1] == b'\n';
            keep_end(&mut reply.tail, part);
            if ended {
                break;
            }
            if count == self.room.len() {
                self.room.resize(READ_BYTES, 0);
            }
            watch(reply.bytes)?;
        }
        Ok(reply)
    }

    /// Whether a call that failed is to be tried again at once.
    fn again(&self, error: &std::io::Error, deadline: Instant) -> bool {
        let waiting = self.spinning && error.kind() == ErrorKind::WouldBlock;
        (waiting || error.kind() == ErrorKind::Interrupted) && Instant::now() < deadline
    }

    pub fn pings(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.ask(PING)?;
        }
        Ok(())
    }

    /// Opens a file in the agent and returns its handle.
    pub fn open(&mut self, path: &Path, mode: &str) -> Result<u64> {
        let request = request("file-open", json!({"path": path.to_string_lossy(), "mode": mode}));
        let reply = self.ask(request.as_bytes())?;
        let value: Value =
            serde_json::from_slice(&reply.head).else_say("guest-file-open's reply")?;
        value["return"].as_u64().ok_or_else(|| format!("no handle in {}", reply.text()))
    }

    pub fn rewind(&mut self, handle: u64) -> Result<()> {
        let start = json!({"handle": handle, "offset": 0, "whence": "set"});
        self.ask(request("file-seek", start).as_bytes()).map(|_| ())
    }

    pub fn close(&mut self, handle: u64) -> Result<()> {
        self.ask(request("file-close", json!({"handle": handle})).as_bytes()).map(|_| ())
    }
}

/// The request that most rows are made of.
pub const PING: &[u8] = b"{\"execute\":\"guest-ping\"}\n";

/// `guest-file-read` of `count` bytes.
pub fn read_request(handle: u64, count: u64) -> Vec<u8> {
    request("file-read", json!({"handle": handle, "count": count})).into_bytes()
}

/// `guest-file-write` with `base64_bytes` of base64 (rounded down to whole groups of four).
pub fn write_request(handle: u64, base64_bytes: usize) -> Vec<u8> {
    let mut data = "c3RyZWV0".repeat(base64_bytes / 8 + 1);
    data.truncate(base64_bytes / 4 * 4);
    request("file-write", json!({"handle": handle, "buf-b64": data})).into_bytes()
}

/// An error with the beginning of the request that it is about.
fn failed(request: &[u8], what: &str) -> String {
    let start = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
    format!("{}: {what}", start.trim_end())
}

fn keep_end(tail: &mut Vec<u8>, part: &[u8]) {
    let last = &part[part.len().saturating_sub(END_BYTES)..];
    let surplus = (tail.len() + last.len()).saturating_sub(END_BYTES);
    tail.drain(..surplus.min(tail.len()));
    tail.extend_from_slice(last);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_a_long_reply_are_kept_and_understood() {
        let mut tail = Vec::new();
        for part in [&[b'A'; 5000][..], &b"AAA\", \"count\": 12, \"eof\": false}}\n"[..]] {
            keep_end(&mut tail, part);
        }
        assert_eq!(tail.len(), END_BYTES);
        let reply = Reply { head: b"{\"return\": {\"buf-b64\": \"AAA".to_vec(), tail, bytes: 5030 };
        assert_eq!(reply.integer("count"), Some(12));
        assert_eq!(reply.integer("position"), None);
        assert!(!reply.is_error());
    }

    #[test]
    fn a_write_request_has_whole_groups_of_base64() {
        let request = String::from_utf8(write_request(7, 10)).unwrap();
        assert!(request.contains("\"buf-b64\":\"c3RyZWV0\"}}\n"));
    }
}
