//! Named pipes: bytes in at one end, out at the other, never waiting. What is in a pipe lies in a
//! chain of blocks like a file's; what was read of it is given back when the pipe is empty.
//!
//! Source of the behaviour: fifo(7), pipe(7) with O_NONBLOCK.

use super::store::{Chain, Store};
use qga_core::Errno;

/// How much a pipe holds (pipe(7)).
pub const PIPE_BYTES_MAX: usize = 65_536;

/// Reads what is in a pipe; `head` is how much of it was read before. Errors: EAGAIN when it is
/// empty and somebody may still write.
pub fn read(
    store: &mut Store,
    chain: &mut Chain,
    head: &mut u32,
    writers: bool,
    into: &mut [u8],
) -> Result<usize, Errno> {
    if chain.size() == 0 && writers {
        return Err(Errno::AGAIN);
    }
    let len = store.read(chain, u64::from(*head), into);
    *head += len as u32;
    if *head as usize >= chain.size() {
        store.clear(chain);
        *head = 0;
    }
    Ok(len)
}

/// Writes into a pipe. Errors: EPIPE without a reader, EAGAIN when it is full.
pub fn write(
    store: &mut Store,
    chain: &mut Chain,
    readers: bool,
    bytes: &[u8],
) -> Result<usize, Errno> {
    if !readers {
        return Err(Errno::PIPE);
    }
    let room = PIPE_BYTES_MAX.saturating_sub(chain.size());
    let fits = bytes.get(..bytes.len().min(room)).unwrap_or(&[]);
    if fits.is_empty() && !bytes.is_empty() {
        return Err(Errno::AGAIN);
    }
    let end = chain.size() as u64;
    store.write(chain, end, fits).map_err(|_| Errno::AGAIN)
}
