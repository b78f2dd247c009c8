//! A serial line: the registers of a PL011, bytes in and out, and sleep while there are none.
//!
//! Invariant: an interrupt is raised exactly while there is a byte to read, or, when
//! [`Uart::await_room`] asked for it, room to write. Source: Arm PrimeCell UART PL011 (DDI 0183G),
//! 3.3.

use core::ptr::{read_volatile, write_volatile};

const DATA: usize = 0x00;
const FLAGS: usize = 0x18;
const LINE_CONTROL: usize = 0x2C;
const CONTROL: usize = 0x30;
const MASK: usize = 0x38;
const CLEAR: usize = 0x44;
/// The first word of its identity (3.3.18).
const IDENTITY: usize = 0xFE0;

/// There is no byte.
const FLAG_EMPTY: u32 = 1 << 4;
/// There is no room.
const FLAG_FULL: u32 = 1 << 5;
/// Interrupt for a byte, or for some that have waited.
const MASK_RECEIVED: u32 = 1 << 4 | 1 << 6;
/// Interrupt for room.
const MASK_ROOM: u32 = 1 << 5;

/// Bytes that are sent without looking for room again.
pub const QUEUE_BYTES: usize = 1;

/// A serial line.
pub struct Uart {
    address: usize,
    line: u32,
}

/// The serial line of the virt machine: registers, interrupt line (QEMU, hw/arm/virt).
const PLACE: (usize, u32) = (0x0900_0000, 33);

impl Uart {
    /// The only serial line (0), if it is there: 8 bits, no parity, queues on, no interrupts.
    pub fn find(number: usize) -> Option<Uart> {
        const PL011: u32 = 0x11;
        let (address, line) = PLACE;
        let uart = Uart { address, line };
        if number != 0 || uart.read(IDENTITY) & 0xFF != PL011 {
            return None;
        }
        uart.write(MASK, 0);
        uart.write(CLEAR, 0x7FF);
        uart.write(LINE_CONTROL, 0b111 << 4);
        // On, in both directions.
        uart.write(CONTROL, 0x301);
        Some(uart)
    }

    /// Lets received bytes end sleeps.
    pub fn listen(&self) {
        self.write(MASK, MASK_RECEIVED);
        super::interrupts::enable(self.line);
    }

    /// The next received byte.
    pub fn receive(&self) -> Option<u8> {
        let received = self.read(FLAGS) & FLAG_EMPTY == 0;
        received.then(|| self.read(DATA) as u8)
    }

    /// Whether a byte was received. If not, whatever else keeps the interrupt raised is
    /// acknowledged.
    pub fn has_received(&self) -> bool {
        if self.read(FLAGS) & FLAG_EMPTY == 0 {
            return true;
        }
        self.write(CLEAR, MASK_RECEIVED);
        // A byte that came in between may have lost its interrupt; look again.
        self.read(FLAGS) & FLAG_EMPTY == 0
    }

    /// Whether there is room for [`QUEUE_BYTES`].
    pub fn has_room(&self) -> bool {
        self.read(FLAGS) & FLAG_FULL == 0
    }

    /// Sleeps until there may be room. Bytes that come meanwhile stay where they are.
    pub fn await_room(&self) {
        // Received bytes would end every sleep at once while nobody takes them.
        while !self.has_room() {
            self.write(MASK, MASK_ROOM);
            super::sleep();
            self.write(CLEAR, MASK_ROOM);
        }
        self.write(MASK, MASK_RECEIVED);
    }

    /// Sends one byte; there must be room.
    pub fn send(&self, byte: u8) {
        self.write(DATA, u32::from(byte));
    }

    /// Sends one byte when there is room, or drops it when there is none for too long: a log must
    /// not hold anybody up.
    pub fn send_waiting(&self, byte: u8) {
        /// Longer than the slowest speed takes for a full queue.
        const LOOKS_MAX: u32 = 100_000;
        if (0..LOOKS_MAX).any(|_| self.has_room()) {
            self.send(byte);
        }
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: a register of the serial line, where the virt machine has it.
        unsafe { read_volatile((self.address + register) as *const u32) }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: as above.
        unsafe { write_volatile((self.address + register) as *mut u32, value) }
    }
}
