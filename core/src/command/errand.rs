//! Errands: what a copy of the agent does once, because it takes its time or may hang. What it
//! writes down is the body of the reply, or what has gone wrong; the agent waits for its end and
//! hands that on.
//!
//! Unlike a list ([`super::making`]) an errand changes the guest, so that none is begun anew: one
//! that takes too long is ended, and that is the reply.

use crate::elements::Elements;
use crate::errno::Errno;
use crate::error::{Error, Raised};
use crate::list::List;
use crate::platform::{Exit, Platform};
use crate::response::{Cursor, Failed};
use crate::shutdown::Progress;
use crate::state::State;
use crate::task::Task;
use crate::text::Phrase;
use crate::writer::Writer;

/// What a copy works with.
pub struct Desk<'d> {
    /// Room for a line of a text.
    pub line: &'d mut [u8],
    /// Room for what is to be kept in mind, 2 KiB.
    pub known: &'d mut [u8],
    /// Where the body of the reply goes, or what is wrong ([`Elements::refuse`]).
    pub out: Elements<'d>,
}

/// What a copy does. Errors: those of [`ended`].
pub type Run<'r, P> = &'r mut dyn FnMut(&mut P, &mut Desk<'_>) -> Result<(), Errno>;

/// How a copy ends that has written down what is wrong. No call gives this.
const REFUSED: Errno = Errno::BADR;

/// There is no copy, or it has not come to its end.
fn failed(errno: Errno) -> Error<'static> {
    let sentence = phrase!("failed to have a copy of the agent do this: !");
    Error::because(sentence, errno)
}

/// How a copy ends that has done its work, or refused to ([`Elements::refuse`]): it could not be
/// written down why, or it was.
pub fn ended(done: Result<(), Raised>, desk: &Desk<'_>) -> Result<(), Errno> {
    done.map_err(|Raised| desk.out.failed().unwrap_or(REFUSED))
}

/// Begins one that may take `ms_max`. Errors: there can be no copy.
#[inline(never)]
pub fn begin<P: Platform>(
    platform: &mut P,
    state: &mut State<P>,
    ms_max: u64,
    run: Run<'_, P>,
) -> Result<(), Error<'static>> {
    let until_ms = platform.now_ms().saturating_add(ms_max);
    let State { task, list, .. } = state;
    *task = Task { until_ms, ..Task::NONE };
    let begun = platform.begin_task(&mut |platform| {
        let [line, known, out] = List::rooms(list);
        let mut desk = Desk { line, known, out: Elements::new(out) };
        run(platform, &mut desk)?;
        desk.out.written(platform)
    });
    begun.map_err(failed)
}

/// Waits for the end of one.
pub fn poll<'s, P: Platform>(platform: &mut P, state: &'s mut State<P>) -> Progress<'s> {
    let until_ms = state.task.until_ms;
    let error = match platform.task_exit() {
        Some(Exit::Status(0)) => return Progress::Done(Ok(())),
        Some(Exit::Status(number)) if u32::from(number) == REFUSED.number() => {
            Error::Told(phrase!("*"), said(platform, state), 0)
        }
        Some(Exit::Status(number)) => failed(Errno::new(number.into())),
        // Somebody has killed it.
        Some(Exit::Signal(_)) => failed(Errno::INTR),
        None if platform.now_ms() < until_ms => return Progress::Wait(until_ms),
        None => failed(Errno::TIMEDOUT),
    };
    platform.end_task();
    Progress::Done(Err(error))
}

/// The same of one whose success has no reply.
pub fn poll_silent<'s, P: Platform>(platform: &mut P, state: &'s mut State<P>) -> Progress<'s> {
    if let Some(Exit::Status(0)) = platform.task_exit() {
        platform.end_task();
        return Progress::Done(Ok(()));
    }
    poll(platform, state)
}

/// Follows one for which nobody waits any more to its end: what it says is for nobody, and the room
/// that [`said`] takes may be a list's by now.
pub fn poll_alone<'s, P: Platform>(platform: &mut P, state: &'s mut State<P>) -> Progress<'s> {
    let until_ms = state.task.until_ms;
    if platform.task_exit().is_none() && platform.now_ms() < until_ms {
        return Progress::Wait(until_ms);
    }
    platform.end_task();
    Progress::Done(Ok(()))
}

/// Ends one that changes nothing and for which nobody waits any more.
pub fn give_up<'s, P: Platform>(platform: &mut P, _: &'s mut State<P>) -> Progress<'s> {
    platform.end_task();
    Progress::Done(Ok(()))
}

/// Lets it go on, and follows it no more: nobody waits for it, and it may take hours.
pub fn leave<'s, P: Platform>(platform: &mut P, _: &'s mut State<P>) -> Progress<'s> {
    platform.leave_task();
    Progress::Done(Ok(()))
}

/// What the copy says is wrong: the last thing that it has written down.
#[inline(never)]
fn said<'s, P: Platform>(platform: &mut P, state: &'s mut State<P>) -> &'s [u8] {
    let mut length = [0; 4];
    let end = platform.made_bytes().saturating_sub(length.len() as u64);
    platform.made(end, &mut length);
    let length = u32::from_ne_bytes(length);
    let into = state.list.room().get_mut(..length as usize).unwrap_or(&mut []);
    let read = platform.made(end.saturating_sub(length.into()), into);
    into.get(..read).unwrap_or(&[])
}

/// Writes what the copy has written down, from its beginning on, as much of it at each call as
/// there is room for. How much there is in all stands in [`Cursor::inner`]. Errors: it cannot be
/// read any more.
pub fn piece<P: Platform>(
    platform: &mut P,
    _: &mut State<P>,
    cursor: &mut Cursor,
    out: &mut Writer<'_>,
) -> Result<bool, Failed> {
    if cursor.outer == 0 {
        cursor.inner = platform.made_bytes() as usize;
    }
    let read = platform.made(cursor.outer as u64, out.free());
    out.advance(read);
    cursor.outer += read;
    let whole = cursor.outer >= cursor.inner && cursor.outer > 0;
    if whole || read == 0 {
        platform.end_task();
    }
    if !whole && read == 0 {
        return Err(Failed(text!("failed to write the reply"), Errno::IO));
    }
    Ok(!whole)
}

/// What to say of a program that was run and has failed: one of these sentences, with what it said
/// or, if that is nothing, the status that it returned.
pub fn child_failed(exit: Exit, said: &[u8], sentences: [Phrase; 2]) -> Error<'_> {
    let [with_words, with_status] = sentences;
    match exit {
        Exit::Signal(_) => {
            Error::Told(phrase!("child process has terminated abnormally: ="), said, 0)
        }
        Exit::Status(status) if said.is_empty() => Error::Told(with_status, said, status.into()),
        Exit::Status(_) => Error::Told(with_words, said, 0),
    }
}
