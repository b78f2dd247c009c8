//! A serial line, set to pass bytes as they are.

use crate::fd::Fd;
use crate::sys;
use core::ffi::CStr;
use linux_raw_sys::general as raw;
use qga_core::Errno;
use rustix::fs::OFlags;

/// How a line is opened.
const LINE: OFlags = OFlags::RDWR.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens the line, raw, and forgets what came before. Whoever else has it open could put requests
/// into it (TIOCSTI, loopback mode), which are obeyed as root's; so nobody keeps it open, and but
/// for root nobody opens it any more. Errors: ENOTTY for what is no line, EPERM for one that
/// somebody else may give rights to.
pub fn open(path: &CStr) -> Result<Fd, Errno> {
    let mut line = sys::open(path, LINE, 0)?;
    let mut settings =
        raw::termios { c_iflag: 0, c_oflag: 0, c_cflag: 0, c_lflag: 0, c_line: 0, c_cc: [0; 19] };
    sys::tty::line_settings(&line, &mut settings)?;
    let node = sys::look(&line)?;
    if !sys::is_own(node.user) || node.mode & 0o002 != 0 {
        return Err(Errno::PERM);
    }
    if sys::tty::take_line(&line).is_ok() {
        line = sys::open(path, LINE, 0)?;
    }
    // What cfmakeraw(3) does: bytes pass as they are, eight bits, a read returns with the first
    // one.
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
    sys::tty::set_line_settings(&line, &settings)?;
    Ok(line)
}
