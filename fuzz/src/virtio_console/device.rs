//! The device's side: memory that counts and checks each access, registers, and a device that can
//! be honest.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use virtio_console::Rings;
use virtio_console::console::MULTIPORT;
use virtio_console::memory::Memory;
use virtio_console::queue::Addresses;
use virtio_console::transport::{QueueRefused, Transport, VERSION_1};

/// Where the memory of the four queues begins, and how far apart.
const BASE: u64 = 0x10_0000;
const STEP: u64 = 0x1_0000;

/// One queue as the device sees it.
#[derive(Clone, Copy, Default)]
struct Ring {
    addresses: Option<Addresses>,
    available: u16,
    used: u16,
}

pub struct Device {
    rings: Rings,
    multiport: bool,
    accepted: u64,
    status: u8,
    pub size_max: u16,
    /// By place: receive, transmit, control receive, control transmit.
    queues: [Ring; 4],
    memory: [Vec<u8>; 4],
    /// Messages that the driver has read since the last reset.
    told: Vec<Vec<u8>>,
}

impl Device {
    pub fn new(rings: Rings, multiport: bool) -> Self {
        Device {
            rings,
            multiport,
            accepted: 0,
            status: 0,
            size_max: 128,
            queues: [Ring::default(); 4],
            memory: Default::default(),
            told: Vec::new(),
        }
    }

    /// Whether the registers are those of a device that works with the memory that there is.
    pub fn is_sound(&self) -> bool {
        self.size_max != 0 && (self.rings != Rings::PagedGiven || self.size_max <= 128)
    }

    /// Whether the driver has read this name for a port that was added.
    pub fn was_named(&self, id: u32, name: &[u8]) -> bool {
        let of = |message: &&Vec<u8>, event: u16| {
            message.get(..4) == Some(&id.to_le_bytes()) && message[4..6] == event.to_le_bytes()
        };
        let is_name = |message: &&Vec<u8>| {
            let text = message.get(8..).unwrap_or(&[]);
            of(message, 7) && text.strip_suffix(b"\0").unwrap_or(text) == name
        };
        let told = || self.told.iter().filter(|message| message.len() >= 8);
        told().any(|message| is_name(&message)) && told().any(|message| of(&message, 1))
    }

    /// Where an address is in the memory.
    fn place(address: u64, len: usize) -> Option<(usize, usize)> {
        let offset = address.checked_sub(BASE)?;
        let (queue, at) = ((offset / STEP) as usize, (offset % STEP) as usize);
        (queue < 4 && at + len <= STEP as usize).then_some((queue, at))
    }

    fn read(&self, address: u64, len: usize) -> Vec<u8> {
        let place = Device::place(address, len);
        let bytes = place.and_then(|(queue, at)| self.memory[queue].get(at..at + len));
        bytes.map_or_else(|| vec![0; len], <[u8]>::to_vec)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) {
        let Some((queue, at)) = Device::place(address, bytes.len()) else { return };
        if let Some(place) = self.memory[queue].get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    fn read_u16(&self, address: u64) -> u16 {
        let bytes = self.read(address, 2);
        u16::from_le_bytes([bytes[0], bytes[1]])
    }

    /// The next buffer that the driver has posted: id, address, length. Memory may be scribbled on,
    /// so all of it is believed only as far as it does no harm.
    fn pop(&mut self, queue: u8) -> Option<(u32, u64, usize)> {
        let ring = self.queues[usize::from(queue % 4)];
        let addresses = ring.addresses?;
        if self.read_u16(addresses.available + 2) == ring.available {
            return None;
        }
        let entry = u64::from(ring.available % addresses.size);
        let id = self.read_u16(addresses.available + 4 + 2 * entry) % addresses.size;
        let descriptor = self.read(addresses.descriptors + 16 * u64::from(id), 16);
        let [address, len] = [&descriptor[..8], &descriptor[8..12]].map(|bytes| {
            bytes.iter().rev().fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        });
        self.queues[usize::from(queue % 4)].available = ring.available.wrapping_add(1);
        Some((u32::from(id), address, (len as usize).min(STEP as usize)))
    }

    /// Returns any buffer.
    pub fn push_any(&mut self, queue: u8, id: u32, len: u32) {
        let ring = &mut self.queues[usize::from(queue % 4)];
        let Some(addresses) = ring.addresses else { return };
        let index = ring.used;
        ring.used = index.wrapping_add(1);
        let entry = addresses.used + 4 + 8 * u64::from(index % addresses.size);
        self.write(entry, &[id.to_le_bytes(), len.to_le_bytes()].concat());
        self.write(addresses.used + 2, &index.wrapping_add(1).to_le_bytes());
    }

    pub fn set_used_index(&mut self, queue: u8, index: u16) {
        if let Some(addresses) = self.queues[usize::from(queue % 4)].addresses {
            self.write(addresses.used + 2, &index.to_le_bytes());
        }
    }

    pub fn scribble(&mut self, queue: u8, at: usize, bytes: &[u8]) {
        let memory = &mut self.memory[usize::from(queue % 4)];
        if let Some(place) = memory.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    pub fn say(&mut self, id: u32, event: u16, value: u16, rest: &[u8]) {
        let head = [&id.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes(), rest];
        self.say_bytes(&head.concat());
    }

    pub fn say_bytes(&mut self, message: &[u8]) {
        self.fill(2, message);
    }

    /// The client sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        self.fill(0, bytes);
    }

    fn fill(&mut self, queue: u8, bytes: &[u8]) {
        let Some((id, address, room)) = self.pop(queue) else { return };
        let len = bytes.len().min(room);
        self.write(address, &bytes[..len]);
        self.push_any(queue, id, len as u32);
    }

    /// Takes what the driver has sent.
    pub fn return_transmitted(&mut self) {
        for _ in 0..64 {
            let Some((id, _, _)) = self.pop(1) else { return };
            self.push_any(1, id, 0);
        }
    }

    /// Answers the driver's control messages as an honest device with one port does.
    pub fn answer(&mut self, name: &[u8], choice: &[u8]) {
        let port = 1 + u32::from(choice[0]);
        for _ in 0..64 {
            let Some((buffer, address, _)) = self.pop(3) else { return };
            let message = self.read(address, 8);
            match message[4] {
                0 => self.say(port, 1, 1, b""),
                3 => {
                    self.say(port, 7, 1, name);
                    self.say(port, 6, 1, b"");
                }
                _ => {}
            }
            self.push_any(3, buffer, 0);
        }
    }

    /// Clients go and come: a bit each, 0 for one that goes.
    pub fn change_client(&mut self, bits: u8) {
        for bit in 0..3 {
            for port in 1..5 {
                self.say(port, 6, u16::from(bits >> bit & 1), b"");
            }
        }
    }
}

/// The registers, and what the driver did in a call.
#[derive(Clone)]
pub struct Wires {
    pub device: Rc<RefCell<Device>>,
    accesses: Rc<Cell<usize>>,
    waited: Rc<Cell<bool>>,
}

impl Wires {
    pub fn new(device: Device) -> Self {
        let device = Rc::new(RefCell::new(device));
        Wires { device, accesses: Rc::default(), waited: Rc::default() }
    }

    pub fn device<R>(&self, run: impl FnOnce(&mut Device) -> R) -> R {
        run(&mut self.device.borrow_mut())
    }

    /// A call begins.
    pub fn begin(&self) {
        self.accesses.set(0);
        self.waited.set(false);
    }

    pub fn accesses(&self) -> usize {
        self.accesses.get()
    }

    pub fn has_waited(&self) -> bool {
        self.waited.get()
    }

    fn count(&self) {
        self.accesses.set(self.accesses.get() + 1);
        assert!(self.accesses.get() < 1_000_000, "work without end");
    }
}

impl Transport for Wires {
    fn rings(&self) -> Rings {
        self.device(|device| device.rings)
    }

    fn status(&mut self) -> u8 {
        self.count();
        self.device(|device| device.status)
    }

    fn set_status(&mut self, status: u8) {
        self.device(|device| {
            if status == 0 {
                device.queues = [Ring::default(); 4];
                device.told.clear();
            }
            device.status = status;
        });
    }

    fn device_features(&mut self) -> u64 {
        self.device(|device| VERSION_1 | if device.multiport { MULTIPORT } else { 0 })
    }

    fn set_driver_features(&mut self, features: u64) {
        self.device(|device| device.accepted = features);
    }

    fn queue_size_max(&mut self, queue: u16) -> u16 {
        self.device(|device| match queue {
            2 | 3 => device.size_max.min(32),
            _ => device.size_max,
        })
    }

    fn set_queue(&mut self, queue: u16, addresses: &Addresses) -> Result<(), QueueRefused> {
        self.device(|device| {
            let place = match queue {
                2 | 3 if device.accepted & MULTIPORT != 0 => queue,
                _ => queue % 2,
            };
            let ring = Ring { addresses: Some(*addresses), ..Ring::default() };
            device.queues[usize::from(place)] = ring;
        });
        Ok(())
    }

    fn notify(&mut self, _: u16) {
        self.count();
    }

    /// Never to be called: the user asks first whether there is anything.
    fn wait(&mut self) {
        self.waited.set(true);
        panic!("it waits, having said that it is ready");
    }
}

/// The memory of one queue. An access outside of it, or that is not aligned, is a panic.
pub struct Shared {
    wires: Wires,
    queue: usize,
}

impl Shared {
    pub fn new(wires: &Wires, queue: usize, bytes: usize) -> Self {
        assert!(bytes <= STEP as usize);
        wires.device(|device| device.memory[queue] = vec![0xA5; bytes]);
        Shared { wires: wires.clone(), queue }
    }

    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        self.wires.count();
        assert!(at.is_multiple_of(N), "{at} is not aligned to {N}");
        self.wires.device(|device| *device.memory[self.queue][at..].first_chunk().expect("inside"))
    }

    fn set(&self, at: usize, value: &[u8]) {
        self.wires.count();
        assert!(at.is_multiple_of(value.len()), "{at} is not aligned to {}", value.len());
        self.wires.device(|device| {
            device.memory[self.queue][at..at + value.len()].copy_from_slice(value);
        });
    }
}

impl Memory for Shared {
    fn bytes(&self) -> usize {
        self.wires.device(|device| device.memory[self.queue].len())
    }

    fn device_address(&self) -> u64 {
        BASE + STEP * self.queue as u64
    }

    fn read_u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.get(at))
    }

    fn read_u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.get(at))
    }

    fn write_u16(&mut self, at: usize, value: u16) {
        self.set(at, &value.to_ne_bytes());
    }

    fn write_u32(&mut self, at: usize, value: u32) {
        self.set(at, &value.to_ne_bytes());
    }

    fn write_u64(&mut self, at: usize, value: u64) {
        self.set(at, &value.to_ne_bytes());
    }

    fn copy_out(&self, at: usize, to: &mut [u8]) {
        self.wires.count();
        self.wires.device(|device| {
            to.copy_from_slice(&device.memory[self.queue][at..at + to.len()]);
            if self.queue == 2 {
                device.told.push(to.to_vec());
            }
        });
    }

    fn copy_in(&mut self, at: usize, from: &[u8]) {
        self.wires.count();
        self.wires.device(|device| {
            device.memory[self.queue][at..at + from.len()].copy_from_slice(from);
        });
    }
}
