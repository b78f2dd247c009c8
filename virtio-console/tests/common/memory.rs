//! Memory that driver and device share, and a generator of numbers.

use super::SimDevice;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use virtio_console::memory::Memory;

/// A block; clones are the same memory. An access outside of it, or one that is not aligned, is a
/// panic.
#[derive(Clone)]
pub struct Block {
    pub bytes: Rc<RefCell<Vec<u8>>>,
    pub base: u64,
    device: Rc<RefCell<SimDevice>>,
    barriers: Rc<Cell<u64>>,
}

impl Block {
    /// A new block, which the device can reach.
    pub fn new(device: &Rc<RefCell<SimDevice>>, bytes: usize) -> Self {
        // What was there before must not matter.
        let memory = Rc::new(RefCell::new(vec![0xA5; bytes]));
        let base = device.borrow_mut().add_memory(memory.clone());
        Block { bytes: memory, base, device: device.clone(), barriers: Rc::default() }
    }

    fn get<const N: usize>(&self, at: usize) -> [u8; N] {
        assert!(at.is_multiple_of(N), "{at} is not aligned to {N}");
        *self.bytes.borrow()[at..].first_chunk().expect("inside the memory")
    }

    fn set(&mut self, at: usize, value: &[u8]) {
        assert!(at.is_multiple_of(value.len()), "{at} is not aligned to {}", value.len());
        self.bytes.borrow_mut()[at..at + value.len()].copy_from_slice(value);
    }
}

impl Memory for Block {
    fn bytes(&self) -> usize {
        self.bytes.borrow().len()
    }

    fn device_address(&self) -> u64 {
        self.base
    }

    /// All that the device writes of its own accord is looked for by such reads: before each,
    /// something may happen.
    fn read_u16(&self, at: usize) -> u16 {
        if let Ok(mut device) = self.device.try_borrow_mut() {
            device.happen();
        }
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
        to.copy_from_slice(&self.bytes.borrow()[at..at + to.len()]);
    }

    fn copy_in(&mut self, at: usize, from: &[u8]) {
        self.bytes.borrow_mut()[at..at + from.len()].copy_from_slice(from);
    }

    fn barrier(&self) {
        self.barriers.set(self.barriers.get() + 1);
    }
}

/// The same numbers for the same seed (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    pub fn shuffle<V>(&mut self, values: &mut [V]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}
