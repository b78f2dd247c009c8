//! From the hypervisor's entry to the agent's loop: the machine is taken over, the channel found,
//! the agent served until the machine ends.

use crate::arch::{self, Machine};
use crate::channel::Channel;
use crate::files;
use crate::guest::Guest;
use crate::single::Single;
use qga_core::Agent;
use qga_core::phrase;
use qga_core::platform::{Level, Log as _};

/// Longest request, and room for a reply: as small as an agent is in its right mind, because this
/// guest is an example for guests that are smaller than their requests.
pub const FRAME_BYTES: usize = 16 * 1024;
/// The window of replies.
pub const WINDOW_BYTES: usize = 4 * 1024;

/// The agent of this guest.
pub type BareAgent = Agent<Guest, FRAME_BYTES, WINDOW_BYTES>;

/// What is promised of an agent of this size.
const _: () = assert!(size_of::<BareAgent>() <= 24 * 1024);

static AGENT: Single<BareAgent> = Single::new(Agent::new());

/// Called by the boot code with what the hypervisor handed over.
///
/// # Safety
/// `start` is the address of the start information, and this is called once.
pub unsafe extern "C" fn entry(start: usize) -> ! {
    // SAFETY: passed on.
    let machine = unsafe { Machine::take_over(start) };
    let (mut channel, log) = match Channel::find(&machine) {
        Ok(found) => found,
        Err(why) => {
            arch::last_words(why, &[]);
            machine.stop()
        }
    };
    let mut guest = Guest { machine, log };
    let archive = guest.machine.archive;
    let planted = files::start(archive.unwrap_or(&[]));
    if let Err(errno) = archive.and(planted) {
        let why = errno.text().unwrap_or(phrase!("unknown error"));
        guest.log(Level::Error, &[phrase!("-initrd: not all of its files are there: "), why]);
    }
    if let Some(agent) = AGENT.take() {
        // Nothing outlives this guest, so there is nothing to take over that could be damaged.
        let _ = agent.start(&mut guest);
        serve(agent, &mut guest, &mut channel)
    }
    guest.machine.stop()
}

/// Serves one client after the other. A channel that fails has lost its client, and the next one
/// starts clean.
fn serve(agent: &mut BareAgent, guest: &mut Guest, channel: &mut Channel) {
    while !agent.is_stopping() {
        let result =
            qga_core::serve(agent, guest, channel, |guest, deadline_ms| match deadline_ms {
                Some(deadline_ms) => guest.machine.sleep_until(deadline_ms),
                None => arch::sleep(),
            });
        if result.is_err() {
            agent.disconnected();
        }
    }
}
