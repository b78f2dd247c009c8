//! What was tried to end the guest and why it did not work, line by line: the text of the error
//! reply.

use crate::errno::Errno;
use crate::error::reason;
use crate::limits::SHUTDOWN_REPORT_BYTES_MAX;
use crate::platform::Exit;
use crate::text::Text;
use crate::writer::Writer;

/// The account of one shutdown. All zero when empty.
pub struct Account {
    /// Short, because it lies in the state of every guest.
    len: u16,
    bytes: [u8; SHUTDOWN_REPORT_BYTES_MAX],
}

impl Account {
    /// An empty one.
    pub const fn new() -> Self {
        Account { len: 0, bytes: [0; SHUTDOWN_REPORT_BYTES_MAX] }
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// All of it.
    pub fn text(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Adds a line to the account: who, and a text or the errno that is the reason. What does not
    /// fit is left out.
    pub fn note(&mut self, who: &[u8], because: Text, errno: Option<Errno>) {
        let mut out = Writer::after(&mut self.bytes, usize::from(self.len));
        if !out.is_empty() {
            out.ascii("; ");
        }
        out.raw(who);
        out.ascii(": ");
        out.say(because);
        if let Some(errno) = errno {
            reason(&mut out, errno);
        }
        self.len = out.len() as u16;
    }

    /// Ends the line of a program: how it ended, and what it printed last.
    pub fn note_exit(&mut self, exit: Exit, output: &[u8]) {
        let mut out = Writer::after(&mut self.bytes, usize::from(self.len));
        let (word, number) = match exit {
            Exit::Status(status) => (text!("exit status "), status),
            Exit::Signal(signal) => (text!("ended by signal "), signal),
        };
        out.say(word);
        out.unsigned(u64::from(number));
        if let Some(last) = output.iter().rposition(|byte| byte.is_ascii_graphic()) {
            out.say(text!(", it said: "));
            out.raw(output.get(..=last).unwrap_or(output));
        }
        self.len = out.len() as u16;
    }
}
