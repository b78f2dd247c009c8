//! Programs of the guest that a copy of the agent runs, and waits for.

use super::Exit;
use crate::errno::Errno;

/// Programs.
pub trait Programs {
    /// In a copy ([`super::Tasks`]): runs the program `words` (its path, then its arguments), which
    /// reads `input`, until it ends; puts the beginning of what it prints into `output`, and how
    /// much that is behind the exit. A program without a `/` is looked for where programs are. It
    /// ends with the copy. Errors: ENOENT when there is none, EACCES and the like when it cannot be
    /// executed.
    fn run_program(
        &mut self,
        words: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(Exit, usize), Errno> {
        let _ = (words, input, output);
        Err(Errno::NOENT)
    }
}
