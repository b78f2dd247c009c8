//! The device: registers, queues, ports.

use super::Random;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use virtio_console::Rings;
use virtio_console::console::MULTIPORT;
use virtio_console::queue::Addresses;
use virtio_console::transport::{QueueRefused, VERSION_1, status};

/// A port and its client.
#[derive(Default)]
pub struct Port {
    pub id: u32,
    pub name: Vec<u8>,
    pub is_console: bool,
    /// Somebody is at this end.
    pub connected: bool,
    /// The guest has it open.
    pub guest_open: bool,
    /// Bytes on their way to the guest, a chunk for each time that they were sent.
    pub coming: VecDeque<Vec<u8>>,
    /// What the client has got, and what was dropped because there was none.
    pub got: Vec<u8>,
    pub dropped: usize,
    /// The client takes nothing; the buffer that it does not take is held here.
    pub stalled: bool,
    held: Option<(u16, Vec<u8>)>,
}

struct SimQueue {
    addresses: Addresses,
    available: u16,
    used: u16,
}

type Step = Box<dyn FnOnce(&mut SimDevice)>;

pub struct SimDevice {
    pub rings: Rings,
    pub status: u8,
    pub features: u64,
    pub accepted: u64,
    pub features_refused: bool,
    pub reset_hangs: bool,
    pub queue_size: u16,
    pub ports_max: u32,
    pub ports: Vec<Port>,
    pub resets: usize,
    /// Messages lost because there was no buffer.
    pub lost: usize,
    /// Messages of the driver: id, event, value.
    pub heard: Vec<(u32, u16, u16)>,
    /// The driver's notifications are looked at when [`SimDevice::run`] is called, not at once.
    pub lazy: bool,
    notified: Vec<u16>,
    queues: BTreeMap<u16, SimQueue>,
    memory: Vec<(u64, Rc<RefCell<Vec<u8>>>)>,
    next_base: u64,
    /// What happens one after the other while the driver reads, and how often (one in so many
    /// reads).
    pub steps: VecDeque<Step>,
    pub pace: Option<(Random, u64)>,
}

impl SimDevice {
    pub fn new(rings: Rings) -> Self {
        let version = if rings == Rings::Free { VERSION_1 } else { 0 };
        SimDevice {
            rings,
            status: 0xFF,
            features: MULTIPORT | version | 1 << 29 | 1,
            accepted: 0,
            features_refused: false,
            reset_hangs: false,
            queue_size: 128,
            ports_max: 31,
            ports: Vec::new(),
            resets: 0,
            lost: 0,
            heard: Vec::new(),
            lazy: false,
            notified: Vec::new(),
            queues: BTreeMap::new(),
            memory: Vec::new(),
            next_base: 0x10_0000,
            steps: VecDeque::new(),
            pace: None,
        }
    }

    pub fn add_memory(&mut self, bytes: Rc<RefCell<Vec<u8>>>) -> u64 {
        let base = self.next_base;
        self.next_base += (bytes.borrow().len() as u64).next_multiple_of(4096) + 4096;
        self.memory.push((base, bytes));
        base
    }

    pub fn add_port(&mut self, id: u32, name: &[u8]) {
        self.ports.push(Port { id, name: name.to_vec(), ..Port::default() });
    }

    pub fn port(&mut self, id: u32) -> &mut Port {
        self.ports.iter_mut().find(|port| port.id == id).expect("a port of this id")
    }

    /// One step happens, perhaps: not while bytes wait for a buffer, which a client that goes would
    /// take with it.
    pub fn happen(&mut self) {
        let waiting = self.ports.iter().any(|port| !port.coming.is_empty());
        if self.status & status::DRIVER_OK == 0 || waiting {
            return;
        }
        let Some((random, one_in)) = &mut self.pace else { return };
        if random.below(*one_in) != 0 {
            return;
        }
        // Or several: the hypervisor does not wait for the guest to look.
        for _ in 0..=random.below(4) {
            let waiting = self.ports.iter().any(|port| !port.coming.is_empty());
            match self.steps.pop_front() {
                Some(step) if !waiting => step(self),
                Some(step) => self.steps.push_front(step),
                None => {}
            }
        }
    }

    pub fn set_status(&mut self, status: u8) {
        if status == 0 {
            self.resets += 1;
            self.queues.clear();
            self.notified.clear();
            self.accepted = 0;
            for port in &mut self.ports {
                port.guest_open = false;
                port.held = None;
            }
            self.status = if self.reset_hangs { 1 } else { 0 };
            return;
        }
        assert_eq!(status & self.status, self.status, "a status bit was taken back");
        let refused = if self.features_refused { status::FEATURES_OK } else { 0 };
        self.status = status & !refused;
    }

    pub fn set_driver_features(&mut self, features: u64) {
        assert_eq!(features & !self.features, 0, "features that were not offered");
        assert_eq!(self.status & status::FEATURES_OK, 0, "features are agreed on already");
        self.accepted = features;
    }

    pub fn queue_size_max(&self, queue: u16) -> u16 {
        let queues = if self.accepted & MULTIPORT != 0 { 2 * self.ports_max as u16 + 2 } else { 2 };
        match queue {
            2 | 3 if queue < queues => self.queue_size.min(32),
            _ if queue < queues => self.queue_size,
            _ => 0,
        }
    }

    pub fn set_queue(&mut self, queue: u16, addresses: Addresses) -> Result<(), QueueRefused> {
        assert_eq!(self.status & status::DRIVER_OK, 0, "a queue set up too late");
        let (size, size_max) = (addresses.size, self.queue_size_max(queue));
        assert!(size.is_power_of_two() && size <= size_max, "queue {queue} of {size} entries");
        assert!(self.rings != Rings::PagedGiven || size == size_max, "the size is given");
        if self.rings != Rings::Free {
            assert!(addresses.descriptors.is_multiple_of(4096), "not at a page");
            let available = addresses.descriptors + 16 * u64::from(size);
            let used = (available + 6 + 2 * u64::from(size)).next_multiple_of(4096);
            assert_eq!((addresses.available, addresses.used), (available, used), "legacy layout");
        }
        for (address, align) in
            [(addresses.descriptors, 16), (addresses.available, 2), (addresses.used, 4)]
        {
            assert!(address.is_multiple_of(align), "alignment of queue {queue}");
        }
        self.queues.insert(queue, SimQueue { addresses, available: 0, used: 0 });
        Ok(())
    }

    /// Bytes at an address.
    fn at(&self, address: u64, len: usize) -> (Rc<RefCell<Vec<u8>>>, usize) {
        let inside = |&&(base, ref bytes): &&(u64, Rc<RefCell<Vec<u8>>>)| {
            let end = base + bytes.borrow().len() as u64;
            address >= base && address + len as u64 <= end
        };
        let found = self.memory.iter().find(inside);
        let (base, bytes) = found.unwrap_or_else(|| panic!("{len} bytes at {address:#x}"));
        (bytes.clone(), (address - base) as usize)
    }

    fn read<const N: usize>(&self, address: u64) -> [u8; N] {
        let (bytes, at) = self.at(address, N);
        *bytes.borrow()[at..].first_chunk().expect("checked")
    }

    pub fn write(&self, address: u64, value: &[u8]) {
        let (bytes, at) = self.at(address, value.len());
        bytes.borrow_mut()[at..at + value.len()].copy_from_slice(value);
    }

    /// Where a queue is, for tests that break it.
    pub fn addresses(&self, queue: u16) -> Addresses {
        self.queues[&queue].addresses
    }

    /// Whether the driver wants an interrupt when a buffer of this queue is returned.
    pub fn wants_interrupt(&self, queue: u16) -> bool {
        u16::from_le_bytes(self.read(self.addresses(queue).available)) & 1 == 0
    }

    /// The next buffer that the driver has posted: its number, address, length.
    fn pop(&mut self, queue: u16) -> Option<(u16, u64, usize)> {
        assert_ne!(self.status & status::DRIVER_OK, 0, "the device has not begun");
        let SimQueue { addresses, available, .. } = self.queues.get(&queue)?;
        let (addresses, next) = (*addresses, *available);
        let index = u16::from_le_bytes(self.read(addresses.available + 2));
        let ahead = index.wrapping_sub(next);
        assert!(ahead <= addresses.size, "{ahead} entries in a ring of {}", addresses.size);
        if ahead == 0 {
            return None;
        }
        let entry = u64::from(next % addresses.size);
        let id = u16::from_le_bytes(self.read(addresses.available + 4 + 2 * entry));
        assert!(id < addresses.size, "descriptor {id}");
        let place = addresses.descriptors + 16 * u64::from(id);
        let flags = u16::from_le_bytes(self.read(place + 12));
        assert_eq!(flags, if queue.is_multiple_of(2) { 2 } else { 0 }, "flags on queue {queue}");
        let len = u32::from_le_bytes(self.read(place + 8)) as usize;
        let address = u64::from_le_bytes(self.read(place));
        self.at(address, len);
        assert!(len > 0, "an empty buffer");
        self.queues.get_mut(&queue)?.available = next.wrapping_add(1);
        Some((id, address, len))
    }

    /// Returns a buffer.
    pub fn push(&mut self, queue: u16, id: u32, len: u32) {
        let SimQueue { addresses, used, .. } = self.queues.get_mut(&queue).expect("set up");
        let (addresses, index) = (*addresses, *used);
        *used = index.wrapping_add(1);
        let entry = addresses.used + 4 + 8 * u64::from(index % addresses.size);
        self.write(entry, &[id.to_le_bytes(), len.to_le_bytes()].concat());
        self.write(addresses.used + 2, &index.wrapping_add(1).to_le_bytes());
    }

    /// Sends a control message; it is lost if there is no buffer.
    pub fn say(&mut self, id: u32, event: u16, value: u16, rest: &[u8]) {
        let head = [&id.to_le_bytes()[..], &event.to_le_bytes(), &value.to_le_bytes(), rest];
        self.say_bytes(&head.concat());
    }

    pub fn say_bytes(&mut self, message: &[u8]) {
        let Some((buffer, address, room)) = self.pop(2) else {
            self.lost += 1;
            return;
        };
        let len = message.len().min(room);
        self.write(address, &message[..len]);
        self.push(2, u32::from(buffer), len as u32);
    }

    pub fn notify(&mut self, queue: u16) {
        assert_ne!(self.status & status::DRIVER_OK, 0, "notified too early");
        self.notified.push(queue);
        if !self.lazy {
            self.run();
        }
    }

    /// Does what the driver has notified of.
    pub fn run(&mut self) {
        for queue in std::mem::take(&mut self.notified) {
            match queue {
                3 if self.accepted & MULTIPORT != 0 => self.control(),
                _ if queue.is_multiple_of(2) => self.flush_coming(),
                _ => self.take_going(queue),
            }
        }
    }

    fn control(&mut self) {
        while let Some((buffer, address, len)) = self.pop(3) {
            assert_eq!(len, 8, "a message of the driver");
            let [a, b, c, d, e, f, g, h] = self.read(address);
            let id = u32::from_le_bytes([a, b, c, d]);
            let (event, value) = (u16::from_le_bytes([e, f]), u16::from_le_bytes([g, h]));
            self.heard.push((id, event, value));
            match event {
                0 => {
                    let ids: Vec<u32> = self.ports.iter().map(|port| port.id).collect();
                    ids.into_iter().for_each(|id| self.say(id, 1, 1, b""));
                }
                3 => self.introduce(id),
                6 => self.port(id).guest_open = value != 0,
                _ => panic!("event {event} of the driver"),
            }
            self.push(3, u32::from(buffer), 0);
        }
        // What waited for PORT_OPEN is delivered when the driver tells of buffers again, as in
        // QEMU.
    }

    fn introduce(&mut self, id: u32) {
        let port = self.port(id);
        let (is_console, connected, name) = (port.is_console, port.connected, port.name.clone());
        if is_console {
            self.say(id, 4, 1, b"");
        }
        if !name.is_empty() {
            self.say(id, 7, 1, &[&name[..], b"\0"].concat());
        }
        if connected {
            self.say(id, 6, 1, b"");
        }
    }

    fn queues_of(&self, id: u32) -> (u16, u16) {
        let first = if id == 0 { 0 } else { 2 * id as u16 + 2 };
        (first, first + 1)
    }

    /// A client comes.
    pub fn connect(&mut self, id: u32) {
        self.port(id).connected = true;
        self.say(id, 6, 1, b"");
    }

    /// It goes. A buffer that it did not take is lost.
    pub fn disconnect(&mut self, id: u32) {
        let (_, going) = self.queues_of(id);
        let port = self.port(id);
        (port.connected, port.stalled) = (false, false);
        port.coming.clear();
        port.held = None;
        self.take_going(going);
        self.say(id, 6, 0, b"");
    }

    /// The client sends bytes, in one piece.
    pub fn send(&mut self, id: u32, bytes: &[u8]) {
        self.port(id).coming.push_back(bytes.to_vec());
        self.flush_coming();
    }

    fn flush_coming(&mut self) {
        for index in 0..self.ports.len() {
            let id = self.ports[index].id;
            let (queue, _) = self.queues_of(id);
            let open = self.ports[index].guest_open || self.accepted & MULTIPORT == 0;
            while open && !self.ports[index].coming.is_empty() && self.queues.contains_key(&queue) {
                let Some((buffer, address, room)) = self.pop(queue) else { break };
                let mut chunk = self.ports[index].coming.pop_front().expect("not empty");
                let rest = chunk.split_off(chunk.len().min(room));
                self.write(address, &chunk);
                self.push(queue, u32::from(buffer), chunk.len() as u32);
                if !rest.is_empty() {
                    self.ports[index].coming.push_front(rest);
                }
            }
        }
    }

    /// Takes bytes of the guest, as far as the client does.
    fn take_going(&mut self, queue: u16) {
        let of = |id: u32| if id == 0 { 1 } else { 2 * id as u16 + 3 };
        let Some(index) = self.ports.iter().position(|port| of(port.id) == queue) else { return };
        while self.ports[index].held.is_none() && self.queues.contains_key(&queue) {
            let Some((buffer, address, len)) = self.pop(queue) else { return };
            let (bytes, at) = self.at(address, len);
            let bytes = bytes.borrow()[at..at + len].to_vec();
            let port = &mut self.ports[index];
            if port.stalled {
                port.held = Some((buffer, bytes));
                return;
            }
            match port.connected || self.accepted & MULTIPORT == 0 {
                true => port.got.extend(bytes),
                false => port.dropped += bytes.len(),
            }
            self.push(queue, u32::from(buffer), 0);
        }
    }

    /// The client takes bytes again.
    pub fn resume(&mut self, id: u32) {
        let (_, going) = self.queues_of(id);
        let port = self.port(id);
        port.stalled = false;
        if let Some((buffer, bytes)) = port.held.take() {
            port.got.extend(bytes);
            self.push(going, u32::from(buffer), 0);
        }
        self.take_going(going);
    }
}
