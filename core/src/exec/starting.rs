//! The process of a program and what it has open: a program and what of its output is wanted come
//! in; a process, and the reading ends of its pipes in its entry, go out. Whatever fails on the
//! way, what was opened for it is closed in one place.

use super::entry::{Entry, Stage, Wanted};
use super::words::Program;
use crate::errno::Errno;
use crate::limits::EXEC_PIPE_BYTES_MIN;
use crate::platform::{Exec, Standard};

/// What is open while a process is made, but for what stays open: closed in one place, whatever
/// fails.
struct Opened<F> {
    nothing: Option<F>,
    input: Option<F>,
    reports: Option<F>,
    /// What the program prints into.
    prints: [Option<F>; 2],
}

/// Makes the process of a program, and what takes its output, into a free entry.
#[inline(never)]
pub(super) fn spawn<F, P: Exec<Pipe = F>>(
    platform: &mut P,
    place: usize,
    program: &Program<'_>,
    input: Option<&[u8]>,
    wanted: Wanted,
    entry: &mut Entry<F>,
) -> Result<(), Errno> {
    let mut opened = Opened { nothing: None, input: None, reports: None, prints: [None, None] };
    let opened = &mut opened;
    open(platform, input, wanted, entry, opened)?;
    let [printed, complained] = &opened.prints;
    let merged = if wanted == Wanted::Merged { printed } else { &None };
    let (Some(nothing), Some(report)) = (&opened.nothing, &opened.reports) else {
        return Err(Errno::BADF);
    };
    let standard = Standard {
        input: opened.input.as_ref().unwrap_or(nothing),
        output: printed.as_ref().unwrap_or(nothing),
        error: complained.as_ref().or(merged.as_ref()).unwrap_or(nothing),
        report,
    };
    let mut child = |platform: &mut P, room: &mut [u8]| program.become_it(platform, room);
    entry.pid = platform.spawn(place, standard, program.room_bytes(), &mut child)?;
    entry.stage = Stage::Starting;
    Ok(())
}

/// Opens what that takes.
fn open<F, P: Exec<Pipe = F>>(
    platform: &mut P,
    input: Option<&[u8]>,
    wanted: Wanted,
    entry: &mut Entry<F>,
    opened: &mut Opened<F>,
) -> Result<(), Errno> {
    opened.nothing = Some(platform.nothing().or_else(|_| platform.memory())?);
    if let Some(bytes) = input {
        opened.input = Some(feed(platform, bytes)?);
    }
    watched(platform, &mut entry.report, &mut opened.reports)?;
    let outputs = entry.outputs.iter_mut().zip(&mut opened.prints);
    let unwanted = [
        matches!(wanted, Wanted::None | Wanted::Errors),
        !matches!(wanted, Wanted::Errors | Wanted::Separated),
    ];
    for ((output, prints), unwanted) in outputs.zip(unwanted) {
        if !unwanted {
            watched(platform, &mut output.pipe, prints)?;
            output.memory = Some(platform.memory()?);
        }
    }
    Ok(())
}

/// A pipe whose reading end is watched.
#[inline(never)]
fn watched<F, P: Exec<Pipe = F>>(
    platform: &mut P,
    read: &mut Option<F>,
    write: &mut Option<F>,
) -> Result<(), Errno> {
    let [reads, writes] = platform.pipe()?;
    (*read, *write) = (Some(reads), Some(writes));
    read.as_ref().map_or(Err(Errno::BADF), |read| platform.watch(read))
}

/// What a program reads these bytes from, all of them in it already: a pipe, as the reference has
/// it, or, where it cannot be as large, memory.
fn feed<F, P: Exec<Pipe = F>>(platform: &mut P, bytes: &[u8]) -> Result<F, Errno> {
    let [read, write] = platform.pipe()?;
    let holds = bytes.len() <= EXEC_PIPE_BYTES_MIN || platform.enlarge(&write, bytes.len()).is_ok();
    if holds && put_all(platform, &write, false, bytes).is_ok() {
        return Ok(read);
    }
    let memory = platform.memory()?;
    put_all(platform, &memory, true, bytes)?;
    Ok(memory)
}

/// Puts all of `bytes` into a pipe, or into memory, by as many calls as that takes. Errors: those
/// of a call; EIO when nothing more goes in.
#[inline(never)]
fn put_all<F, P: Exec<Pipe = F>>(
    platform: &mut P,
    file: &F,
    is_memory: bool,
    bytes: &[u8],
) -> Result<(), Errno> {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let put = match is_memory {
            true => platform.put_into_memory(file, at, rest),
            false => platform.put_into_pipe(file, rest),
        };
        match put {
            Ok(0) => return Err(Errno::IO),
            Ok(len) => at += len,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
