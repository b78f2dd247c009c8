//! A pseudo terminal, standing in for a serial port: the master's side here, a path for the agent.

use crate::connection::ANSWER_DEADLINE;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The master's side; the agent opens `path`.
pub struct Pty {
    pub master: File,
    pub path: PathBuf,
}

impl Pty {
    /// A fresh pair.
    pub fn open() -> io::Result<Self> {
        // SAFETY: posix_openpt takes flags and returns a new descriptor, checked below.
        let fd = unsafe { libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fd is new and owned by nobody else.
        let master = unsafe { File::from_raw_fd(fd) };
        let mut name = [0; 64];
        // SAFETY: both take the open descriptor; the buffer has the length given.
        let result = unsafe {
            match libc::unlockpt(fd) {
                0 => libc::ptsname_r(fd, name.as_mut_ptr(), name.len()),
                failed => failed,
            }
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        let name: Vec<u8> = name.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
        Ok(Pty { master, path: PathBuf::from(String::from_utf8_lossy(&name).into_owned()) })
    }

    /// Waits until the agent has made the line raw: until then the terminal would echo to the
    /// writer.
    pub fn wait_until_raw(&self) {
        let deadline = Instant::now() + ANSWER_DEADLINE;
        while self.modes().c_lflag & (libc::ICANON | libc::ECHO) != 0 {
            assert!(Instant::now() < deadline, "{} was never made raw", self.path.display());
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// The terminal's modes.
    pub fn modes(&self) -> libc::termios {
        // SAFETY: a termios of zeros is valid; tcgetattr fills it.
        unsafe {
            let mut modes = std::mem::zeroed();
            let result = libc::tcgetattr(self.master.as_raw_fd(), &mut modes);
            assert_eq!(result, 0, "tcgetattr: {}", io::Error::last_os_error());
            modes
        }
    }

    /// Whether anything comes from the agent within `ms`.
    pub fn readable_within_ms(&self, ms: i32) -> bool {
        let mut poll =
            libc::pollfd { fd: self.master.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one pollfd, as said.
        unsafe { libc::poll(&mut poll, 1, ms) == 1 && poll.revents & libc::POLLIN != 0 }
    }
}
