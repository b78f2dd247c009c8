//! Where requests come from: the agent's port of a virtio console, or a serial line. The machine
//! and the hypervisor's words in, one embedded-io port out.
//!
//! `qga.port=virtio`, `com1` or `com2` on the command line chooses. Without it: the virtio console,
//! if the machine has one with a port of the agent's name; else the second serial line, because the
//! first is the console wherever there are two; else the first. That is decided once, at the start:
//! beside a console without that port the agent is on a serial line, and a port that is plugged in
//! later is not found.

use crate::arch::{self, Machine, Uart};
use crate::virtio;
use embedded_io::{ErrorType, Read, ReadReady, Write};
use qga_core::Errno;

/// The agent's port, as every hypervisor names it.
pub const PORT_NAME: &[u8] = b"org.qemu.guest_agent.0";

/// The word on the command line.
const OPTION: &[u8] = b"qga.port=";

/// A channel.
#[expect(clippy::large_enum_variant, reason = "there is one, and nowhere else to put it")]
pub enum Channel {
    /// A port of the virtio console.
    Virtio(virtio::Port),
    /// A serial line. Nobody can tell whether anybody is at its other end.
    Serial(Uart),
}

/// What the command line chooses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Choice {
    Any,
    Virtio,
    Serial(usize),
}

impl Channel {
    /// Finds the channel, and a serial line for the log, which is the first one if that is not the
    /// channel. Errors: the machine lacks what the command line names, or has nothing at all.
    pub fn find(machine: &Machine) -> Result<(Channel, Option<Uart>), &'static str> {
        let choice = choice(machine.command_line)?;
        let by_virtio = || virtio::find(machine, PORT_NAME).map(Channel::Virtio);
        let by_serial = |number| {
            let uart = Uart::find(number)?;
            uart.listen();
            Some(Channel::Serial(uart))
        };
        let (found, is_first) = match choice {
            Choice::Virtio => (by_virtio().ok_or("qga.port=virtio: no virtio console"), false),
            Choice::Serial(number) => {
                (by_serial(number).ok_or("qga.port: no such serial line"), number == 0)
            }
            Choice::Any => match by_virtio().or_else(|| by_serial(1)) {
                Some(channel) => (Ok(channel), false),
                None => (by_serial(0).ok_or("neither a virtio console nor a serial line"), true),
            },
        };
        let log = if is_first { None } else { Uart::find(0) };
        Ok((found?, log))
    }
}

/// The word about the port, if there is one; the last of several counts. Errors: it names no port.
fn choice(command_line: &[u8]) -> Result<Choice, &'static str> {
    let words = command_line.split(|byte| byte.is_ascii_whitespace());
    match words.filter_map(|word| word.strip_prefix(OPTION)).next_back() {
        None => Ok(Choice::Any),
        Some(b"virtio") => Ok(Choice::Virtio),
        Some(b"com1") => Ok(Choice::Serial(0)),
        Some(b"com2") => Ok(Choice::Serial(1)),
        Some(_) => Err("qga.port is one of virtio, com1, com2"),
    }
}

impl ErrorType for Channel {
    type Error = Errno;
}

impl ReadReady for Channel {
    fn read_ready(&mut self) -> Result<bool, Errno> {
        match self {
            Channel::Virtio(port) => port.read_ready(),
            Channel::Serial(uart) => Ok(uart.has_received()),
        }
    }
}

impl Read for Channel {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let uart = match self {
            Channel::Virtio(port) => return port.read(into),
            Channel::Serial(uart) => uart,
        };
        while !uart.has_received() {
            arch::sleep();
        }
        let mut len = 0;
        for place in into {
            let Some(byte) = uart.receive() else { break };
            *place = byte;
            len += 1;
        }
        Ok(len)
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let uart = match self {
            Channel::Virtio(port) => return port.write(bytes),
            Channel::Serial(uart) => uart,
        };
        uart.await_room();
        let len = bytes.len().min(arch::UART_QUEUE_BYTES);
        bytes.iter().take(len).for_each(|&byte| uart.send(byte));
        Ok(len)
    }

    fn flush(&mut self) -> Result<(), Errno> {
        match self {
            Channel::Virtio(port) => port.flush(),
            Channel::Serial(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_chooses() {
        assert_eq!(choice(b""), Ok(Choice::Any));
        assert_eq!(choice(b"console=ttyS0 qga.port=com2"), Ok(Choice::Serial(1)));
        assert_eq!(choice(b"qga.port=com2  qga.port=com1 x"), Ok(Choice::Serial(0)));
        assert_eq!(choice(b"qga.port=virtio\n"), Ok(Choice::Virtio));
        assert_eq!(choice(b"xqga.port=com1"), Ok(Choice::Any));
        assert!(choice(b"qga.port=").is_err() && choice(b"qga.port=COM1").is_err());
    }
}
