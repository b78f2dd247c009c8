//! A console device of which one port is used, found by its name: control messages in and out, and
//! what they mean for the bytes of the port, which `stream.rs` moves.
//!
//! The queues of a port must be there before the device begins (VIRTIO 1.2, section 3.1.1), and
//! which port has the name is known only after. So the queues of one port are set up on a guess,
//! the first that is no text console, which is right for QEMU's first `virtserialport`. Where the
//! name turns out to belong to another port, the device is reset once and begins anew with that
//! port's queues. The same happens when a port that was unplugged comes back. Memory is four
//! queues, however many ports there are.

use crate::control::{
    CONTROL_RECEIVE_QUEUE, CONTROL_TRANSMIT_QUEUE, Control, Event, MESSAGE_BYTES, NAME_BYTES_MAX,
    PortId, Refused,
};
use crate::error::Error;
use crate::memory::Memory;
use crate::port::{Next, Port};
use crate::queue::{Broken, Direction, Queue, SLOTS_MAX};
use crate::regions::{
    ANSWERS_MAX, CONTROL_SLOT_BYTES, CONTROL_SLOTS, RECEIVE_SLOT_BYTES, Regions,
    TRANSMIT_SLOT_BYTES,
};
use crate::transport::{self, Transport};

/// `VIRTIO_CONSOLE_F_MULTIPORT` (section 5.3.3).
pub const MULTIPORT: u64 = 1 << 1;

/// A console device and the port in use.
pub struct Console<'n, T, M> {
    pub(crate) transport: T,
    control: Control<'n>,
    control_receive: Queue<M>,
    control_transmit: Queue<M>,
    pub(crate) port: Port<M>,
    /// Whose queues `port` has.
    pub(crate) id: PortId,
    /// The device began anew and the port was not found since.
    fresh: bool,
    multiport: bool,
    /// The receive queue's index when the control queue was last looked at: what is before it came
    /// before anything that the device has not told yet.
    seen: u16,
    pub(crate) ends: Ends,
    /// What ended is not yet told.
    ended: bool,
    failed: Option<Error>,
    refusals: u32,
    refused: Option<Refused>,
}

impl<'n, T: Transport, M: Memory> Console<'n, T, M> {
    /// A console that is not yet started.
    pub fn new(transport: T, regions: Regions<M>, name: &'n [u8]) -> Self {
        let Regions { control_receive, control_transmit, receive, transmit } = regions;
        let control_slots = CONTROL_SLOTS / ANSWERS_MAX;
        let slot = CONTROL_SLOT_BYTES as u32;
        let message = MESSAGE_BYTES as u32;
        let (coming, going) = (RECEIVE_SLOT_BYTES as u32, TRANSMIT_SLOT_BYTES as u32);
        Console {
            transport,
            control: Control::new(name),
            control_receive: Queue::new(control_receive, Direction::Receive, CONTROL_SLOTS, slot),
            control_transmit: Queue::new(
                control_transmit,
                Direction::Transmit,
                control_slots,
                message,
            ),
            port: Port::new(
                Queue::new(receive, Direction::Receive, SLOTS_MAX, coming),
                Queue::new(transmit, Direction::Transmit, SLOTS_MAX, going),
            ),
            id: PortId::ONE,
            fresh: false,
            multiport: false,
            seen: 0,
            ends: Ends::Told,
            ended: false,
            failed: None,
            refusals: 0,
            refused: None,
        }
    }

    /// Initialises the device and asks for its ports; also after an error, or on a device that was
    /// reset. A device without MULTIPORT has one port, which has no name and counts as the one that
    /// is wanted, always connected.
    pub fn restart(&mut self) -> Result<(), Error> {
        let started = self.initialise();
        if started.is_err() {
            transport::give_up(&mut self.transport);
            self.id = PortId::ONE;
        }
        self.failed = started.err();
        started
    }

    fn initialise(&mut self) -> Result<(), Error> {
        let name = self.control.name();
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Error::Name);
        }
        self.control = Control::new(name);
        let transport = &mut self.transport;
        self.multiport = transport::negotiate(transport, MULTIPORT)? & MULTIPORT != 0;
        let has =
            |transport: &mut T, port: PortId| transport.queue_size_max(port.receive_queue()) != 0;
        if !self.multiport || self.id == PortId::ONE && !has(transport, self.id) {
            self.id = PortId::ZERO;
        }
        if self.multiport {
            transport::set_up(transport, CONTROL_RECEIVE_QUEUE, &mut self.control_receive)?;
            transport::set_up(transport, CONTROL_TRANSMIT_QUEUE, &mut self.control_transmit)?;
        }
        transport::set_up(transport, self.id.receive_queue(), &mut self.port.receive)?;
        transport::set_up(transport, self.id.transmit_queue(), &mut self.port.transmit)?;
        transport::start(transport);
        self.port.restart();
        self.seen = self.port.receive.taken();
        self.fresh = true;
        if self.multiport {
            self.control_receive.post_all();
            transport.notify(CONTROL_RECEIVE_QUEUE);
            self.speak();
        } else {
            self.port.connect();
        }
        self.refill();
        Ok(())
    }

    /// Takes the device's control messages and answers them. Everything below does it by itself; a
    /// caller needs it only to bring the port up before it first reads. Bounded by the number of
    /// buffers.
    pub fn poll(&mut self) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if !self.multiport {
            self.seen = self.port.receive.returned();
            return Ok(());
        }
        self.converse().inspect_err(|error| self.failed = Some(*error))
    }

    fn converse(&mut self) -> Result<(), Error> {
        while on(CONTROL_TRANSMIT_QUEUE, self.control_transmit.take())?.is_some() {
            // QEMU looks for bytes that waited for PORT_OPEN only when it is told of buffers after
            // it.
            self.port.tell_again();
        }
        // The answers to what the device has taken are on the queue by now.
        let before = self.port.receive.returned();
        let heard = self.listen()?;
        match heard {
            Heard::Restarted => return Ok(()),
            Heard::Nothing => {
                // Not while there is more to hear than is heard in one go.
                if self.control_receive.returned() == self.control_receive.taken() {
                    self.seen = before;
                }
            }
            Heard::End | Heard::Change => {
                if self.end(heard, before)? == Heard::Restarted {
                    return Ok(());
                }
            }
        }
        self.port.keep_in_mind();
        self.speak();
        self.refill();
        Ok(())
    }

    /// Finds where in the received bytes a client ended that has gone since the last look. All that
    /// has come is its own when nobody came after it. Otherwise what came since then can be
    /// anybody's; it counts as the newcomer's, whose first request must not be lost, unless every
    /// place in doubt is to be an end.
    fn end(&mut self, heard: Heard, before: u16) -> Result<Heard, Error> {
        let (mut first, mut last) = (self.seen, None);
        if heard == Heard::End {
            // A newcomer's bytes are preceded by the message that it came.
            let now = self.port.receive.returned();
            match self.listen()? {
                Heard::Restarted => return Ok(Heard::Restarted),
                Heard::Nothing if !self.port.is_connected() => (first, last) = (now, Some(now)),
                _ => first = before,
            }
        }
        let last = last.unwrap_or_else(|| self.port.receive.returned());
        match self.ends {
            Ends::ReadInDoubt => self.port.end_between(first, last),
            Ends::Told | Ends::Read => self.port.end_at(first),
        }
        self.seen = before;
        Ok(Heard::End)
    }

    /// Takes what the device says.
    fn listen(&mut self) -> Result<Heard, Error> {
        let mut heard = Heard::Nothing;
        let mut refilled = false;
        let mut message = [0; CONTROL_SLOT_BYTES];
        for _ in 0..self.control_receive.slots() {
            let Some(used) = on(CONTROL_RECEIVE_QUEUE, self.control_receive.take())? else { break };
            let message = message.get_mut(..used.len).unwrap_or_default();
            self.control_receive.read(used.slot, 0, message);
            self.control_receive.post(used.slot, CONTROL_SLOT_BYTES);
            refilled = true;
            match self.control.received(message) {
                Ok(None) => {}
                Ok(Some(Event::Found { port, .. })) if port != self.id || !self.fresh => {
                    self.id = port;
                    self.restart()?;
                    return Ok(Heard::Restarted);
                }
                Ok(Some(Event::Found { connected, .. })) => {
                    self.fresh = false;
                    self.control.open();
                    if connected {
                        self.port.connect();
                    }
                }
                Ok(Some(Event::Connected)) => {
                    if heard == Heard::End {
                        heard = Heard::Change;
                    }
                    self.port.connect();
                }
                Ok(Some(Event::Disconnected | Event::Removed)) => {
                    if self.port.is_connected() && heard == Heard::Nothing {
                        heard = Heard::End;
                    }
                    self.port.disconnect();
                }
                Err(refused) => {
                    self.refusals = self.refusals.saturating_add(1);
                    self.refused = Some(refused);
                }
            }
        }
        if refilled && self.control_receive.wants_notification() {
            self.transport.notify(CONTROL_RECEIVE_QUEUE);
        }
        Ok(heard)
    }

    /// Says what is due, as far as there is room for the answers.
    fn speak(&mut self) {
        let most = (self.control_receive.slots() / ANSWERS_MAX).max(1);
        let mut spoken = false;
        while self.control_transmit.posted() < most {
            let (Some(message), Some(slot)) =
                (self.control.pending(), self.control_transmit.free_slot())
            else {
                break;
            };
            let len = self.control_transmit.fill(slot, &message.bytes());
            self.control_transmit.post(slot, len);
            self.control.sent();
            spoken = true;
        }
        if spoken && self.control_transmit.wants_notification() {
            self.transport.notify(CONTROL_TRANSMIT_QUEUE);
        }
    }

    /// Tells the device of buffers that it has again.
    pub(crate) fn refill(&mut self) {
        if self.port.take_refilled() {
            self.transport.notify(self.id.receive_queue());
        }
    }

    /// What comes next; an end that is not to be read is put aside.
    pub(crate) fn look(&mut self) -> Result<Next, Error> {
        self.poll()?;
        let queue = self.id.receive_queue();
        let mut next =
            on(queue, self.port.peek(self.seen)).inspect_err(|error| self.failed = Some(*error))?;
        if next == Next::End && self.ends == Ends::Told && self.port.receive.taken() != self.seen {
            self.ended = true;
            self.port.pass_end();
            next = on(queue, self.port.peek(self.seen))
                .inspect_err(|error| self.failed = Some(*error))?;
        }
        self.refill();
        Ok(next)
    }

    /// How the end of a client shows. [`Ends::Told`] at first.
    pub fn set_ends(&mut self, ends: Ends) {
        self.ends = ends;
    }

    /// Whether a client has gone all of whose bytes have been read: true once for each. To be asked
    /// before each read; two clients that went unnoticed count as one.
    pub fn take_end(&mut self) -> Result<bool, Error> {
        if self.look()? == Next::End {
            self.ended = true;
            self.port.pass_end();
        }
        Ok(core::mem::take(&mut self.ended))
    }

    /// Whether somebody is at the other end, as far as the last look told.
    pub fn is_connected(&self) -> bool {
        self.port.is_connected()
    }

    /// The port in use, once it is found. Port 0 on a device without MULTIPORT.
    pub fn found(&self) -> Option<PortId> {
        if self.multiport { self.control.found() } else { Some(self.id) }
    }

    /// Whether the device has used all that was written. Errors: the device is broken.
    pub fn is_drained(&mut self) -> Result<bool, Error> {
        on(self.id.transmit_queue(), self.port.is_drained())
    }

    /// Whether the device has told all ports that it has for now: it has taken all that was said to
    /// it, and its answers were heard. Without [`Console::found`] there is no such port then.
    /// Relies on a device that answers a message before it returns its buffer, as QEMU's does.
    pub fn is_settled(&self) -> bool {
        self.control_transmit.posted() == 0 && self.control.pending().is_none()
    }

    /// Whether ports have names; if not there is one, which counts as found.
    pub fn has_names(&self) -> bool {
        self.multiport
    }

    /// How many bytes were dropped because nobody was there to read them.
    pub fn dropped_bytes(&self) -> u64 {
        self.port.dropped_bytes()
    }

    /// How many control messages were refused, and why the last one was.
    pub fn refused(&self) -> (u32, Option<Refused>) {
        (self.refusals, self.refused)
    }

    /// The transport, for what it has besides.
    pub fn transport(&mut self) -> &mut T {
        &mut self.transport
    }
}

/// How a reader learns that a client has gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// Nothing is read then, and [`Console::take_end`] tells.
    Told,
    /// As the end of the stream: one `Ok(0)` after the last byte of the client, and then the next
    /// one's bytes.
    Read,
    /// As [`Ends::Read`], and where a client came before anybody saw that the last one had gone, an
    /// `Ok(0)` at each place where that may have been: for protocols whose messages are read in one
    /// piece, in which an end between two messages does no harm.
    ReadInDoubt,
}

/// What the device said of the client.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Nothing.
    Nothing,
    /// It has gone, and nobody came.
    End,
    /// It has gone, and another one came, which may have gone too.
    Change,
    /// The device began anew.
    Restarted,
}

/// Names the queue on which a device is broken.
pub(crate) fn on<V>(queue: u16, result: Result<V, Broken>) -> Result<V, Error> {
    result.map_err(|broken| Error::Broken { queue, broken })
}
