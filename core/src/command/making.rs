//! Lists that a copy of the agent makes: begun, followed, and written into the reply, the last
//! element first, as the reference has them.

use super::left_out;
use crate::errno::Errno;
use crate::error::Error;
use crate::limits::{TASK_MS_MAX, TASK_STEP_MS_MAX};
use crate::platform::{Exit, Level, Platform};
use crate::response::{Cursor, Failed};
use crate::shutdown::Progress;
use crate::state::State;
use crate::task::{Make, Risks, Task, is_risk};
use crate::text::Text;
use crate::writer::Writer;

/// What failed.
const FAILED: Text = text!("failed to list the disks");

/// Begins to make a list. Errors: there can be no copy.
pub fn begin<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    make: Make<P>,
) -> Result<(), Error<'static>> {
    let until_ms = platform.now_ms().saturating_add(TASK_MS_MAX);
    // What an earlier copy hangs in would hang again.
    let risks = if platform.abandoned() == 0 { Risks::NONE } else { state.task.risks };
    state.task = Task { make: Some(make), until_ms, risks, ..Task::NONE };
    start(platform, state).map_err(|errno| Error::Failed(FAILED, errno))
}

#[inline(never)]
fn start<P: Platform>(platform: &mut P, state: &mut State<P>) -> Result<(), Errno> {
    state.task.about = 0;
    state.task.step_until_ms = platform.now_ms().saturating_add(TASK_STEP_MS_MAX);
    let State { task, list, .. } = state;
    let make = task.make.ok_or(Errno::NOSYS)?;
    platform.begin_task(&mut |platform| make(platform, list, task.risks))
}

/// Follows the copy, and begins another one in the place of one that hangs.
pub fn poll<'s, P: Platform>(platform: &mut P, state: &'s mut State<P>) -> Progress<'s> {
    let ended = match platform.task_exit() {
        Some(Exit::Status(0)) => Ok(()),
        Some(Exit::Status(number)) => match Errno::new(number.into()) {
            // Whoever asks learns what fitted in.
            Errno::FBIG => {
                left_out(platform, Errno::FBIG);
                Ok(())
            }
            errno => Err(errno),
        },
        // Somebody has killed it.
        Some(Exit::Signal(_)) => Err(Errno::INTR),
        None => match go_on(platform, state) {
            Ok(until_ms) => return Progress::Wait(until_ms),
            Err(errno) => Err(errno),
        },
    };
    if ended.is_err() {
        platform.end_task();
    }
    Progress::Done(ended.map_err(|errno| Error::Failed(FAILED, errno)))
}

/// Until when to wait for the copy, or for the one after it.
fn go_on<P: Platform>(platform: &mut P, state: &mut State<P>) -> Result<u64, Errno> {
    let task = &mut state.task;
    let (now_ms, about) = (platform.now_ms(), platform.task_about());
    if about != task.about {
        task.about = about;
        task.step_until_ms = now_ms.saturating_add(TASK_STEP_MS_MAX);
    }
    let all = task.risks.hung > 1;
    let until_ms = task.step_until_ms.min(if all { u64::MAX } else { task.until_ms });
    if now_ms < until_ms {
        return Ok(until_ms);
    }
    if all {
        return Err(Errno::TIMEDOUT);
    }
    task.risks = if now_ms < task.until_ms { task.risks.and(about) } else { Risks::ALL };
    platform.log(Level::Warning, &[phrase!("a disk does not answer: what it says is left out")]);
    start(platform, state)?;
    Ok(state.task.step_until_ms)
}

/// Nobody waits for the list any more.
pub fn cancel<'s, P: Platform>(platform: &mut P, state: &'s mut State<P>) -> Progress<'s> {
    let (about, risks) = (platform.task_about(), &mut state.task.risks);
    // If it does not end now, that is what it hangs in.
    if platform.task_exit().is_none() && is_risk(about) && about != risks.on {
        *risks = risks.and(about);
    }
    platform.end_task();
    Progress::Done(Ok(()))
}

/// What a call of [`piece`] does, in [`Cursor::part`].
const BEGINNING: u8 = 0;
const NEXT: u8 = 1;

/// Length of the length of an element.
const LENGTH_BYTES: usize = 4;

/// Writes what the copy has made: the beginning, the choice of an element or a part of it at each
/// call. Where the elements that are left end says [`Cursor::inner`], what is left of the present
/// one lies from [`Cursor::outer`] to [`Cursor::handle`].
pub fn piece<P: Platform>(
    platform: &mut P,
    _: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    if cursor.part == BEGINNING {
        cursor.open("[", out);
        cursor.inner = platform.made_bytes() as usize;
        cursor.part = NEXT;
    }
    if cursor.outer as i64 == cursor.handle {
        let mut length = [0; LENGTH_BYTES];
        let end = cursor.inner.wrapping_sub(LENGTH_BYTES);
        if platform.made(end as u64, &mut length) < LENGTH_BYTES {
            cursor.close("]", out);
            platform.end_task();
            return Ok(false);
        }
        cursor.inner = end.saturating_sub(u32::from_ne_bytes(length) as usize);
        (cursor.outer, cursor.handle) = (cursor.inner, end as i64);
        cursor.element(out);
    }
    let left = (cursor.handle as usize).saturating_sub(cursor.outer);
    let free = out.free();
    let len = left.min(free.len());
    let read = platform.made(cursor.outer as u64, free.get_mut(..len).unwrap_or(&mut []));
    out.advance(read);
    cursor.outer += read;
    if read == 0 {
        // Memory that cannot be read any more.
        return Err(Failed(FAILED, Errno::IO));
    }
    Ok(true)
}
