//! The functions that C calls: memory of the caller in, the verbs of [`qga_core::Agent`] on it.
//! Nothing is kept elsewhere, so agents are as independent as their memories.
//!
//! The first word of that memory is the address of the table once [`qga_init`] has returned 0. It
//! is 0 before if the memory was zeroed, and after a [`qga_init`] that could not load the state:
//! the other functions then refuse with -EINVAL instead of believing in it.
//!
//! # Safety
//! What every function here asks of C: `agent` is NULL, or points to a [`Storage`] that is zero or
//! was given to [`qga_init`], and that nobody else uses during the call; other pointers are NULL,
//! or valid for the length that stands beside them or for one value of their type. The docs below
//! are the header's.
#![allow(
    clippy::missing_safety_doc,
    reason = "one contract for all of them, at the head of this file"
)]

use crate::guest::Guest;
use crate::operations::{Operations, QGA_FRAME_BYTES, QGA_WINDOW_BYTES};
use core::ffi::{c_int, c_void};
use qga_core::{Agent as Core, Errno, Step as CoreStep};

/// What an agent takes, on 32 and 64 bits: the frame, the window and 4 KiB for everything else.
pub const QGA_STATE_BYTES: usize = 24 * 1024;
/// The same in words of 64 bits, which is how it is aligned.
pub const QGA_STATE_WORDS: usize = QGA_STATE_BYTES / 8;

/// The memory of an agent. Make it static and leave it alone: its content is the agent's, and must
/// not be copied elsewhere.
#[repr(C)]
pub struct Storage {
    /// Not for you.
    pub opaque: [u64; QGA_STATE_WORDS],
}

/// What the agent needs next.
#[derive(Clone, Copy)]
#[repr(C)]
pub enum Step {
    /// Bytes of the channel: qga_feed, or qga_space and qga_received.
    Receive = 0,
    /// Room in the channel: write some of qga_pending and say qga_sent.
    Transmit = 1,
    /// Time: step again at qga_deadline.
    Wait = 2,
    /// Nothing: step again.
    Continue = 3,
    /// To end: it was asked to stop, or the guest is going down.
    Exit = 4,
}

/// What stands in [`Storage`].
#[repr(C)]
struct State {
    /// First, so that the first word says whether anything stands here.
    table: &'static Operations,
    guest: Guest,
    /// The last step asked for bytes. Before that the frame buffer still holds the request being
    /// answered.
    receiving: bool,
    core: Core<Guest, QGA_FRAME_BYTES, QGA_WINDOW_BYTES>,
}

const _: () = assert!(size_of::<State>() <= size_of::<Storage>());
const _: () = assert!(align_of::<State>() <= align_of::<Storage>());
const _: () = assert!(size_of::<Storage>() == QGA_STATE_BYTES);

const NEW: Core<Guest, QGA_FRAME_BYTES, QGA_WINDOW_BYTES> = Core::new();

/// The refusal of a call without an agent.
const INVALID: c_int = -(Errno::INVAL.number() as c_int);

/// # Safety
/// `agent` is NULL or points to a [`Storage`] that is zero or was given to [`qga_init`], and nobody
/// else uses it during `'a`.
unsafe fn state<'a>(agent: *mut Storage) -> Option<&'a mut State> {
    // SAFETY: the caller vouches for the memory, the first word of which is initialised either way.
    let started = !agent.is_null() && unsafe { agent.cast::<usize>().read() } != 0;
    // SAFETY: a first word that is not 0 was written by `qga_init`, with all of the state after
    // it; size and alignment are asserted above.
    started.then(|| unsafe { &mut *agent.cast::<State>() })
}

/// Begins an agent in `agent`, whatever is in there, that runs in the guest of this table. The
/// table must stay where it is, and as it is, for as long as the agent is used; `guest` is handed
/// to its functions. Files that an agent in there had open stay open: close them first. Returns 0.
/// Errors: -EINVAL (a NULL pointer, or `now_ms` is one), and nothing is touched; those of
/// `load_state`, and no agent is in there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_init(
    agent: *mut Storage,
    operations: *const Operations,
    guest: *mut c_void,
) -> c_int {
    // SAFETY: the caller vouches for the table's place and life.
    let Some(table) = (unsafe { operations.as_ref::<'static>() }) else { return INVALID };
    if agent.is_null() || table.now_ms.is_none() {
        return INVALID;
    }
    // SAFETY: the caller vouches for the memory, and that the table does what the header says; what
    // a `State` needs is asserted above.
    let state = unsafe {
        let place = agent.cast::<State>();
        let guest = Guest::new(table, guest);
        (&raw mut (*place).table).write(table);
        (&raw mut (*place).guest).write(guest);
        (&raw mut (*place).receiving).write(false);
        // From a constant, which is all zero, so that this becomes a memset and takes no stack.
        (&raw mut (*place).core).write(NEW);
        &mut *place
    };
    match state.core.start(&mut state.guest) {
        Ok(()) => 0,
        Err(errno) => {
            // SAFETY: the place of `table`, which nobody reads any more: a first word of 0 says
            // that no agent is here, and nothing of it needs to be dropped.
            unsafe { agent.cast::<usize>().write(0) };
            c_int::try_from(errno.number()).map_or(INVALID, |number| -number)
        }
    }
}

/// Does one unit of work, at most one command or one window of a long answer, and returns what the
/// agent needs next (enum qga_step). Errors: -EINVAL (no agent here).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_step(agent: *mut Storage) -> c_int {
    // SAFETY: the caller's promise.
    let Some(state) = (unsafe { state(agent) }) else { return INVALID };
    let step = match state.guest.ended {
        true => CoreStep::Exit,
        false => state.core.step(&mut state.guest),
    };
    state.receiving = step == CoreStep::Receive;
    if state.guest.ended {
        // The guest is going down: a command that succeeded in that has no answer.
        state.core.disconnected();
        return Step::Exit as c_int;
    }
    let step = match step {
        CoreStep::Receive => Step::Receive,
        CoreStep::Transmit => Step::Transmit,
        CoreStep::Wait => Step::Wait,
        CoreStep::Continue => Step::Continue,
        CoreStep::Exit => Step::Exit,
    };
    step as c_int
}

/// Copies bytes of the channel into the agent and returns how many of them: at least one of some
/// after QGA_STEP_RECEIVE, none after anything else. Errors: -EINVAL (no agent here, or `bytes` is
/// NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_feed(agent: *mut Storage, bytes: *const u8, len: usize) -> isize {
    // SAFETY: the caller's promise.
    let Some(state) = (unsafe { state(agent) }) else { return INVALID as isize };
    if bytes.is_null() {
        return INVALID as isize;
    }
    if !state.receiving {
        return 0;
    }
    // SAFETY: the caller's promise, and it is not NULL.
    let bytes = unsafe { core::slice::from_raw_parts(bytes, len) };
    let mut taken = 0;
    for (place, byte) in state.core.space().iter_mut().zip(bytes) {
        *place = *byte;
        taken += 1;
    }
    state.core.received(taken);
    // A count of bytes that fitted the frame.
    taken as isize
}

/// Where bytes of the channel may be put without a copy, and into `*len` how many: some after
/// QGA_STEP_RECEIVE; after anything else none and NULL. It holds until the next call but this one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_space(agent: *mut Storage, len: *mut usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    let (state, len) = unsafe { (state(agent), len.as_mut()) };
    let Some(len) = len else { return core::ptr::null_mut() };
    *len = 0;
    match state {
        Some(state) if state.receiving => {
            let space = state.core.space();
            *len = space.len();
            space.as_mut_ptr()
        }
        _ => core::ptr::null_mut(),
    }
}

/// The first `len` bytes of qga_space are filled. Returns 0. Errors: -EINVAL (no agent here, or
/// there is not so much space), and nothing is taken over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_received(agent: *mut Storage, len: usize) -> c_int {
    // SAFETY: the caller's promise.
    let Some(state) = (unsafe { state(agent) }) else { return INVALID };
    if !state.receiving || len > state.core.space().len() {
        return INVALID;
    }
    state.core.received(len);
    0
}

/// Bytes for the channel, and into `*len` how many; NULL when there are none. They hold until the
/// next call but this one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_pending(agent: *mut Storage, len: *mut usize) -> *const u8 {
    // SAFETY: the caller's promise.
    let (state, len) = unsafe { (state(agent), len.as_mut()) };
    let Some(len) = len else { return core::ptr::null() };
    let pending = state.map_or(&[][..], |state| state.core.pending());
    *len = pending.len();
    if pending.is_empty() { core::ptr::null() } else { pending.as_ptr() }
}

/// The channel took the first `len` bytes of qga_pending. Returns 0. Errors: -EINVAL (no agent
/// here, or not so many are pending), and nothing is dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_sent(agent: *mut Storage, len: usize) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { state(agent) } {
        Some(state) if len <= state.core.pending().len() => {
            state.core.sent(len);
            0
        }
        _ => INVALID,
    }
}

/// After QGA_STEP_WAIT: the time of `now_ms` by which to step again, into `*deadline_ms`. Returns
/// 0. Errors: -EINVAL (no agent here, or a NULL pointer), -ENOENT (there is none).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_deadline(agent: *mut Storage, deadline_ms: *mut u64) -> c_int {
    // SAFETY: the caller's promise.
    let (state, into) = unsafe { (state(agent), deadline_ms.as_mut()) };
    let (Some(state), Some(into)) = (state, into) else { return INVALID };
    match state.core.deadline() {
        Some(deadline) => {
            *into = deadline;
            0
        }
        None => -(Errno::NOENT.number() as c_int),
    }
}

/// The channel has lost its client: half a request and half an answer are dropped, open files stay.
/// Returns 0. Errors: -EINVAL (no agent here).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_disconnected(agent: *mut Storage) -> c_int {
    // SAFETY: the caller's promise.
    let Some(state) = (unsafe { state(agent) }) else { return INVALID };
    state.core.disconnected();
    state.receiving = false;
    0
}

/// Asks the agent to end: the next steps return QGA_STEP_EXIT. Returns 0. Errors: -EINVAL (no agent
/// here).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qga_stop(agent: *mut Storage) -> c_int {
    // SAFETY: the caller's promise.
    let Some(state) = (unsafe { state(agent) }) else { return INVALID };
    state.core.stop(&mut state.guest);
    0
}
