//! Terminals and serial lines (ioctl_tty(2)).

use super::{call, set};
use crate::fd::Fd;
use linux_raw_sys::general as raw;
use linux_raw_sys::ioctl;
use qga_core::Errno;

/// The settings of a serial line (TCGETS of ioctl_tty(2)). Errors: ENOTTY.
pub fn line_settings(line: &Fd, settings: &mut raw::termios) -> Result<(), Errno> {
    let (fd, pointer) = (line.raw() as usize, &raw mut *settings as usize);
    // SAFETY: the kernel writes its termios into a variable that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, ioctl::TCGETS as usize, pointer, 0) }.map(drop)
}

/// Sets them, and drops input that has come before (TCSETS, TCFLSH).
pub fn set_line_settings(line: &Fd, settings: &raw::termios) -> Result<(), Errno> {
    const INPUT: usize = 0;
    let (fd, pointer) = (line.raw() as usize, &raw const *settings as usize);
    // SAFETY: the kernel reads a termios that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, fd, ioctl::TCSETS as usize, pointer, 0) }?;
    // SAFETY: no memory is involved.
    unsafe { call(raw::__NR_ioctl, fd, ioctl::TCFLSH as usize, INPUT, 0) }.map(drop)
}

/// Whether a file is a terminal (TIOCOUTQ of ioctl_tty(2)).
pub fn is_terminal(file: &Fd) -> bool {
    let mut queued = 0i32;
    let pointer = &raw mut queued as usize;
    // SAFETY: the kernel writes a number into a variable that lives until the call returns.
    unsafe { call(raw::__NR_ioctl, file.raw() as usize, ioctl::TIOCOUTQ as usize, pointer, 0) }
        .is_ok()
}

/// Makes a serial line this process's own: only root can still open it (TIOCEXCL of ioctl_tty(2)),
/// and whoever has it open, this process too, loses it (TIOCVHANGUP). Errors: EPERM for who is not
/// root, and then nobody loses it.
pub fn take_line(line: &Fd) -> Result<(), Errno> {
    set(line, ioctl::TIOCEXCL)?;
    set(line, ioctl::TIOCVHANGUP)
}
