//! A serial line: the registers of a 16550 at their ports, bytes in and out, and sleep while there
//! are none.
//!
//! Invariant: an interrupt is raised exactly while there is a byte to read, or, when
//! [`Uart::await_room`] asked for it, room to write. Source: National PC16550D, 8.0 (registers).

use super::{interrupts, io};

/// Received and sent bytes; the speed's lower half when [`LATCH`] is set.
const DATA: u16 = 0;
/// Interrupt enable; the speed's upper half when [`LATCH`] is set.
const ENABLE: u16 = 1;
/// Who interrupts (read); the queues (write).
const IDENTITY: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;
const MODEM_STATUS: u16 = 6;
const SCRATCH: u16 = 7;

const LATCH: u8 = 0x80;
/// Interrupt when there is a byte.
const ENABLE_RECEIVED: u8 = 1;
/// Interrupt when there is room.
const ENABLE_ROOM: u8 = 2;
/// There is a byte.
const STATUS_RECEIVED: u8 = 1;
/// The sender's queue is empty.
const STATUS_ROOM: u8 = 1 << 5;

/// Bytes that the sender's queue holds.
pub const QUEUE_BYTES: usize = 16;

/// A serial line.
pub struct Uart {
    port: u16,
    line: u32,
}

/// The serial lines of a PC: ports, interrupt lines.
const PLACES: [(u16, u32); 2] = [(0x3F8, 4), (0x2F8, 3)];

impl Uart {
    /// COM1 (0) or COM2 (1), if it is there: 115200 baud, 8 bits, no parity, queues on, no
    /// interrupts.
    pub fn find(number: usize) -> Option<Uart> {
        let &(port, line) = PLACES.get(number)?;
        let uart = Uart { port, line };
        // A register that does nothing but keep what is written. Where nothing is the bus reads all
        // ones.
        for pattern in [0x5A, 0xA5] {
            uart.write(SCRATCH, pattern);
            if uart.read(SCRATCH) != pattern {
                return None;
            }
        }
        uart.write(ENABLE, 0);
        uart.write(LINE_CONTROL, LATCH);
        uart.write(DATA, 1);
        uart.write(ENABLE, 0);
        uart.write(LINE_CONTROL, 0b11);
        // Queues on and empty, an interrupt from the first byte on. What came before is lost, as on
        // every serial line: clients begin with a sync.
        uart.write(IDENTITY, 0b0000_0111);
        // DTR, RTS, and the pin that a PC uses as the interrupt's switch.
        uart.write(MODEM_CONTROL, 0b1011);
        Some(uart)
    }

    /// Lets received bytes end sleeps.
    pub fn listen(&self) {
        self.write(ENABLE, ENABLE_RECEIVED);
        interrupts::enable(self.line);
    }

    /// The next received byte.
    pub fn receive(&self) -> Option<u8> {
        let received = self.read(LINE_STATUS) & STATUS_RECEIVED != 0;
        received.then(|| self.read(DATA))
    }

    /// Whether a byte was received. If not, whatever else keeps the interrupt raised is
    /// acknowledged.
    pub fn has_received(&self) -> bool {
        if self.read(LINE_STATUS) & STATUS_RECEIVED != 0 {
            return true;
        }
        self.read(IDENTITY);
        self.read(MODEM_STATUS);
        false
    }

    /// Whether the sender's queue is empty: [`QUEUE_BYTES`] can be sent.
    pub fn has_room(&self) -> bool {
        self.read(LINE_STATUS) & STATUS_ROOM != 0
    }

    /// Sleeps until the sender's queue may be empty. Bytes that come meanwhile stay where they are;
    /// they may end the sleep, too.
    pub fn await_room(&self) {
        // Received bytes would end every sleep at once while nobody takes them.
        self.write(ENABLE, ENABLE_ROOM);
        while !self.has_room() {
            interrupts::sleep();
        }
        self.write(ENABLE, ENABLE_RECEIVED);
    }

    /// Sends one byte; there must be room.
    pub fn send(&self, byte: u8) {
        self.write(DATA, byte);
    }

    /// Sends one byte when there is room, or drops it when there is none for too long: a log must
    /// not hold anybody up.
    pub fn send_waiting(&self, byte: u8) {
        /// Each look takes a microsecond or more: longer than the slowest speed takes for a full
        /// queue.
        const LOOKS_MAX: u32 = 20_000;
        if (0..LOOKS_MAX).any(|_| self.has_room()) {
            self.send(byte);
        }
    }

    fn read(&self, register: u16) -> u8 {
        // SAFETY: a register of the serial line that was found there, or is looked for.
        unsafe { io::read8(self.port + register) }
    }

    fn write(&self, register: u16, value: u8) {
        // SAFETY: as above.
        unsafe { io::write8(self.port + register, value) }
    }
}
