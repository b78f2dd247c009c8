//! The core's platform traits on bare metal. What is not here (freezing) is not offered: its
//! commands are left out of guest-info and answer CommandNotFound.

use crate::arch::{Machine, Uart};
use crate::files::{self, File};
use core::ffi::CStr;
use qga_core::Errno;
use qga_core::phrase;
use qga_core::platform::{
    Clock, Files, Fixed, Level, Log, Mode, Name, OpenOptions, Power, Texts, WallClock,
};
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

qga_core::absent!(Guest: Disks, Exec, Freeze, Network, Programs, Replace, Settings, Tasks, Trim);

impl Texts for Guest {
    const INFO: bool = true;
    const CPUS: bool = true;
    type Text = Fixed;
    type Folder = qga_core::platform::Absent;
    // Enough for a list of one.
    type Room = [u8; 0];

    fn text(&mut self, path: &[u8]) -> Result<Fixed, Errno> {
        match path {
            b"/etc/os-release" => Ok(Fixed(OS_RELEASE.as_bytes())),
            // The others are never started.
            b"/sys/devices/system/cpu/present" => Ok(Fixed(b"0")),
            _ => Err(Errno::NOENT),
        }
    }

    fn name(&mut self, name: Name, into: &mut [u8]) -> Result<usize, Errno> {
        let name = match name {
            Name::Host => "qga-baremetal",
            Name::Release | Name::Version => env!("CARGO_PKG_VERSION"),
            Name::Machine => MACHINE,
        };
        let len = name.len().min(into.len());
        into.iter_mut().zip(name.as_bytes()).for_each(|(place, &byte)| *place = byte);
        Ok(len)
    }
}

/// What os-release(5) would say.
const OS_RELEASE: &str = concat!(
    "ID=qga-baremetal\nNAME=\"qga on bare metal\"\nVERSION_ID=",
    env!("CARGO_PKG_VERSION"),
    "\n"
);

/// What uname(2) would call the machine.
const MACHINE: &str = if cfg!(target_arch = "aarch64") { "aarch64" } else { "x86_64" };

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
