//! What a kernel tells the agent that it can do: a table of C functions, of which all but one may
//! be NULL. These types are the header; what the commands make of them is in [`crate::guest`].

use core::ffi::{c_char, c_int, c_void};

/// Longest request, in bytes; a longer one is answered with an error that names the limit.
pub const QGA_FRAME_BYTES: usize = 16 * 1024;
/// Most bytes that wait for the channel at one time.
pub const QGA_WINDOW_BYTES: usize = 4 * 1024;
/// Longest line that `log` is given; what is beyond is cut.
pub const QGA_LOG_BYTES: usize = 160;

/// Flag of `open`: for reading.
pub const QGA_OPEN_READ: u32 = 1;
/// Flag of `open`: for writing.
pub const QGA_OPEN_WRITE: u32 = 2;
/// Flag of `open`: make the file if it is missing.
pub const QGA_OPEN_CREATE: u32 = 4;
/// Flag of `open`: empty it.
pub const QGA_OPEN_TRUNCATE: u32 = 8;
/// Flag of `open`: each write goes to the end.
pub const QGA_OPEN_APPEND: u32 = 16;

/// From where `seek` counts, as in stdio.h.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum Whence {
    /// The beginning.
    Set = 0,
    /// The present position.
    Current = 1,
    /// The end.
    End = 2,
}

/// How `shutdown` ends the guest.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum Mode {
    /// Power off.
    Powerdown = 0,
    /// Stop the processor, power stays on.
    Halt = 1,
    /// Start again.
    Reboot = 2,
}

/// How much a line of the log matters.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum Level {
    /// What the operator must know.
    Error = 0,
    /// What is unusual and was handled.
    Warning = 1,
    /// What happened.
    Info = 2,
}

/// What the guest can do. A NULL pointer means "cannot": the commands that would need it are left
/// out of guest-info and answer CommandNotFound. `guest` is what qga_init was given; functions
/// return 0 or a count when they worked, else a negative errno (Linux's numbers). None may wait for
/// data that may never come (-EAGAIN instead), and none may call into the agent.
///
/// Texts are not terminated by a NUL; their length stands beside them.
#[repr(C)]
pub struct Operations {
    /// Milliseconds of a clock that never jumps; where it starts does not matter. Must not be NULL.
    pub now_ms: Option<unsafe extern "C" fn(guest: *mut c_void) -> u64>,
    /// Nanoseconds since 1970, UTC, into `*ns`.
    pub wall_clock_ns: Option<unsafe extern "C" fn(guest: *mut c_void, ns: *mut i64) -> c_int>,
    /// Takes one line of the agent's log, without a newline. NULL: there is no log.
    pub log: Option<
        unsafe extern "C" fn(guest: *mut c_void, level: Level, text: *const c_char, len: usize),
    >,

    /// Opens a file, and puts whatever stands for it into `*file`. `flags` are QGA_OPEN_*. NULL: no
    /// file commands at all.
    pub open: Option<
        unsafe extern "C" fn(
            guest: *mut c_void,
            path: *const c_char,
            path_len: usize,
            flags: u32,
            file: *mut *mut c_void,
        ) -> c_int,
    >,
    /// Closes a file; whatever it returns, the file is closed. NULL: nothing to do.
    pub close: Option<unsafe extern "C" fn(file: *mut c_void) -> c_int>,
    /// Reads up to `len` bytes; returns how many, 0 at the end only.
    pub read: Option<unsafe extern "C" fn(file: *mut c_void, into: *mut u8, len: usize) -> isize>,
    /// Writes up to `len` bytes; returns how many.
    pub write:
        Option<unsafe extern "C" fn(file: *mut c_void, bytes: *const u8, len: usize) -> isize>,
    /// Moves the position; returns it. Errors: -EINVAL (before the beginning), -ESPIPE.
    pub seek: Option<unsafe extern "C" fn(file: *mut c_void, offset: i64, whence: Whence) -> i64>,
    /// Reads the agent's saved state (at most 256 bytes) into `into`; returns its length, -ENOENT
    /// when nothing was saved yet. NULL, as for `save_state`: file handles are counted anew after a
    /// restart.
    pub load_state:
        Option<unsafe extern "C" fn(guest: *mut c_void, into: *mut u8, len: usize) -> isize>,
    /// Replaces the saved state, at once: after a crash the old or the new one is there.
    pub save_state:
        Option<unsafe extern "C" fn(guest: *mut c_void, bytes: *const u8, len: usize) -> c_int>,

    /// Ends the guest. May return 0 when that takes a moment: the agent says nothing any more.
    pub shutdown: Option<unsafe extern "C" fn(guest: *mut c_void, mode: Mode) -> c_int>,
    /// Writes everything back, before `shutdown`. NULL: nothing to write back.
    pub sync: Option<unsafe extern "C" fn(guest: *mut c_void)>,
}
