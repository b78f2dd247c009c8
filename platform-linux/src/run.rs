//! The loop: the agent says what it needs next, the channel and the signals provide it.

use crate::channel::{self, Channel, Moved, Ready, poll};
use crate::options::Options;
use crate::platform::Linux;
use crate::print::complain;
use crate::signals::{Signal, Signals};
use qga_core::platform::{Clock, Level, Log};
use qga_core::{Agent, Errno, Step};
use rustix::event::{PollFlags, Timespec};
use rustix::mm::Advice;

/// Longest request, in bytes: libvirt's longest RPC string; Proxmox VE sends up to 1.4 MB.
pub const FRAME_BYTES: usize = 4 * 1024 * 1024;
/// The window: virtio_console copies at most 32 KiB a write.
pub const WINDOW_BYTES: usize = 32 * 1024;
/// How often a device that is missing is looked for.
const RETRY_MS: u64 = 1000;

/// The agent of this platform.
pub type LinuxAgent = Agent<Linux, FRAME_BYTES, WINDOW_BYTES>;

/// Serves until the agent is told to stop; the exit status.
#[inline(never)]
pub fn run(agent: &mut LinuxAgent, linux: &mut Linux, options: &Options, signals: &Signals) -> i32 {
    // Process 1 may not end: what ends others makes it wait for its channel.
    let retry = options.retry || linux.is_init;
    loop {
        match Channel::open(options) {
            Ok(mut channel) => match serve(agent, linux, &mut channel, signals) {
                None => return 0,
                Some(errno) => {
                    note(agent, linux, "channel lost: ", errno);
                    agent.disconnected();
                    if !retry {
                        agent.stop(linux);
                        return if agent.is_frozen() { 1 } else { 0 };
                    }
                }
            },
            Err(errno) if !retry => {
                let path = channel::path(options).to_bytes();
                complain(
                    "cannot open the channel",
                    path,
                    errno,
                    channel::hint(options.method, errno),
                );
                return 1;
            }
            Err(errno) => note(agent, linux, "channel not there: ", errno),
        }
        if !pause(agent, linux, signals) {
            return 0;
        }
    }
}

/// Logs something about the channel, unless that could reach a frozen filesystem.
fn note(agent: &LinuxAgent, linux: &mut Linux, what: &str, errno: Errno) {
    if !agent.is_frozen() {
        linux.log(Level::Warning, &[what, errno.text().unwrap_or("unknown error")]);
    }
}

/// Serves one channel; nothing when the agent is to end, else why the channel is of no use any more.
#[inline(never)]
fn serve(
    agent: &mut LinuxAgent,
    linux: &mut Linux,
    channel: &mut Channel,
    signals: &Signals,
) -> Option<Errno> {
    loop {
        let moved = match agent.step(linux) {
            Step::Receive => {
                give_back(agent);
                match channel.receive(signals, agent.space()) {
                    Moved::Bytes(len) => {
                        agent.received(len);
                        continue;
                    }
                    other => other,
                }
            }
            Step::Transmit => match channel.send(signals, agent.pending()) {
                Moved::Bytes(len) => {
                    agent.sent(len);
                    continue;
                }
                other => other,
            },
            Step::Wait => {
                let timeout = until(linux.now_ms(), agent.deadline());
                match poll(signals, None, PollFlags::empty(), timeout.as_ref()) {
                    Ready::Signal => Moved::Signal,
                    Ready::Channel(_) | Ready::Timeout => continue,
                }
            }
            Step::Continue => continue,
            Step::Exit => return None,
        };
        match moved {
            Moved::Signal => handle(agent, linux, signals),
            Moved::ClientGone => agent.disconnected(),
            Moved::Lost(errno) => return Some(errno),
            Moved::Bytes(_) => {}
        }
    }
}

/// Does what the signals that wait ask for.
fn handle(agent: &mut LinuxAgent, linux: &mut Linux, signals: &Signals) {
    while let Some(signal) = signals.next() {
        match signal {
            Signal::Child => {
                linux.reap();
            }
            // Process 1 never ends: the kernel would panic.
            Signal::Stop if linux.is_init => {}
            Signal::Stop => agent.stop(linux),
        }
    }
}

/// Waits before the device is looked for again; `false` when the agent is to end.
fn pause(agent: &mut LinuxAgent, linux: &mut Linux, signals: &Signals) -> bool {
    let end = linux.now_ms().saturating_add(RETRY_MS);
    loop {
        let now = linux.now_ms();
        if now >= end {
            return true;
        }
        let timeout = until(now, Some(end));
        if let Ready::Signal = poll(signals, None, PollFlags::empty(), timeout.as_ref()) {
            handle(agent, linux, signals);
            if agent.is_stopping() {
                return false;
            }
        }
    }
}

/// The time from `now_ms` to `deadline_ms`.
fn until(now_ms: u64, deadline_ms: Option<u64>) -> Option<Timespec> {
    let left = deadline_ms?.saturating_sub(now_ms);
    Some(Timespec { tv_sec: (left / 1000) as i64, tv_nsec: (left % 1000 * 1_000_000) as i64 })
}

/// Gives memory that a large request has used back to the system.
#[inline(never)]
fn give_back(agent: &mut LinuxAgent) {
    const PAGE: usize = 4096;
    let Some(memory) = agent.reclaim() else { return };
    let start = memory.as_mut_ptr();
    let skip = start.align_offset(PAGE);
    let len = memory.len().saturating_sub(skip) / PAGE * PAGE;
    if len > 0 {
        // SAFETY: whole pages inside a part of the buffer that holds nothing: they come back as zeros.
        let _ = unsafe {
            rustix::mm::madvise(start.wrapping_add(skip).cast(), len, Advice::LinuxDontNeed)
        };
    }
}
