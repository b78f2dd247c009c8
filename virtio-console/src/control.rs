//! The control protocol of a console with several ports: messages from the device in, messages for
//! the device out, and what happens to the one port that has the wanted name.
//!
//! ```text
//!  driver              device
//!  DEVICE_READY 1  ->
//!                  <-  DEVICE_ADD id            for every port
//!  PORT_READY id 1 ->
//!                  <-  CONSOLE_PORT id, PORT_NAME id "...", PORT_OPEN id 1   any order
//!  PORT_OPEN id 1  ->                           for the port with the name, and for text consoles
//!                  <-  PORT_OPEN id 0 or 1      clients go and come
//!                  <-  DEVICE_REMOVE id         unplugged
//! ```
//!
//! It holds a few bits a port and no names. What is malformed or out of order is [`Refused`] and
//! changes nothing. Source: VIRTIO 1.2, section 5.3.6.2; QEMU's device ends a name with a NUL,
//! which the specification does not.

/// Most ports that are followed: ids 0 to 63, one bit each in a `u64`. QEMU gives ids from the
/// lowest free one and has at most 31 ports a device unless told otherwise. Ports beyond it are
/// refused and disturb no others.
pub const PORTS_MAX: u32 = u64::BITS;

/// Length of a message without a name.
pub const MESSAGE_BYTES: usize = 8;

/// Longest name that can be wanted. A device's longer name is none that is wanted.
pub const NAME_BYTES_MAX: usize = 128;

/// A port, by its number on the device: below [`PORTS_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PortId(u8);

impl PortId {
    /// The only port of a device without MULTIPORT; with it, the one kept for a text console.
    pub const ZERO: PortId = PortId(0);
    /// The first port that is no console: what QEMU gives to the first `virtserialport`.
    pub const ONE: PortId = PortId(1);

    /// The port `id`. `None` when it is beyond those that are followed.
    pub const fn new(id: u32) -> Option<PortId> {
        if id < PORTS_MAX { Some(PortId(id as u8)) } else { None }
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// The queue on which its bytes come: 0 for port 0, 2n+2 for port n (section 5.3.2).
    pub const fn receive_queue(self) -> u16 {
        match self.0 {
            0 => 0,
            n => 2 * n as u16 + 2,
        }
    }

    /// The queue on which its bytes go: the one after [`PortId::receive_queue`].
    pub const fn transmit_queue(self) -> u16 {
        self.receive_queue() + 1
    }

    const fn bit(self) -> u64 {
        1u64.wrapping_shl(self.0 as u32)
    }
}

/// The queue on which control messages come from the device.
pub const CONTROL_RECEIVE_QUEUE: u16 = 2;
/// The queue on which they go to it.
pub const CONTROL_TRANSMIT_QUEUE: u16 = 3;

const DEVICE_READY: u16 = 0;
const DEVICE_ADD: u16 = 1;
const DEVICE_REMOVE: u16 = 2;
const PORT_READY: u16 = 3;
const CONSOLE_PORT: u16 = 4;
const RESIZE: u16 = 5;
const PORT_OPEN: u16 = 6;
const PORT_NAME: u16 = 7;

/// What happened to the port with the name. Of other ports nothing is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// There it is: [`Control::open`] it when its queues are ready. `connected` when somebody is at
    /// its other end already.
    Found {
        /// Its number, which gives its queues.
        port: PortId,
        /// Whether it is as after [`Event::Connected`].
        connected: bool,
    },
    /// Somebody opened its other end.
    Connected,
    /// They closed it.
    Disconnected,
    /// The port is gone, with what was in it; it may be found again.
    Removed,
}

/// Why a message was refused. The state is as before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// Shorter than [`MESSAGE_BYTES`]: this long.
    Short(usize),
    /// An event that the specification does not have, or that only drivers send: this one.
    Event(u16),
    /// About a port beyond [`PORTS_MAX`]: this one.
    Beyond(u32),
    /// About a port that was not added: this one.
    Unknown(PortId),
    /// Adds a port that is there: this one.
    Repeated(PortId),
    /// PORT_OPEN with neither 0 nor 1: this value.
    Value(u16),
    /// A name that is empty or has a NUL in it, on this port.
    Name(PortId),
    /// A second port with the wanted name, or another name for the port that had it: this port.
    Taken(PortId),
}

/// A message for the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    id: u32,
    event: u16,
    value: u16,
}

impl Message {
    /// Its bytes: id, event, value, little-endian (section 5.3.6.2).
    pub fn bytes(self) -> [u8; MESSAGE_BYTES] {
        let ([a, b, c, d], [e, f]) = (self.id.to_le_bytes(), self.event.to_le_bytes());
        let [g, h] = self.value.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

/// What the driver knows of the device's ports and owes it in messages. Each field but the first is
/// a bit a port.
pub struct Control<'n> {
    name: &'n [u8],
    announced: bool,
    found: Option<PortId>,
    /// Ports that were added and not removed.
    added: u64,
    /// Ports with somebody at the other end.
    connected: u64,
    /// Ports whose PORT_READY is due.
    ready_due: u64,
    /// Ports whose PORT_OPEN is due, and ports for which it says 0.
    open_due: u64,
    closing: u64,
}

impl<'n> Control<'n> {
    /// Looks for the port called `name`, on a device that was just initialised.
    pub const fn new(name: &'n [u8]) -> Self {
        Control {
            name,
            announced: false,
            found: None,
            added: 0,
            connected: 0,
            ready_due: 0,
            open_due: 0,
            closing: 0,
        }
    }

    /// The name that is looked for.
    pub fn name(&self) -> &'n [u8] {
        self.name
    }

    /// The port with the name, while it is there.
    pub fn found(&self) -> Option<PortId> {
        self.found
    }

    /// Whether somebody is at the other end of that port.
    pub fn is_connected(&self) -> bool {
        self.found.is_some_and(|port| self.connected & port.bit() != 0)
    }

    /// The guest uses the port that was found: a PORT_OPEN goes to the device. Without one, nothing
    /// happens.
    pub fn open(&mut self) {
        if let Some(port) = self.found {
            self.open_due |= port.bit();
            self.closing &= !port.bit();
        }
    }

    /// The guest does not use it any more.
    pub fn close(&mut self) {
        if let Some(port) = self.found {
            self.open_due |= port.bit();
            self.closing |= port.bit();
        }
    }

    /// The message that goes to the device next.
    pub fn pending(&self) -> Option<Message> {
        if !self.announced {
            return Some(Message { id: 0, event: DEVICE_READY, value: 1 });
        }
        if let Some(port) = lowest(self.ready_due) {
            return Some(Message { id: port.number(), event: PORT_READY, value: 1 });
        }
        let port = lowest(self.open_due)?;
        let value = u16::from(self.closing & port.bit() == 0);
        Some(Message { id: port.number(), event: PORT_OPEN, value })
    }

    /// [`Control::pending`] went out.
    pub fn sent(&mut self) {
        if !self.announced {
            self.announced = true;
        } else if let Some(port) = lowest(self.ready_due) {
            self.ready_due &= !port.bit();
        } else if let Some(port) = lowest(self.open_due) {
            self.open_due &= !port.bit();
        }
    }

    /// Takes a message of the device.
    pub fn received(&mut self, message: &[u8]) -> Result<Option<Event>, Refused> {
        let Some((&[a, b, c, d, e, f, g, h], rest)) = message.split_first_chunk() else {
            return Err(Refused::Short(message.len()));
        };
        let id = u32::from_le_bytes([a, b, c, d]);
        let event = u16::from_le_bytes([e, f]);
        let value = u16::from_le_bytes([g, h]);
        if matches!(event, DEVICE_READY | PORT_READY) || event > PORT_NAME {
            return Err(Refused::Event(event));
        }
        let port = PortId::new(id).ok_or(Refused::Beyond(id))?;
        if event == DEVICE_ADD {
            return self.add(port);
        }
        if self.added & port.bit() == 0 {
            return Err(Refused::Unknown(port));
        }
        match event {
            DEVICE_REMOVE => Ok(self.remove(port)),
            CONSOLE_PORT => {
                // The driver must open a text console (section 5.3.6.2.2), whoever reads it then.
                self.open_due |= port.bit();
                self.closing &= !port.bit();
                Ok(None)
            }
            PORT_OPEN => self.opened(port, value),
            PORT_NAME => self.named(port, rest),
            RESIZE => Ok(None),
            other => Err(Refused::Event(other)),
        }
    }

    fn add(&mut self, port: PortId) -> Result<Option<Event>, Refused> {
        if self.added & port.bit() != 0 {
            return Err(Refused::Repeated(port));
        }
        self.added |= port.bit();
        self.ready_due |= port.bit();
        Ok(None)
    }

    fn remove(&mut self, port: PortId) -> Option<Event> {
        for bits in [
            &mut self.added,
            &mut self.connected,
            &mut self.ready_due,
            &mut self.open_due,
            &mut self.closing,
        ] {
            *bits &= !port.bit();
        }
        if self.found != Some(port) {
            return None;
        }
        self.found = None;
        Some(Event::Removed)
    }

    fn opened(&mut self, port: PortId, value: u16) -> Result<Option<Event>, Refused> {
        let before = self.connected;
        match value {
            0 => self.connected &= !port.bit(),
            1 => self.connected |= port.bit(),
            other => return Err(Refused::Value(other)),
        }
        if self.connected == before || self.found != Some(port) {
            return Ok(None);
        }
        Ok(Some(if value == 1 { Event::Connected } else { Event::Disconnected }))
    }

    fn named(&mut self, port: PortId, text: &[u8]) -> Result<Option<Event>, Refused> {
        let name = text.strip_suffix(b"\0").unwrap_or(text);
        if name.is_empty() || name.contains(&0) {
            return Err(Refused::Name(port));
        }
        match self.found {
            None if name == self.name => {
                self.found = Some(port);
                Ok(Some(Event::Found { port, connected: self.is_connected() }))
            }
            Some(found) if (found == port) != (name == self.name) => Err(Refused::Taken(port)),
            _ => Ok(None),
        }
    }
}

/// The port of the lowest bit that is set.
fn lowest(bits: u64) -> Option<PortId> {
    PortId::new(bits.trailing_zeros())
}
