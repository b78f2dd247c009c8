//! The virtqueue against a device that keeps the rules, and against devices that do not.

mod common;

use common::{Block, Random, Registers};
use virtio_console::memory::Memory;
use virtio_console::queue::{Addresses, Broken, Direction, Queue, SLOTS_MAX, TooSmall, Used};
use virtio_console::{Layout, Rings, region_bytes};

const SLOT: u32 = 32;

/// The device's side of one queue, by hand.
struct Bench {
    queue: Queue<Block>,
    block: Block,
    at: Addresses,
    seen: u16,
    used: u16,
}

impl Bench {
    fn new(direction: Direction, size: u16, slots: u16, rings: Rings) -> Bench {
        let registers = Registers::new(rings);
        let bytes = region_bytes(size, usize::from(slots), SLOT as usize);
        let block = Block::new(&registers.device, bytes);
        let mut queue = Queue::new(block.clone(), direction, slots, SLOT);
        let at = queue.configure(size, rings).expect("room");
        Bench { queue, block, at, seen: 0, used: 0 }
    }

    fn place(&self, address: u64) -> usize {
        (address - self.block.base) as usize
    }

    /// What the driver posted since the last call.
    fn posted(&mut self) -> Vec<u16> {
        let available = self.place(self.at.available);
        let index = self.block.read_u16(available + 2);
        let mut all = Vec::new();
        while self.seen != index {
            all.push(
                self.block.read_u16(available + 4 + 2 * usize::from(self.seen % self.at.size)),
            );
            self.seen = self.seen.wrapping_add(1);
        }
        all
    }

    fn give_back(&mut self, id: u32, len: u32) {
        let used = self.place(self.at.used);
        let entry = used + 4 + 8 * usize::from(self.used % self.at.size);
        self.block.write_u32(entry, id);
        self.block.write_u32(entry + 4, len);
        self.used = self.used.wrapping_add(1);
        self.block.write_u16(used + 2, self.used);
    }
}

#[test]
fn layouts_are_those_of_the_specification() {
    // Section 2.7: 16 bytes a descriptor, 6 + 2n, 6 + 8n.
    let free = Layout::new(64, Rings::Free);
    assert_eq!((free.available, free.used), (1024, 1024 + 6 + 128 + 2));
    assert!(free.slots >= free.used + 6 + 512);
    let paged = Layout::new(128, Rings::PagedGiven);
    assert_eq!((paged.available, paged.used), (2048, 4096));
    assert!(paged.slots >= 4096 + 6 + 1024);
    assert_eq!(Layout::new(256, Rings::Paged).used, 8192);
}

#[test]
fn indexes_run_through_65536_and_buffers_keep_their_bytes() {
    for (size, slots, rings) in
        [(8, 8, Rings::Free), (128, 5, Rings::PagedGiven), (64, 64, Rings::Paged)]
    {
        let mut bench = Bench::new(Direction::Receive, size, slots, rings);
        let mut random = Random::new(u64::from(size));
        let (mut out, mut expected) = (Vec::new(), std::collections::VecDeque::new());
        bench.queue.post_all();
        for round in 0..150_000u32 {
            out.extend(bench.posted());
            assert!(bench.queue.wants_notification());
            // In an order of its own, as section 2.7.8 allows.
            for _ in 0..random.below(out.len() as u64 + 1) {
                let id = out.swap_remove(random.below(out.len() as u64) as usize);
                let len = 1 + random.below(u64::from(SLOT)) as usize;
                let at = Layout::new(bench.at.size, rings).slots + usize::from(id) * SLOT as usize;
                bench.block.copy_in(at, &vec![round as u8; len]);
                bench.give_back(u32::from(id), len as u32);
                expected.push_back((id, len, round as u8));
            }
            for _ in 0..random.below(4) {
                let used = bench.queue.take().expect("a sound device");
                let next = expected.pop_front();
                assert_eq!(used, next.map(|(slot, len, _)| Used { slot, len }));
                let (Some(used), Some((_, _, byte))) = (used, next) else { break };
                let mut bytes = vec![0; used.len];
                assert_eq!(bench.queue.read(used.slot, 0, &mut bytes), used.len);
                assert!(bytes.iter().all(|got| *got == byte), "bytes of another buffer");
                bench.queue.post(used.slot, SLOT as usize);
            }
        }
        assert!(u32::from(bench.queue.slots()) <= u32::from(slots.min(SLOTS_MAX)));
    }
}

#[test]
fn a_queue_without_free_buffers_says_so() {
    let mut bench = Bench::new(Direction::Transmit, 16, 4, Rings::Free);
    let mut slots = Vec::new();
    while let Some(slot) = bench.queue.free_slot() {
        assert_eq!(bench.queue.fill(slot, &[7; 100]), SLOT as usize, "a slot holds no more");
        bench.queue.post(slot, SLOT as usize);
        assert_eq!(bench.queue.fill(slot, b"x"), 0, "the device has it");
        assert_eq!(bench.queue.read(slot, 0, &mut [0]), 0, "the device has it");
        slots.push(slot);
    }
    assert_eq!((slots.len(), bench.queue.posted()), (4, 4));
    assert_eq!(bench.posted(), slots);
    bench.queue.post(0, 1);
    assert_eq!(bench.posted(), [], "posted twice");
    // The length that a transmitq's device gives means nothing.
    bench.give_back(2, u32::MAX);
    assert_eq!(bench.queue.take(), Ok(Some(Used { slot: 2, len: 0 })));
    assert_eq!(bench.queue.free_slot(), Some(2));
}

#[test]
fn broken_devices_are_refused_for_good() {
    type Break = fn(&mut Bench);
    let cases: [(Break, Broken); 7] = [
        (|bench| bench.give_back(4, 1), Broken::NotPosted(4)),
        (|bench| bench.give_back(65_536, 1), Broken::NotPosted(65_536)),
        (|bench| bench.give_back(u32::MAX, 1), Broken::NotPosted(u32::MAX)),
        (|bench| bench.give_back(0, SLOT + 1), Broken::TooLong(SLOT + 1)),
        (|bench| bench.give_back(0, u32::MAX), Broken::TooLong(u32::MAX)),
        (
            |bench| {
                for id in [0, 1, 2, 3, 0] {
                    bench.give_back(id, 1);
                }
            },
            Broken::Jumped(5),
        ),
        (
            |bench| {
                let at = bench.place(bench.at.used) + 2;
                bench.block.write_u16(at, u16::MAX);
            },
            Broken::Jumped(u16::MAX),
        ),
    ];
    for (breaks, broken) in cases {
        let mut bench = Bench::new(Direction::Receive, 16, 4, Rings::Free);
        bench.queue.post_all();
        breaks(&mut bench);
        assert_eq!(bench.queue.take(), Err(broken));
        assert_eq!(bench.queue.take(), Err(broken), "it recovered by itself");
        bench.queue.configure(16, Rings::Free).expect("room");
        assert_eq!((bench.queue.take(), bench.queue.posted()), (Ok(None), 0));
    }
    // A buffer that comes back twice.
    let mut bench = Bench::new(Direction::Receive, 16, 4, Rings::Free);
    bench.queue.post_all();
    bench.give_back(1, 1);
    bench.give_back(1, 1);
    assert_eq!(bench.queue.take(), Ok(Some(Used { slot: 1, len: 1 })));
    assert_eq!(bench.queue.take(), Err(Broken::NotPosted(1)));
}

#[test]
fn abandoned_buffers_are_used_again_and_may_come_back_once() {
    let mut bench = Bench::new(Direction::Transmit, 16, 2, Rings::Free);
    bench.queue.post_all();
    bench.queue.abandon(0b01);
    assert_eq!((bench.queue.free_slot(), bench.queue.posted_slots()), (Some(0), 0b10));
    bench.give_back(0, 0);
    bench.give_back(1, 0);
    assert_eq!(bench.queue.take(), Ok(Some(Used { slot: 1, len: 0 })), "the late one is passed");
    bench.give_back(0, 0);
    assert_eq!(bench.queue.take(), Err(Broken::Jumped(1)), "twice is too often");
    // A device could write into a receive buffer at any time: it stays the device's.
    let mut bench = Bench::new(Direction::Receive, 16, 2, Rings::Free);
    bench.queue.post_all();
    bench.queue.abandon(u64::MAX);
    assert_eq!(bench.queue.free_slot(), None);
}

#[test]
fn sizes_that_a_device_names_are_taken_or_refused() {
    let registers = Registers::new(Rings::Free);
    let block = Block::new(&registers.device, 8192);
    let mut queue = Queue::new(block.clone(), Direction::Receive, 64, 1024);
    for (size_max, size) in [(1, 1), (2, 2), (3, 2), (64, 64), (1000, 64), (u16::MAX, 64)] {
        assert_eq!(queue.configure(size_max, Rings::Free).map(|at| at.size), Ok(size));
        assert!(queue.slots() >= 1 && queue.slots() <= size);
    }
    assert_eq!(queue.configure(128, Rings::PagedGiven).map(|at| at.size), Ok(128));
    for size_max in [512, 32768, u16::MAX] {
        let refused = queue.configure(size_max, Rings::PagedGiven);
        assert!(matches!(refused, Err(TooSmall { wanted_bytes }) if wanted_bytes > 8192));
    }
    let mut unused = Queue::new(block, Direction::Receive, 4, 64);
    assert_eq!((unused.take(), unused.free_slot(), unused.slots()), (Ok(None), None, 0));
}

#[test]
fn interrupts_and_notifications_follow_their_flags() {
    let mut bench = Bench::new(Direction::Transmit, 16, 2, Rings::Free);
    let (available, used) = (bench.place(bench.at.available), bench.place(bench.at.used));
    assert_eq!(bench.block.read_u16(available), 0);
    bench.queue.want_interrupt(false);
    assert_eq!(bench.block.read_u16(available), 1);
    bench.queue.want_interrupt(true);
    assert_eq!(bench.block.read_u16(available), 0);
    bench.block.write_u16(used, 1);
    assert!(!bench.queue.wants_notification());
}
