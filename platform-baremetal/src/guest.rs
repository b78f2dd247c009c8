//! The core's platform traits on bare metal. What is not here (freezing) is not offered: its
//! commands are left out of guest-info and answer CommandNotFound.

use crate::arch::{Machine, Uart};
use crate::files::{self, File};
use core::ffi::CStr;
use qga_core::Errno;
use qga_core::phrase;
use qga_core::platform::{Clock, Files, Level, Log, Mode, OpenOptions, Power, WallClock};
use qga_core::text::Phrase;

/// The guest: its machine, and where its log goes.
pub struct Guest {
    /// The machine.
    pub machine: Machine,
    /// A serial line that nobody else uses.
    pub log: Option<Uart>,
}

impl Clock for Guest {
    fn now_ms(&mut self) -> u64 {
        self.machine.now_ms()
    }
}

impl WallClock for Guest {
    const OFFERED: bool = true;

    /// Whole seconds: the clock of the machine counts no parts of them. Errors: ENODEV without a
    /// clock.
    fn now_ns(&mut self) -> Result<i64, Errno> {
        let seconds = self.machine.wall_seconds().ok_or(Errno::NODEV)?;
        seconds.checked_mul(1_000_000_000).ok_or(Errno::OVERFLOW)
    }
}

impl Files for Guest {
    const OFFERED: bool = true;
    type File = File;

    fn open(&mut self, path: &[u8], options: OpenOptions) -> Result<File, Errno> {
        files::open(path, options)
    }
}

qga_core::absent!(Guest: Freeze);

impl Log for Guest {
    fn log(&mut self, level: Level, pieces: &[Phrase]) {
        // A line that nobody reads may be slow, and one for each command is for nobody.
        let (Some(uart), true) = (&self.log, level < Level::Info) else { return };
        let head = [phrase!("qga: "), level.name(), phrase!(": ")];
        for character in head.iter().chain(pieces).flat_map(|piece| piece.characters()) {
            uart.send_waiting(character);
        }
        uart.send_waiting(b'\r');
        uart.send_waiting(b'\n');
    }
}

impl Power for Guest {
    const OFFERED: bool = true;

    fn start_program(&mut self, _: &[&CStr]) -> Result<(), Errno> {
        Err(Errno::NOENT)
    }

    fn is_init(&mut self) -> bool {
        // There is nobody else.
        true
    }

    fn reboot(&mut self, mode: Mode) -> Result<(), Errno> {
        match mode {
            Mode::Reboot => self.machine.reset(),
            Mode::Powerdown => self.machine.off(),
            // Nothing is left that could run, and a machine that is stopped with its power on tells
            // nobody that it has ended: off, and stopped only where there is no off.
            Mode::Halt => {
                self.machine.off();
                self.machine.stop()
            }
        }
        Err(Errno::OPNOTSUPP)
    }
}
