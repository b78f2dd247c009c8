//! Lines of text for people, put together without an allocator and written at once.

use crate::fd::Fd;
use core::mem::ManuallyDrop;
use qga_core::Errno;
use qga_core::error::reason;
use qga_core::text::Phrase;
use qga_core::writer::Writer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Longest line, with its end; what does not fit is left out.
pub const LINE_BYTES_MAX: usize = 1024;

/// Puts a line together by `fill` and writes it with a newline, unless that would wait.
pub fn line(to: &Fd, fill: impl FnOnce(&mut Writer<'_>)) {
    let mut bytes = [0; LINE_BYTES_MAX];
    let mut out = Writer::new(&mut bytes);
    fill(&mut out);
    end_line(&mut out);
    offer(to, out.written());
}

/// Puts its end to a line, for which there is room however much was put into it.
#[inline(never)]
pub fn end_line(out: &mut Writer<'_>) {
    out.rewind(LINE_BYTES_MAX - 1);
    out.ascii("\n");
}

/// Writes a line, unless that would wait; whether all of it was taken. Nobody may read the pipe
/// that `to` is: one that can be written to has room for [`PIPE_BYTES`] (pipe(7)). A terminal that
/// is stopped says that it has none.
#[inline(never)]
pub fn offer(to: &Fd, line: &[u8]) -> bool {
    events(to, PollFlags::OUT, 0).contains(PollFlags::OUT) && to.put(line) == Ok(line.len() as u32)
}

/// What of `wanted` there is to be seen of a file within a time, or that its other end is gone.
#[inline(never)]
pub fn events(file: &Fd, wanted: PollFlags, ms_max: u32) -> PollFlags {
    let mut state = [PollFd::new(file, wanted)];
    let within = Timespec { tv_sec: 0, tv_nsec: i64::from(ms_max) * 1_000_000 };
    match poll(&mut state, Some(&within)) {
        Ok(_) => state[0].revents(),
        Err(_) => PollFlags::empty(),
    }
}

/// What a pipe takes at once or not at all (PIPE_BUF, pipe(7)).
const PIPE_BYTES: usize = 4096;
const _: () = assert!(LINE_BYTES_MAX <= PIPE_BYTES);

/// One of the texts that stand below each other: so they take no pointer each.
pub fn one_of(texts: &[u8], at: usize) -> &[u8] {
    texts.split(|&byte| byte == b'\n').nth(at).unwrap_or(&[])
}

/// Says on standard error that something could not be done, and why: `qga: WHAT PATH: WHY (HINT)`.
pub fn complain(what: Phrase, path: &[u8], errno: Errno, hint: Phrase) {
    line(&STDERR, |out| {
        out.ascii("qga: ");
        out.phrase(what);
        if !path.is_empty() {
            out.ascii(" ");
            out.raw(path);
        }
        out.ascii(": ");
        reason(out, errno);
        if !hint.is_empty() {
            out.ascii(" (");
            out.phrase(hint);
            out.ascii(")");
        }
    });
}

/// Standard output; never closed by us.
// SAFETY: the descriptor is only written to; if it is closed, writing fails.
pub static STDOUT: ManuallyDrop<Fd> = ManuallyDrop::new(unsafe { Fd::from_raw(1) });

/// Standard error; never closed by us.
// SAFETY: the descriptor is only written to; if it is closed, writing fails.
pub static STDERR: ManuallyDrop<Fd> = ManuallyDrop::new(unsafe { Fd::from_raw(2) });
