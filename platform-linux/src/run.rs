//! The loop: the agent says what it needs next, the channel and the signals provide it.

use crate::alarm::Alarm;
use crate::channel::{self, Channel, Moved, Ready, poll};
use crate::daemon;
use crate::options::{self, Method, Options};
use crate::platform::Linux;
use crate::print::complain;
use crate::signals::{Signal, Signals};
use crate::state_dir::is_beside_memory;
use crate::sys::pages;
use qga_core::platform::{Clock, Level, Log};
use qga_core::text::Phrase;
use qga_core::{Agent, Errno, Step, phrase};
use rustix::event::{PollFlags, Timespec};

/// Longest request, in bytes: libvirt's longest RPC string; Proxmox VE sends up to 1.4 MB.
pub const FRAME_BYTES: usize = 4 * 1024 * 1024;
/// The window: virtio_console copies at most 32 KiB a write.
pub const WINDOW_BYTES: usize = 32 * 1024;
/// How often a device that is missing is looked for, or a state directory.
const RETRY_MS: u64 = 1000;
/// The same for the kernel.
pub const RETRY: Timespec = timespec(RETRY_MS);

const fn timespec(ms: u64) -> Timespec {
    Timespec { tv_sec: (ms / 1000) as i64, tv_nsec: (ms % 1000 * 1_000_000) as i64 }
}

/// Most signals that are looked at before the agent goes on: as many as there are.
const SIGNALS_AT_ONCE: usize = 64;

/// The agent of this platform.
pub type LinuxAgent = Agent<Linux, FRAME_BYTES, WINDOW_BYTES>;

/// Serves until the agent is told to stop; the exit status.
#[inline(never)]
pub fn run(agent: &mut LinuxAgent, linux: &mut Linux, options: &Options, signals: &Signals) -> i32 {
    // Process 1 may not end: what ends others makes it wait for its channel.
    let retries = options.is_on(b'r');
    let always = retries || linux.is_init;
    let mut alarm = Alarm::default();
    let mut said = false;
    loop {
        let opened = open(agent, linux, options, signals, &mut alarm);
        if cfg!(feature = "config") && (opened.is_ok() || retries) {
            daemon::serves(linux);
        }
        if opened.is_ok() {
            // What was needed to start is not needed any more.
            pages::let_go(options::parse as *const ());
        }
        let lost = match opened {
            Ok(mut channel) => match serve(agent, linux, &mut channel, signals, &mut alarm) {
                None => return 0,
                Some(errno) => Ok(errno),
            },
            Err(errno) => Err(errno),
        };
        said &= lost.is_err();
        // Their numbers may be others' from now on.
        linux.channel = [-1; 2];
        if let Ok(errno) = lost {
            note(agent, linux, phrase!("channel lost: "), errno);
            agent.disconnected();
        }
        // Whoever ends the machine goes on with that, without a channel too.
        if !always && !agent.is_busy() {
            // Nobody could ask for it any more.
            stop(agent, linux, signals);
            let Err(errno) = lost else { return i32::from(agent.is_frozen()) };
            explain(options, errno);
            return 1;
        }
        if let (Err(errno), false, true) = (lost, said, agent.may_write()) {
            // Once: it may take for ever.
            said = true;
            if linux.is_init {
                // The console is all that a machine may have to show.
                explain(options, errno);
            }
            note(agent, linux, phrase!("channel not there: "), errno);
        }
        if !pause(agent, linux, signals, &mut alarm) {
            return 0;
        }
    }
}

/// Says that there is no channel, and what somebody can do about it.
fn explain(options: &Options, errno: Errno) {
    let path = channel::path(options).to_bytes();
    let hint = channel::hint(options.method, errno);
    complain(phrase!("cannot open the channel"), path, errno, hint);
}

/// Opens the channel. No socket can be made on a frozen filesystem: the call would wait for a thaw
/// that nobody could ask for without the socket. So what an earlier agent froze is thawed first.
fn open(
    agent: &mut LinuxAgent,
    linux: &mut Linux,
    options: &Options,
    signals: &Signals,
    alarm: &mut Alarm,
) -> Result<Channel, Errno> {
    if options.method == Method::UnixListen
        && (agent.is_frozen() || agent.holds_frozen())
        && !is_beside_memory(channel::path(options), linux.path)
    {
        // What it is an earlier agent froze is known when that is taken over.
        settle(agent, linux, signals, alarm);
        if agent.holds_frozen() {
            agent.thaw(linux);
            settle(agent, linux, signals, alarm);
            if agent.is_frozen() || agent.holds_frozen() {
                return Err(Errno::BUSY);
            }
            let why = phrase!("thawed what an earlier agent froze: the socket is on a disk");
            linux.log(Level::Error, &[why]);
        }
    }
    Channel::open(options)
}

/// Stops the agent, and waits until all that it had frozen runs again, if it can.
#[inline(never)]
pub fn stop(agent: &mut LinuxAgent, linux: &mut Linux, signals: &Signals) {
    agent.stop(linux);
    settle(agent, linux, signals, &mut Alarm::default());
}

/// Waits until nothing is under way any more, or the agent is to end.
fn settle(agent: &mut LinuxAgent, linux: &mut Linux, signals: &Signals, alarm: &mut Alarm) {
    while agent.is_busy() && agent.step(linux) != Step::Exit && agent.is_busy() {
        alarm.set(linux, agent.deadline());
        if let Ready::Signal = poll(signals, None, PollFlags::empty(), None) {
            handle(agent, linux, signals);
        }
    }
}

/// Logs something about the channel, unless that could reach a frozen filesystem.
fn note(agent: &LinuxAgent, linux: &mut Linux, what: Phrase, errno: Errno) {
    if agent.may_write() {
        // Only a limit that is too low is something to mend.
        let level = if errno.is_short() { Level::Warning } else { Level::Info };
        linux.log(level, &[what, errno.text().unwrap_or(phrase!("unknown error"))]);
    }
}

/// Serves one channel; nothing when the agent is to end, else why the channel is of no use any
/// more.
fn serve(
    agent: &mut LinuxAgent,
    linux: &mut Linux,
    channel: &mut Channel,
    signals: &Signals,
    alarm: &mut Alarm,
) -> Option<Errno> {
    linux.channel = channel.descriptors();
    loop {
        let step = agent.step(linux);
        alarm.set(linux, agent.deadline());
        let moved = match step {
            Step::Wait if agent.space().is_empty() => {
                match poll(signals, None, PollFlags::empty(), None) {
                    Ready::Signal => Moved::Signal,
                    Ready::Channel(_) | Ready::Timeout => continue,
                }
            }
            Step::Receive | Step::Wait => {
                give_back(agent);
                let received = channel.receive(signals, agent.space());
                // A client may have come, or gone.
                linux.channel = channel.descriptors();
                match received {
                    Moved::Bytes(len) => {
                        agent.received(len);
                        continue;
                    }
                    other => other,
                }
            }
            // A signal that came during a freeze is looked at before its reply leaves, which may
            // then be another.
            Step::Transmit if agent.is_frozen() && handle(agent, linux, signals) => continue,
            Step::Transmit => match channel.send(signals, agent.pending()) {
                Moved::Bytes(len) => {
                    agent.sent(len);
                    continue;
                }
                other => other,
            },
            Step::Continue => continue,
            Step::Exit => return None,
        };
        match moved {
            Moved::Signal => drop(handle(agent, linux, signals)),
            Moved::ClientGone => {
                linux.channel = channel.descriptors();
                agent.disconnected();
            }
            Moved::Refused(errno) => {
                note(agent, linux, phrase!("client turned away: "), errno);
                // It waits still, and without a descriptor for it would be there again at once.
                if errno.is_short() {
                    poll(signals, None, PollFlags::empty(), Some(&RETRY));
                }
            }
            Moved::Lost(errno) => return Some(errno),
            Moved::Bytes(_) => {}
        }
    }
}

/// Does what the signals that wait ask for; whether there was any.
fn handle(agent: &mut LinuxAgent, linux: &mut Linux, signals: &Signals) -> bool {
    let mut any = false;
    // Not for ever: a program that prints without end sends one with each line.
    let mut left = SIGNALS_AT_ONCE;
    while left > 0
        && let Some(signal) = signals.next()
    {
        any = true;
        if cfg!(feature = "exec") {
            left -= 1;
        }
        match signal {
            Signal::Child => {
                linux.reap();
            }
            Signal::Readable => linux.readable = true,
            Signal::Other => {}
            Signal::Reopen => linux.renew_log(!agent.may_write()),
            // Process 1 never ends: the kernel would panic.
            Signal::Stop if linux.is_init => {}
            Signal::Stop => agent.stop(linux),
        }
    }
    any
}

/// Waits before the device is looked for again; `false` when the agent is to end. What takes time
/// goes on.
fn pause(agent: &mut LinuxAgent, linux: &mut Linux, signals: &Signals, alarm: &mut Alarm) -> bool {
    let end = linux.now_ms().saturating_add(RETRY_MS);
    loop {
        while agent.step(linux) == Step::Continue {}
        if agent.is_stopping() {
            return false;
        }
        alarm.set(linux, agent.deadline());
        let Some(left_ms @ 1..) = end.checked_sub(linux.now_ms()) else { return true };
        if let Ready::Signal = poll(signals, None, PollFlags::empty(), Some(&timespec(left_ms))) {
            handle(agent, linux, signals);
        }
    }
}

/// Gives memory that a large request or a list has used back to the system.
#[inline(never)]
fn give_back(agent: &mut LinuxAgent) {
    while let Some(memory) = agent.reclaim() {
        pages::give_back(memory);
    }
}
