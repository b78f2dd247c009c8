//! A serial line, set to pass bytes as they are.

use crate::fd::Fd;
use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::general as raw;
use qga_core::Errno;
use rustix::fs::OFlags;

/// Opens the line, raw, and forgets what came before. Errors: ENOTTY for what is no line.
pub fn open(path: &CStr) -> Result<Fd, Errno> {
    let line = sys::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY, 0)?;
    let mut settings = sys::line_settings(&line)?;
    // What cfmakeraw(3) does: bytes pass as they are, eight bits, a read returns with the first one.
    settings.c_iflag &= !(raw::IGNBRK
        | raw::BRKINT
        | raw::PARMRK
        | raw::ISTRIP
        | raw::INLCR
        | raw::IGNCR
        | raw::ICRNL
        | raw::IXON);
    settings.c_oflag &= !raw::OPOST;
    settings.c_lflag &= !(raw::ECHO | raw::ECHONL | raw::ICANON | raw::ISIG | raw::IEXTEN);
    settings.c_cflag = settings.c_cflag & !(raw::CSIZE | raw::PARENB) | raw::CS8;
    // Both places are constants, so the compiler sees that they are inside.
    settings.c_cc[raw::VMIN as usize] = 1;
    settings.c_cc[raw::VTIME as usize] = 0;
    sys::set_line_settings(&line, &settings)?;
    Ok(line)
}
