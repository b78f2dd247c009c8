//! A split virtqueue over caller-supplied memory, with its buffers after it (VIRTIO 1.2, section
//! 2.7).
//!
//! The invariant that makes it simple: descriptor `n` always points to slot `n` of the memory, and
//! no chain is longer than one. Which slots the device has is known here (`posted`) and not read
//! back from memory that the device can write. A device that hands back what it does not have,
//! moves its index further than there are buffers out, or claims more bytes than a slot holds is
//! [`Broken`]: the queue then stays so until it is configured anew.

use crate::layout::{Layout, QUEUE_SIZE_MAX, Rings};
use crate::memory::Memory;

/// Most buffers that a queue has out at one time: one bit each in a `u64`. A queue may have more
/// entries.
pub const SLOTS_MAX: u16 = 64;

/// Who writes the buffers of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The device (a receiveq).
    Receive,
    /// The driver (a transmitq).
    Transmit,
}

/// What a device did that it must not. The queue is of no use until the device is reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// The used index moved further than buffers are out: by this many entries.
    Jumped(u16),
    /// It returned a buffer that it does not have: this descriptor.
    NotPosted(u32),
    /// It claims to have written this many bytes, more than the buffer holds.
    TooLong(u32),
}

/// A buffer that came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// Which.
    pub slot: u16,
    /// How much the device wrote into it; at most a slot's length. 0 on a transmitq.
    pub len: usize,
}

/// Where a device finds a queue: what a transport writes into its registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addresses {
    /// Entries.
    pub size: u16,
    /// The descriptors, by address as the device sees it; also the block's beginning on a legacy
    /// device.
    pub descriptors: u64,
    /// The available ring ("driver area").
    pub available: u64,
    /// The used ring ("device area").
    pub used: u64,
}

/// The memory is too small for a queue of the size that the device insists on, with a buffer after
/// it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooSmall {
    /// The bytes it would take.
    pub wanted_bytes: usize,
}

/// Descriptor flag: the device writes the buffer (section 2.7.5).
const DESCRIPTOR_WRITE: u16 = 2;
/// Flag of the used ring: the device needs no notification (section 2.7.10).
const USED_NO_NOTIFY: u16 = 1;
/// Flag of the available ring: the driver needs no interrupt (section 2.7.7).
const AVAILABLE_NO_INTERRUPT: u16 = 1;

/// A queue and its memory.
pub struct Queue<M> {
    memory: M,
    direction: Direction,
    slot_bytes: u32,
    slots_max: u16,
    layout: Layout,
    /// How many slots the memory has.
    slots: u16,
    /// The slots that the device has, a bit each.
    posted: u64,
    /// Slots that were posted and may never come back, see [`Queue::abandon`].
    abandoned: u64,
    /// The index of the available ring's next entry, of the used ring's next one; both run through
    /// 2^16.
    available: u16,
    used: u16,
    broken: Option<Broken>,
}

impl<M: Memory> Queue<M> {
    /// A queue in `memory`, not yet configured: with at most `slots_max` buffers (at least 1, at
    /// most [`SLOTS_MAX`]) of `slot_bytes` each, as many as fit.
    pub const fn new(memory: M, direction: Direction, slots_max: u16, slot_bytes: u32) -> Self {
        let slots_max = match slots_max {
            0 => 1,
            1..=SLOTS_MAX => slots_max,
            _ => SLOTS_MAX,
        };
        Queue {
            memory,
            direction,
            slot_bytes,
            slots_max,
            layout: Layout::new(1, Rings::Free),
            slots: 0,
            posted: 0,
            abandoned: 0,
            available: 0,
            used: 0,
            broken: None,
        }
    }

    /// Lays the queue out anew and empty, while the device does not use it. `size_max` is the size
    /// that the device names, not 0. Errors: the memory is too small.
    pub fn configure(&mut self, size_max: u16, rings: Rings) -> Result<Addresses, TooSmall> {
        let largest = match rings {
            Rings::PagedGiven => QUEUE_SIZE_MAX,
            Rings::Free | Rings::Paged => self.slots_max.next_power_of_two(),
        };
        // A size is a power of two (section 2.7); a device that says otherwise is rounded down.
        let size = 1u16 << size_max.min(largest).checked_ilog2().unwrap_or(0);
        let layout = Layout::new(size, rings);
        let slot_bytes = self.slot_bytes as usize;
        let room = self.memory.bytes().saturating_sub(layout.slots) / slot_bytes.max(1);
        let most = self.slots_max.min(size);
        let slots = u16::try_from(room).unwrap_or(most).min(most);
        if slots == 0 {
            return Err(TooSmall { wanted_bytes: layout.slots.saturating_add(slot_bytes) });
        }
        self.layout = layout;
        self.slots = slots;
        (self.posted, self.abandoned, self.available, self.used) = (0, 0, 0, 0);
        self.broken = None;
        self.clear();
        let base = self.memory.device_address();
        Ok(Addresses {
            size,
            descriptors: base,
            available: base.wrapping_add(layout.available as u64),
            used: base.wrapping_add(layout.used as u64),
        })
    }

    /// Zeroes the rings and writes the descriptors, which then never change but in their length.
    fn clear(&mut self) {
        for at in (0..self.layout.slots).step_by(8) {
            self.memory.write_u64(at, 0);
        }
        let flags = match self.direction {
            Direction::Receive => DESCRIPTOR_WRITE,
            Direction::Transmit => 0,
        };
        let base = self.memory.device_address();
        for slot in 0..self.slots {
            let at = usize::from(slot) * 16;
            let address = base.wrapping_add(self.place(slot) as u64);
            self.memory.write_u64(at, address.to_le());
            self.memory.write_u32(at + 8, self.slot_bytes.to_le());
            self.memory.write_u16(at + 12, flags.to_le());
        }
    }

    /// Where a slot's bytes are.
    fn place(&self, slot: u16) -> usize {
        self.layout.slots + usize::from(slot) * self.slot_bytes as usize
    }

    /// How many buffers there are; 0 before it is configured.
    pub fn slots(&self) -> u16 {
        self.slots
    }

    /// How much a buffer holds.
    pub fn slot_bytes(&self) -> usize {
        self.slot_bytes as usize
    }

    /// How many buffers the device has.
    pub fn posted(&self) -> u16 {
        self.posted.count_ones() as u16
    }

    /// Which buffers the device has, a bit each.
    pub fn posted_slots(&self) -> u64 {
        self.posted
    }

    /// Takes buffers back that the device has and does not return, a bit each. Should it return one
    /// of them all the same that is no offence, once. Bytes of a transmitq only: a device must not
    /// write into a buffer that is used for something else.
    pub fn abandon(&mut self, slots: u64) {
        if self.direction == Direction::Transmit {
            let slots = slots & self.posted;
            self.posted &= !slots;
            self.abandoned |= slots;
        }
    }

    /// A buffer that the device does not have.
    pub fn free_slot(&self) -> Option<u16> {
        let slot = self.posted.trailing_ones() as u16;
        (slot < self.slots).then_some(slot)
    }

    /// Fills a free slot with as much of `bytes` as it holds. Returns how much that is: 0 when the
    /// device has it.
    pub fn fill(&mut self, slot: u16, bytes: &[u8]) -> usize {
        let len = bytes.len().min(self.slot_bytes as usize);
        match bytes.get(..len) {
            Some(bytes) if self.is_free(slot) => self.memory.copy_in(self.place(slot), bytes),
            _ => return 0,
        }
        len
    }

    /// Copies from a slot that came back, from its byte `from` on, as much as `to` holds. The
    /// caller knows from [`Used`] how much there is. Nothing when the device has it.
    pub fn read(&self, slot: u16, from: usize, to: &mut [u8]) -> usize {
        let len = to.len().min((self.slot_bytes as usize).saturating_sub(from));
        match to.get_mut(..len) {
            Some(to) if self.is_free(slot) => self.memory.copy_out(self.place(slot) + from, to),
            _ => return 0,
        }
        len
    }

    fn is_free(&self, slot: u16) -> bool {
        slot < self.slots && self.posted & bit(slot) == 0
    }

    /// Gives a free slot to the device, with `len` bytes of it: those that were filled in, or that
    /// may be. What is not free stays as it is. [`Queue::wants_notification`] says whether to tell
    /// the device.
    pub fn post(&mut self, slot: u16, len: usize) {
        if !self.is_free(slot) {
            return;
        }
        let len = u32::try_from(len).unwrap_or(self.slot_bytes).min(self.slot_bytes);
        self.memory.write_u32(usize::from(slot) * 16 + 8, len.to_le());
        let entry = usize::from(self.available & (self.layout.size - 1));
        self.memory.write_u16(self.layout.available + 4 + 2 * entry, slot.to_le());
        self.posted |= bit(slot);
        self.available = self.available.wrapping_add(1);
        // The entry before the index that makes it count (section 2.7.13.3).
        self.memory.barrier();
        self.memory.write_u16(self.layout.available + 2, self.available.to_le());
    }

    /// Gives every free slot to the device, in full.
    pub fn post_all(&mut self) {
        while let Some(slot) = self.free_slot() {
            self.post(slot, self.slot_bytes as usize);
        }
    }

    /// Whether the device wants to hear of what was posted (section 2.7.10).
    pub fn wants_notification(&self) -> bool {
        // The index before the flag is read, or both sides could wait for each other (section
        // 2.7.13.4.1).
        self.memory.barrier();
        u16::from_le(self.memory.read_u16(self.layout.used)) & USED_NO_NOTIFY == 0
    }

    /// Whether the device is to interrupt when it returns a buffer; it may do so in any case. At
    /// first it is. After turning it on, look once more: what came back just before comes without
    /// one.
    pub fn want_interrupt(&mut self, wanted: bool) {
        let flags = if wanted { 0 } else { AVAILABLE_NO_INTERRUPT };
        self.memory.write_u16(self.layout.available, flags.to_le());
        self.memory.barrier();
    }

    /// The index up to which the device has returned buffers. Whether it can be true is for
    /// [`Queue::take`] to find out.
    pub fn returned(&self) -> u16 {
        u16::from_le(self.memory.read_u16(self.layout.used + 2))
    }

    /// The index of the buffer that [`Queue::take`] takes next.
    pub fn taken(&self) -> u16 {
        self.used
    }

    /// The next buffer that came back, which is free then. Errors: the device is broken, now or
    /// earlier.
    pub fn take(&mut self) -> Result<Option<Used>, Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        // Each round that goes on takes a bit out of `abandoned`.
        while let Some((id, written)) = self.next_returned()? {
            let slot = u16::try_from(id).unwrap_or(u16::MAX);
            let returned = if slot < self.slots { bit(slot) } else { 0 };
            if (self.posted | self.abandoned) & returned == 0 {
                return self.fail(Broken::NotPosted(id));
            }
            if self.direction == Direction::Receive && written > self.slot_bytes {
                return self.fail(Broken::TooLong(written));
            }
            self.used = self.used.wrapping_add(1);
            if self.posted & returned == 0 {
                self.abandoned &= !returned;
                continue;
            }
            self.posted &= !returned;
            let len = match self.direction {
                Direction::Receive => written as usize,
                // Legacy devices put anything there (section 2.7.8.1).
                Direction::Transmit => 0,
            };
            return Ok(Some(Used { slot, len }));
        }
        Ok(None)
    }

    /// The next entry of the used ring: which descriptor, how many bytes.
    fn next_returned(&mut self) -> Result<Option<(u32, u32)>, Broken> {
        let ahead = self.returned().wrapping_sub(self.used);
        if self.slots == 0 || ahead == 0 {
            return Ok(None);
        }
        if u32::from(ahead) > self.posted.count_ones() + self.abandoned.count_ones() {
            return self.fail(Broken::Jumped(ahead));
        }
        // The index before the entry that it makes count (section 2.7.14).
        self.memory.barrier();
        let at = self.layout.used + 4 + 8 * usize::from(self.used & (self.layout.size - 1));
        let id = u32::from_le(self.memory.read_u32(at));
        Ok(Some((id, u32::from_le(self.memory.read_u32(at + 4)))))
    }

    /// What the device did wrong, if it did.
    pub fn broken(&self) -> Option<Broken> {
        self.broken
    }

    fn fail<T>(&mut self, broken: Broken) -> Result<T, Broken> {
        self.broken = Some(broken);
        Err(broken)
    }
}

/// A slot's bit. Slots are below 64, see [`SLOTS_MAX`].
fn bit(slot: u16) -> u64 {
    1u64.wrapping_shl(u32::from(slot))
}
