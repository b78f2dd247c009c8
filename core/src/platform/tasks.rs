//! Work that may hang, done by a copy of the agent: what a list is made of may lie on a disk that
//! does not answer, and nobody could ask the agent for anything then.

use super::Exit;
use crate::errno::Errno;

/// What a copy does: errors end it.
pub type Work<'w, P> = &'w mut dyn FnMut(&mut P) -> Result<(), Errno>;

/// Copies of the agent, one at a time. A guest whose calls never hang may do the work itself.
pub trait Tasks: Sized {
    /// Has a copy of the agent do `work`, in place of what an earlier one may still be doing
    /// (fork(2)). The copy ends with the number of the error, 0 without one. Errors: EAGAIN,
    /// ENOMEM: there is no copy.
    fn begin_task(&mut self, work: Work<'_, Self>) -> Result<(), Errno> {
        let _ = work;
        Err(Errno::OPNOTSUPP)
    }

    /// In the copy: says what it is about to do that may hang.
    fn put_about(&mut self, key: u64) {
        let _ = key;
    }

    /// In the copy: adds to what it has made. Errors: ENOSPC, ENOMEM.
    fn put_made(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let _ = bytes;
        Err(Errno::OPNOTSUPP)
    }

    /// How the copy has ended, once it has.
    fn task_exit(&mut self) -> Option<Exit> {
        None
    }

    /// What the copy was about to do last, 0 at its beginning.
    fn task_about(&mut self) -> u64 {
        0
    }

    /// How much the copy has made, in bytes.
    fn made_bytes(&mut self) -> u64 {
        0
    }

    /// Reads what it has made, from byte `at` on; how much that is, 0 if nothing can be read.
    fn made(&mut self, at: u64, into: &mut [u8]) -> usize {
        let _ = (at, into);
        0
    }

    /// How many copies that nobody wanted any more have not ended yet, of at most
    /// [`crate::limits::ABANDONED_MAX`] that are kept in mind.
    fn abandoned(&mut self) -> usize {
        0
    }

    /// Lets the copy go on to its end, whatever that brings: nobody wants to know.
    fn leave_task(&mut self) {}

    /// Whether a copy that was left to itself has not ended yet.
    fn is_left(&mut self) -> bool {
        false
    }

    /// Nobody wants any more what the copy makes, or has made.
    fn end_task(&mut self) {}
}
