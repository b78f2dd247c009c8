//! Locks on single bytes of files (fcntl(2)), which last as long as their process.

use super::control;
use crate::fd::Fd;
use linux_raw_sys::general as raw;
use qga_core::Errno;

/// Locks one byte of a file (fcntl(2), F_SETLK and F_SETLKW with F_WRLCK or F_RDLCK), or looks who
/// has (F_GETLK).
#[inline(never)]
fn lock(file: &Fd, number: u64, kind: u32, command: u32) -> Result<Option<i32>, Errno> {
    let mut lock =
        raw::flock { l_type: kind as i16, l_whence: 0, l_start: number as i64, l_len: 1, l_pid: 0 };
    // SAFETY: the kernel reads the structure, or writes into it, which lives until the call
    // returns.
    unsafe { control(file, command, &raw mut lock as usize) }?;
    Ok((lock.l_type != raw::F_UNLCK as i16).then_some(lock.l_pid))
}

/// Locks one byte of a file for this process, and waits for that if it `waits`; the process that
/// has it, if one does, 0 where that cannot be seen.
pub fn lock_byte(file: &Fd, number: u64, waits: bool) -> Result<Option<i32>, Errno> {
    match lock(file, number, raw::F_WRLCK, if waits { raw::F_SETLKW } else { raw::F_SETLK }) {
        Ok(_) => Ok(None),
        // Who has it has given it up since, if nobody does.
        Err(Errno::AGAIN | Errno::ACCES) => {
            lock_holder(file, number).map(|holder| Some(holder.unwrap_or(0)))
        }
        Err(errno) => Err(errno),
    }
}

/// Locks one byte of a file for this process and for any other that shares it.
pub fn share_byte(file: &Fd, number: u64) {
    let _ = lock(file, number, raw::F_RDLCK, raw::F_SETLK);
}

/// Which other process has locked one byte of a file, if one has.
pub fn lock_holder(file: &Fd, number: u64) -> Result<Option<i32>, Errno> {
    lock(file, number, raw::F_WRLCK, raw::F_GETLK)
}
