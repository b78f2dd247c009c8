//! A client's end of a connection that may be lost at any moment, which is an answer and no
//! failure: bytes in, lines or the end out, each within the usual deadline.

use crate::connection::{ANSWER_DEADLINE, shown, untaken_bytes};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// What came next from the agent.
pub enum Next {
    Line(Vec<u8>),
    /// The connection has ended, with these bytes since the last newline.
    End(Vec<u8>),
}

/// A connection whose loss is no failure of the test.
pub struct Wire {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Wire {
    /// Wraps a connected socket.
    pub fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(ANSWER_DEADLINE)).expect("a deadline");
        stream.set_write_timeout(Some(ANSWER_DEADLINE)).expect("a deadline");
        Wire { stream, received: Vec::new() }
    }

    /// Writes `bytes`, as far as there is somebody to take them.
    pub fn send(&mut self, bytes: &[u8]) {
        // An agent that has gone shows when its reply is waited for.
        let _ = self.stream.write_all(bytes);
    }

    /// Waits until the agent has read all, or is gone: what is sent next is then a read of its own.
    pub fn see_taken(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while untaken_bytes(&self.stream) > 0 {
            if Instant::now() > deadline {
                return Err("the agent does not read".to_owned());
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// The next line, or the end of the connection; an error when neither comes.
    pub fn take(&mut self) -> Result<Next, String> {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        loop {
            if let Some(end) = self.received.iter().position(|&byte| byte == b'\n') {
                return Ok(Next::Line(self.received.drain(..=end).collect()));
            }
            let mut buffer = [0; 65536];
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(Next::End(std::mem::take(&mut self.received))),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                        return Ok(Next::End(std::mem::take(&mut self.received)));
                    }
                    _ => return Err(format!("no answer: {error}")),
                },
            }
            if Instant::now() > deadline {
                return Err(format!("no end of the line: {}", shown(&self.received)));
            }
        }
    }

    /// Tells the agent that nothing more comes; all that it still says.
    pub fn finish(mut self) -> Result<Vec<u8>, String> {
        let _ = self.stream.shutdown(Shutdown::Write);
        let mut rest = Vec::new();
        loop {
            match self.take()? {
                Next::Line(line) => rest.extend(line),
                Next::End(bytes) => return Ok([rest, bytes].concat()),
            }
        }
    }
}
