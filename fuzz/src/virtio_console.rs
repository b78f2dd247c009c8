//! The virtio console against a device that does whatever the input says: acts of the device and of
//! the driver's user in, nothing but promises kept out.
//!
//! The device is honest where an act says so (it answers the driver, returns its buffers), so that
//! what lies after the handshake is reached, and otherwise writes what it likes into the shared
//! memory. Held against the driver: no panic, no access outside of the memory, work bounded in
//! accesses, a port found only when its name was announced, no waiting where it said that it is
//! ready, an error that stays until the restart, and a restart that works.

mod device;

use device::{Device, Shared, Wires};
use embedded_io::{Read, ReadReady, Write, WriteReady};
use virtio_console::{Console, Ends, Error, Regions, Rings, regions};

const NAME: &[u8] = b"org.qemu.guest_agent.0";

/// Accesses to memory that one call may take: a restart lays out four queues, which is most of it.
const ACCESSES_MAX: usize = 20_000;

/// Most bytes that are read or written in one call.
const BYTES_MAX: usize = 6000;

/// The input, byte by byte; zeroes after its end.
struct Input<'d> {
    data: &'d [u8],
}

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.data.split_first().unwrap_or((&0, &[]));
        self.data = rest;
        *first
    }

    fn word(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let (head, rest) = self.data.split_at(len.min(self.data.len()));
        self.data = rest;
        head.to_vec()
    }
}

type Driver = Console<'static, Wires, Shared>;

/// What is known of the driver.
struct User {
    wires: Wires,
    console: Driver,
    ends: Ends,
    /// The error that it is to repeat.
    failed: Option<Error>,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input { data };
    let mode = input.byte();
    let rings = [Rings::Free, Rings::Paged, Rings::PagedGiven][usize::from(mode % 3)];
    let ends = [Ends::Told, Ends::Read, Ends::ReadInDoubt][usize::from(mode / 3 % 3)];
    // One in many has no MULTIPORT.
    let wires = Wires::new(Device::new(rings, mode / 9 != 3));
    let memory = |queue, bytes| Shared::new(&wires, queue, bytes);
    let regions = Regions {
        control_receive: memory(2, regions::CONTROL_RECEIVE_BYTES),
        control_transmit: memory(3, regions::CONTROL_TRANSMIT_BYTES),
        receive: memory(0, regions::RECEIVE_BYTES),
        transmit: memory(1, regions::TRANSMIT_BYTES),
    };
    let console = Console::new(wires.clone(), regions, NAME);
    let mut user = User { wires, console, ends, failed: None };
    user.console.set_ends(ends);
    user.restart();
    while !input.data.is_empty() {
        match input.byte() {
            act @ ..8 => user.act(act, &mut input),
            act => user.wires.device(|device| disturb(device, act, &mut input)),
        }
        user.check();
    }
}

/// Something that the device does, sound or not.
fn disturb(device: &mut Device, act: u8, input: &mut Input<'_>) {
    match act {
        // An honest device.
        8..=40 => device.answer(NAME, &[input.byte() % 4]),
        41..=60 => device.change_client(input.byte()),
        61..=90 => {
            let len = usize::from(input.byte());
            let bytes = input.take(len);
            device.send(&bytes);
        }
        91..=110 => device.return_transmitted(),
        // A malformed or misplaced message, well transported.
        111..=140 => {
            let (id, event, value) = (u32::from(input.byte()), input.byte(), input.byte());
            let rest = match input.byte() {
                0 => NAME.to_vec(),
                1 => [NAME, b"\0"].concat(),
                len => input.take(usize::from(len)),
            };
            let id = if id == 255 { u32::MAX } else { id };
            device.say(id, u16::from(event % 10), u16::from(value), &rest);
        }
        141..=160 => {
            let len = usize::from(input.byte());
            let bytes = input.take(len);
            device.say_bytes(&bytes);
        }
        // A device that is broken: rings, and any byte of the memory.
        161..=190 => {
            let (queue, id, len) = (input.byte() % 4, input.word(), input.word());
            let id = if id == u16::MAX { u32::MAX } else { u32::from(id % 70) };
            device.push_any(queue, id, u32::from(len));
        }
        191..=205 => {
            let (queue, index) = (input.byte() % 4, input.word());
            device.set_used_index(queue, index);
        }
        206..=250 => {
            let (queue, at, len) = (input.byte() % 4, input.word(), input.byte());
            let bytes = input.take(usize::from(len % 32));
            device.scribble(queue, usize::from(at), &bytes);
        }
        // Registers that are not what they should be: seen at the next restart.
        _ => device.size_max = input.word(),
    }
}

impl User {
    /// Something that the driver's user does.
    fn act(&mut self, act: u8, input: &mut Input<'_>) {
        let len = usize::from(input.word()) % BYTES_MAX;
        match act {
            1 | 2 => self.read(len),
            3 | 4 => self.write(len),
            5 => _ = self.call(Console::take_end),
            6 => _ = self.call(Console::is_drained),
            7 => self.restart(),
            _ => _ = self.call(|console| console.poll().map(|()| true)),
        }
    }

    /// One call: bounded, without waiting, and with the error that it gave before, if it gave one.
    fn call(&mut self, run: impl FnOnce(&mut Driver) -> Result<bool, Error>) -> bool {
        self.wires.begin();
        let result = run(&mut self.console);
        let accesses = self.wires.accesses();
        assert!(accesses <= ACCESSES_MAX, "{accesses} accesses in one call");
        if let Some(failed) = self.failed {
            assert_eq!(self.console.poll(), Err(failed), "an error was forgotten");
        }
        self.failed = self.console.poll().err();
        assert!(!self.wires.has_waited(), "it waited");
        if let Err(error) = result {
            assert!(!error.to_string().is_empty());
        }
        result.unwrap_or(false)
    }

    fn read(&mut self, len: usize) {
        if !self.call(ReadReady::read_ready) {
            return;
        }
        let mut bytes = vec![0; len.max(1)];
        let mut got = 0;
        let ends = self.ends;
        let read = self.call(|console| {
            got = console.read(&mut bytes)?;
            Ok(true)
        });
        assert!(got <= bytes.len());
        assert!(!read || got > 0 || ends != Ends::Told, "nothing was read where something was");
    }

    fn write(&mut self, len: usize) {
        if !self.call(WriteReady::write_ready) {
            return;
        }
        let bytes = vec![7; len.max(1)];
        let mut took = 0;
        let wrote = self.call(|console| {
            took = console.write(&bytes)?;
            Ok(true)
        });
        assert!(took <= bytes.len() && (!wrote || took > 0), "{took} of {}", bytes.len());
    }

    /// Restarts; on a device whose registers are sound this works whatever its memory holds.
    fn restart(&mut self) {
        self.failed = None;
        self.wires.begin();
        let started = self.console.restart();
        assert!(self.wires.accesses() <= ACCESSES_MAX);
        let sound = self.wires.device(|device| device.is_sound());
        assert!(started.is_ok() || !sound, "the restart failed: {started:?}");
        self.failed = started.err();
    }

    /// What must hold after each act.
    fn check(&mut self) {
        if let Some(port) = self.console.found().filter(|_| self.console.has_names()) {
            let announced = self.wires.device(|device| device.was_named(port.number(), NAME));
            assert!(announced, "port {} was found and never named", port.number());
        }
        let (count, last) = self.console.refused();
        assert_eq!(count > 0, last.is_some());
    }
}
