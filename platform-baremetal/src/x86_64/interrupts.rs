//! Interrupts as the end of a sleep, and as nothing else.
//!
//! In: the I/O APICs (from ACPI), the lines that somebody waits for. Out:
//! [`sleep`]. Invariant: interrupts are on inside [`sleep`] only. A handler acknowledges the local
//! APIC and comes back with them off, so no code ever runs beside other code, no wake-up is lost
//! (what comes between looking and sleeping ends the sleep at once), and no device can interrupt
//! without end before it was looked at. Sources: Intel SDM 3A, 6.14 (descriptors), 11.5 and 11.8
//! (local APIC).

use super::io;
use super::io_apic::{IO_APICS_MAX, IoApic, Pin, VECTOR_LINE};
use crate::single::Single;
use core::arch::{asm, naked_asm};
use core::ptr::write_volatile;

/// Where the local APIC is, unless somebody moved it, which no firmware does.
const LOCAL_APIC: usize = 0xFEE0_0000;
const SPURIOUS: usize = LOCAL_APIC + 0xF0;
const TIMER: usize = LOCAL_APIC + 0x320;
const TIMER_COUNT: usize = LOCAL_APIC + 0x380;
const TIMER_DIVIDE: usize = LOCAL_APIC + 0x3E0;

/// The vector of the local timer.
const VECTOR_TIMER: u8 = 0x41;
/// The vector of an interrupt that was gone before it could be told.
const VECTOR_SPURIOUS: u8 = 0x4F;
/// How many vectors there are: exceptions (0 to 31) and the three above.
const VECTORS: usize = VECTOR_SPURIOUS as usize + 1;

/// The interrupt stack of boot.rs (SDM 3A, 6.14.5).
const SUDDEN_STACK: u8 = 1;

/// How long one slice of a timed sleep is, in ticks of the local timer: 10 ms in QEMU (1 GHz), 100
/// ms on a processor whose bus runs at 100 MHz. Whoever sleeps looks at a clock afterwards.
const SLICE_TICKS: u32 = 10_000_000;

/// One gate of the interrupt descriptor table (SDM 3A, figure 6-8).
#[derive(Clone, Copy)]
#[repr(C)]
struct Gate {
    offset_low: u16,
    selector: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    zero: u32,
}

const NO_GATE: Gate = Gate {
    offset_low: 0,
    selector: 0,
    stack: 0,
    kind: 0,
    offset_middle: 0,
    offset_high: 0,
    zero: 0,
};

static GATES: Single<[Gate; VECTORS]> = Single::new([NO_GATE; VECTORS]);
static IO_APICS: Single<[IoApic; IO_APICS_MAX]> =
    Single::new([IoApic { address: 0, first_line: 0 }; IO_APICS_MAX]);

/// Takes over interrupts, all lines off. Call it once, first. `fault` is what an exception comes
/// to.
pub fn start(io_apics: &[IoApic; IO_APICS_MAX], fault: unsafe extern "C" fn()) {
    GATES.with(|gates| {
        for (vector, gate) in gates.iter_mut().enumerate() {
            let handler = match vector as u8 {
                VECTOR_LINE | VECTOR_TIMER => acknowledge as *const () as usize,
                // A non-maskable interrupt (2) means nothing here.
                VECTOR_SPURIOUS | 2 => ignore as *const () as usize,
                _ => fault as usize,
            };
            // All else comes where the compiler knows of it, or does not come back.
            let stack = match vector {
                2 | 8 => SUDDEN_STACK,
                _ => 0,
            };
            *gate = Gate {
                offset_low: handler as u16,
                selector: 8,
                stack,
                kind: 0x8E,
                offset_middle: (handler >> 16) as u16,
                offset_high: (handler >> 32) as u32,
                zero: 0,
            };
        }
        let limit = (core::mem::size_of_val(gates) - 1) as u16;
        let base = gates.as_ptr() as usize as u64;
        let pointer =
            [limit, base as u16, (base >> 16) as u16, (base >> 32) as u16, (base >> 48) as u16];
        // SAFETY: the table is complete, and static.
        unsafe { asm!("lidt [{}]", in(reg) &pointer, options(nostack, preserves_flags)) };
    });
    // SAFETY: the 8259 pair, if there is one, is of no more use: all its lines off (8259A, OCW1).
    // The local APIC is on, and its timer waits for a count.
    unsafe {
        io::write8(0x21, 0xFF);
        io::write8(0xA1, 0xFF);
        write_volatile(SPURIOUS as *mut u32, 0x100 | u32::from(VECTOR_SPURIOUS));
        write_volatile(TIMER_DIVIDE as *mut u32, 0b1011);
        write_volatile(TIMER as *mut u32, u32::from(VECTOR_TIMER));
    }
    IO_APICS.with(|all| *all = *io_apics);
    for apic in io_apics {
        for pin in 0..apic.pins() {
            apic.write(pin, Pin::Off);
        }
    }
}

/// Lets a line end sleeps. The device keeps it raised until it is acknowledged there.
pub fn enable(line: u32) {
    // Lines of ISA devices are active high, those of PCI active low (PCI 3.0, 2.2.6).
    let pin_kind = if line < 16 { Pin::ActiveHigh } else { Pin::ActiveLow };
    IO_APICS.with(|all| {
        for apic in all.iter() {
            let pin = line.wrapping_sub(apic.first_line);
            if pin < apic.pins() {
                apic.write(pin, pin_kind);
            }
        }
    });
}

/// Lets every line end sleeps that a PCI interrupt pin may be routed to: of the chipset of q35
/// (ICH9, 16 to 23) and of PIIX (10, 11).
pub fn enable_pci() {
    for line in (16..24).chain(10..12) {
        enable(line);
    }
}

/// Halts the processor until an interrupt comes.
pub fn sleep() {
    // SAFETY: `sti` takes effect after `hlt`, so nothing comes between them; the handlers keep all
    // registers. What they push may lie where the compiler has put nothing: no `nostack` here.
    unsafe { asm!("sti", "hlt", "cli") };
}

/// As [`sleep`], for one slice of the local timer at most.
pub fn sleep_slice() {
    // SAFETY: the local APIC's own registers.
    unsafe { write_volatile(TIMER_COUNT as *mut u32, SLICE_TICKS) };
    sleep();
    // SAFETY: as above; 0 stops the timer.
    unsafe { write_volatile(TIMER_COUNT as *mut u32, 0) };
}

/// Acknowledges the local APIC and comes back with interrupts off (the flag in the saved ones is
/// cleared).
#[unsafe(naked)]
unsafe extern "C" fn acknowledge() {
    naked_asm!(
        "push rax",
        "mov eax, 0xFEE000B0",
        "mov dword ptr [rax], 0",
        "pop rax",
        "and qword ptr [rsp + 16], ~0x200",
        "iretq"
    )
}

/// Comes back with interrupts off, and after a `hlt` (F4) that was about to be executed: a
/// non-maskable interrupt comes between `sti` and `hlt` too, and with interrupts off that sleep
/// would not end.
#[unsafe(naked)]
unsafe extern "C" fn ignore() {
    naked_asm!(
        "push rax",
        "mov rax, [rsp + 8]",
        "cmp byte ptr [rax], 0xF4",
        "jne 2f",
        "inc qword ptr [rsp + 8]",
        "2:",
        "pop rax",
        "and qword ptr [rsp + 16], ~0x200",
        "iretq"
    )
}
