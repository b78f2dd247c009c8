//! The socket between the agent and a worker: reports go in at the one end, with descriptors, and
//! come out at the other.

use crate::fd::Fd;
use crate::sys;
use qga_core::Errno;
use qga_core::platform::Report;

/// The end of this process.
pub struct Worker {
    line: Option<Fd>,
    /// Whether this process is the worker.
    pub is_worker: bool,
}

impl Worker {
    /// There is no worker.
    pub const NONE: Self = Worker { line: None, is_worker: false };

    /// The end of the agent, of a worker that has begun.
    pub fn of_agent(line: Fd) -> Self {
        Worker { line: Some(line), is_worker: false }
    }

    /// The end of a worker.
    pub fn of_worker(line: Fd) -> Self {
        Worker { line: Some(line), is_worker: true }
    }

    /// Tells the agent; `false` when it listens no more. Nothing in the agent itself.
    pub fn tell(&self, report: &Report, held: Option<&Fd>) -> bool {
        let line = self.line.as_ref().filter(|_| self.is_worker);
        line.is_none_or(|line| sys::socket::send_with(line, report, held).is_ok())
    }

    /// What the worker has told, into `report`. Errors: EAGAIN, ECHILD.
    pub fn hear(&mut self, report: &mut Report) -> Result<Option<Fd>, Errno> {
        let line = self.line.as_ref().ok_or(Errno::CHILD)?;
        let heard = sys::socket::receive_with(line, report);
        let goes_on = matches!(heard, Ok(_) | Err(Errno::AGAIN));
        if !goes_on || matches!(report, Report::End(..)) {
            self.line = None;
        }
        heard
    }

    /// Lets it tell nothing more.
    pub fn dismiss(&self) {
        if let Some(line) = &self.line {
            sys::socket::stop_receiving(line);
        }
    }
}
