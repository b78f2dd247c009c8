//! One client's connection to an agent: requests in, whole lines out, each with a deadline, and
//! cuts of the input whose places are certain.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long an answer may take before the test fails; generous, for a machine that does other work.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(20);

/// A connected client.
pub struct Connection {
    pub stream: UnixStream,
    received: Vec<u8>,
}

impl Connection {
    /// Wraps a connected socket.
    pub fn new(stream: UnixStream) -> Self {
        stream.set_write_timeout(Some(ANSWER_DEADLINE)).expect("a write deadline");
        Connection { stream, received: Vec::new() }
    }

    /// Writes `bytes` in one piece.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the agent takes the request");
    }

    /// Writes `bytes` and returns when the agent has read all of them, so that what is sent next is
    /// a read of its own.
    pub fn send_and_see_taken(&mut self, bytes: &[u8]) {
        self.send(bytes);
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while self.untaken_bytes() > 0 {
            assert!(Instant::now() < deadline, "the agent does not read: {}", shown(bytes));
            std::thread::yield_now();
        }
    }

    /// What the kernel holds for the agent to read.
    pub fn untaken_bytes(&self) -> i32 {
        untaken_bytes(&self.stream)
    }

    /// The next line of output, newline included.
    pub fn line(&mut self) -> Vec<u8> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.received[searched..].iter().position(|&byte| byte == b'\n') {
                return self.received.drain(..=searched + end).collect();
            }
            searched = self.received.len();
            self.receive("a line");
        }
    }

    /// The next line as text; a sentinel before it is taken off.
    pub fn text(&mut self) -> String {
        let line = self.line();
        let text = line.strip_prefix(b"\xff").unwrap_or(&line);
        String::from_utf8(text.to_vec()).expect("replies are ASCII").trim_end().to_owned()
    }

    /// The next line as text, if it comes within `time`.
    pub fn text_within(&mut self, time: Duration) -> Option<String> {
        let deadline = Instant::now() + time;
        while !self.received.contains(&b'\n') {
            if !self.receive_until(deadline) {
                return None;
            }
        }
        Some(self.text())
    }

    /// Sends one request and returns its reply's line.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> String {
        self.send(request);
        self.text()
    }

    /// Output until it is `expected`, or differs from it, or no more comes.
    pub fn take_like(&mut self, expected: &[u8]) -> Vec<u8> {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while expected.starts_with(&self.received)
            && self.received.len() < expected.len()
            && self.receive_until(deadline)
        {}
        let count = expected.len().min(self.received.len());
        self.received.drain(..count).collect()
    }

    /// At most `count` bytes of output, as soon as there are any; none when nothing more comes.
    pub fn take_some(&mut self, count: usize) -> Vec<u8> {
        if self.received.is_empty() {
            self.receive_until(Instant::now() + ANSWER_DEADLINE);
        }
        let count = count.min(self.received.len());
        self.received.drain(..count).collect()
    }

    /// All output until none has come for `quiet`.
    pub fn reply_until_quiet(&mut self, quiet: Duration) -> Vec<u8> {
        while self.receive_until(Instant::now() + quiet) {}
        std::mem::take(&mut self.received)
    }

    /// Tells the agent that nothing more comes and returns all that it still answers.
    pub fn finish(mut self) -> Vec<u8> {
        self.stream.shutdown(Shutdown::Write).expect("shutdown");
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while self.receive_until(deadline) {}
        assert!(
            Instant::now() < deadline,
            "the agent did not hang up after the client's end of file"
        );
        self.received
    }

    fn receive(&mut self, what: &str) {
        if !self.receive_until(Instant::now() + ANSWER_DEADLINE) {
            panic!("no {what} came; received so far: {}", shown(&self.received));
        }
    }

    /// Reads once; whether anything came.
    fn receive_until(&mut self, deadline: Instant) -> bool {
        let mut buffer = [0; 65536];
        let left = deadline.saturating_duration_since(Instant::now());
        self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1)))).expect("a deadline");
        match self.stream.read(&mut buffer) {
            Ok(count) => {
                self.received.extend_from_slice(&buffer[..count]);
                count > 0
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                false
            }
            // The machine was paused and goes on.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.receive_until(deadline),
            // The agent closed with input of ours unread.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("reading the agent's reply: {error}"),
        }
    }
}

/// What the kernel holds of what was written to a socket and not yet read from its other end.
pub fn untaken_bytes(stream: &UnixStream) -> i32 {
    let mut bytes = 0;
    // SAFETY: TIOCOUTQ writes one int.
    let result = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &mut bytes) };
    assert_eq!(result, 0, "TIOCOUTQ: {}", std::io::Error::last_os_error());
    bytes
}

/// Bytes for a person: ASCII as it is, the rest escaped, long ones cut in the middle.
pub fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    if text.len() <= 1200 {
        return text;
    }
    format!("{} ... ({} bytes) ... {}", &text[..600], bytes.len(), &text[text.len() - 300..])
}
