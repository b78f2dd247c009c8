//! The memory of the queues: static pages in, [`Memory`] out.
//!
//! The device writes to it at any time, so no reference into it is ever made once a [`Region`] has
//! it: every access is a volatile one by pointer, inside its bounds. Memory is mapped one to one,
//! so an address is the same for the device (VIRTIO 1.2, section 2.7).

use crate::single::Single;
use core::ptr::{read_volatile, write_volatile};
use virtio_console::memory::{ALIGNMENT_BYTES, Memory};
use virtio_console::regions::{
    CONTROL_RECEIVE_BYTES, CONTROL_TRANSMIT_BYTES, RECEIVE_BYTES, Regions, TRANSMIT_BYTES,
};

/// The pages of all four queues, one after the other.
#[repr(C, align(4096))]
struct Pages {
    control_receive: [u8; CONTROL_RECEIVE_BYTES],
    control_transmit: [u8; CONTROL_TRANSMIT_BYTES],
    receive: [u8; RECEIVE_BYTES],
    transmit: [u8; TRANSMIT_BYTES],
}

const _: () = assert!(align_of::<Pages>() == ALIGNMENT_BYTES);
const _: () = assert!(CONTROL_RECEIVE_BYTES.is_multiple_of(ALIGNMENT_BYTES));
const _: () = assert!(CONTROL_TRANSMIT_BYTES.is_multiple_of(ALIGNMENT_BYTES));
const _: () = assert!(RECEIVE_BYTES.is_multiple_of(ALIGNMENT_BYTES));

static PAGES: Single<Pages> = Single::new(Pages {
    control_receive: [0; CONTROL_RECEIVE_BYTES],
    control_transmit: [0; CONTROL_TRANSMIT_BYTES],
    receive: [0; RECEIVE_BYTES],
    transmit: [0; TRANSMIT_BYTES],
});

/// The memory of one console; nothing the second time.
pub fn regions() -> Option<Regions<Region>> {
    let pages = PAGES.take()?;
    Some(Regions {
        control_receive: Region::new(&mut pages.control_receive),
        control_transmit: Region::new(&mut pages.control_transmit),
        receive: Region::new(&mut pages.receive),
        transmit: Region::new(&mut pages.transmit),
    })
}

/// A block of memory that is shared with a device.
pub struct Region {
    base: *mut u8,
    bytes: usize,
}

impl Region {
    fn new(memory: &'static mut [u8]) -> Self {
        Region { base: memory.as_mut_ptr(), bytes: memory.len() }
    }

    /// Where a number or a row of them is: nothing outside of the memory or where it is not
    /// aligned.
    fn place<V>(&self, at: usize, count: usize) -> Option<*mut V> {
        let len = count.checked_mul(size_of::<V>())?;
        let inside = at.checked_add(len)? <= self.bytes;
        let place = self.base.wrapping_add(at).cast::<V>();
        (inside && place.is_aligned()).then_some(place)
    }

    fn read<V: Copy + Default>(&self, at: usize) -> V {
        match self.place::<V>(at, 1) {
            // SAFETY: aligned, inside memory that this value owns for ever, and any bytes are a
            // number.
            Some(place) => unsafe { read_volatile(place) },
            None => V::default(),
        }
    }

    fn write<V>(&mut self, at: usize, value: V) {
        if let Some(place) = self.place::<V>(at, 1) {
            // SAFETY: as in `read`.
            unsafe { write_volatile(place, value) }
        }
    }

    /// How many bytes from `at` on are in front of the first word, up to `len`.
    fn before_words(&self, at: usize, len: usize) -> usize {
        ((self.base as usize).wrapping_add(at).wrapping_neg() % WORD_BYTES).min(len)
    }
}

const WORD_BYTES: usize = size_of::<u64>();

impl Memory for Region {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn device_address(&self) -> u64 {
        self.base as usize as u64
    }

    fn read_u16(&self, at: usize) -> u16 {
        self.read(at)
    }

    fn read_u32(&self, at: usize) -> u32 {
        self.read(at)
    }

    fn write_u16(&mut self, at: usize, value: u16) {
        self.write(at, value);
    }

    fn write_u32(&mut self, at: usize, value: u32) {
        self.write(at, value);
    }

    fn write_u64(&mut self, at: usize, value: u64) {
        self.write(at, value);
    }

    fn copy_out(&self, mut at: usize, to: &mut [u8]) {
        if self.place::<u8>(at, to.len()).is_none() {
            return;
        }
        let (head, rest) = to.split_at_mut(self.before_words(at, to.len()));
        let (words, tail) = rest.as_chunks_mut::<WORD_BYTES>();
        for byte in head {
            *byte = self.read(at);
            at += 1;
        }
        for word in words {
            *word = self.read::<u64>(at).to_ne_bytes();
            at += WORD_BYTES;
        }
        for byte in tail {
            *byte = self.read(at);
            at += 1;
        }
    }

    fn copy_in(&mut self, mut at: usize, from: &[u8]) {
        if self.place::<u8>(at, from.len()).is_none() {
            return;
        }
        let (head, rest) = from.split_at(self.before_words(at, from.len()));
        let (words, tail) = rest.as_chunks::<WORD_BYTES>();
        for &byte in head {
            self.write(at, byte);
            at += 1;
        }
        for &word in words {
            self.write(at, u64::from_ne_bytes(word));
            at += WORD_BYTES;
        }
        for &byte in tail {
            self.write(at, byte);
            at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(bytes: usize) -> Region {
        // Leaked, as a static would live; aligned by the allocator to more than a word.
        let words = vec![0u64; bytes / WORD_BYTES].leak();
        Region { base: words.as_mut_ptr().cast(), bytes }
    }

    #[test]
    fn bytes_are_copied_from_and_to_any_place_inside() {
        let mut memory = region(64);
        let bytes: Vec<u8> = (1..=64).collect();
        for at in 0..64 {
            for len in 0..=64 - at {
                memory.copy_in(0, &[0; 64]);
                memory.copy_in(at, &bytes[..len]);
                let mut all = [0xFF; 64];
                memory.copy_out(0, &mut all);
                assert!(all[..at].iter().chain(&all[at + len..]).all(|byte| *byte == 0));
                let mut part = vec![0; len];
                memory.copy_out(at, &mut part);
                assert_eq!((&part[..], &all[at..at + len]), (&bytes[..len], &bytes[..len]));
            }
        }
    }

    #[test]
    fn nothing_is_touched_outside_or_unaligned() {
        let mut memory = region(16);
        memory.copy_in(0, &[0xEE; 16]);
        memory.copy_in(9, &[1; 8]);
        memory.copy_in(usize::MAX, &[1; 2]);
        memory.write_u64(16, 1);
        memory.write_u64(4, 1);
        memory.write_u32(14, 1);
        memory.write_u16(15, 1);
        memory.write_u16(usize::MAX, 1);
        let mut all = [0; 16];
        memory.copy_out(0, &mut all);
        assert_eq!(all, [0xEE; 16]);
        assert_eq!((memory.read_u16(16), memory.read_u16(1), memory.read_u32(2)), (0, 0, 0));
        assert_eq!((memory.read_u16(14), memory.read_u32(12)), (0xEEEE, 0xEEEE_EEEE));
        let mut beyond = [7; 3];
        memory.copy_out(14, &mut beyond);
        assert_eq!(beyond, [7; 3]);
    }
}
