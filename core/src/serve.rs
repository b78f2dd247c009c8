//! The convenience on top of [`Agent::step`]: a loop over anything that implements embedded-io,
//! such as the console driver of a unikernel. It does nothing that a caller of `step` could not do.

use crate::agent::{Agent, Step};
use crate::platform::Platform;
use embedded_io::{Read, ReadReady, Write};

/// Serves `port` until it fails, ends (a read of 0 bytes) or the agent is to exit. `idle` is called
/// when there is nothing to do, with the time of [`crate::platform::Clock::now_ms`] at which there
/// will be, if any: a kernel halts the processor there until an interrupt comes.
pub fn serve<P, D, const FRAME: usize, const WINDOW: usize>(
    agent: &mut Agent<P, FRAME, WINDOW>,
    platform: &mut P,
    port: &mut D,
    mut idle: impl FnMut(&mut P, Option<u64>),
) -> Result<(), D::Error>
where
    P: Platform,
    D: Read + ReadReady + Write,
{
    loop {
        match agent.step(platform) {
            Step::Receive if !port.read_ready()? => idle(platform, agent.deadline()),
            Step::Receive => match port.read(agent.space())? {
                0 => {
                    agent.disconnected();
                    return Ok(());
                }
                len => agent.received(len),
            },
            Step::Transmit => {
                let len = port.write(agent.pending())?;
                agent.sent(len);
                port.flush()?;
            }
            Step::Wait => idle(platform, agent.deadline()),
            Step::Continue => {}
            Step::Exit => return Ok(()),
        }
    }
}
