//! Programs, processes and the end of the guest: calls of [`Power`] come in, what becomes of the
//! machine goes out. Invariant: what only an agent outside of containers may do is a violation
//! anywhere else.

use crate::init::Init;
use crate::kind::Kind;
use crate::power::{Ending, none_or};
use crate::sim::Sim;
use qga_core::Errno;
use qga_core::platform::{About, Exit, Mode, Power, Signal};
use std::ffi::CStr;

impl Power for Sim {
    const OFFERED: bool = true;

    fn start_program(&mut self, command: &[&CStr]) -> Result<(), Errno> {
        let words: Vec<&str> = command.iter().map(|word| word.to_str().unwrap_or("")).collect();
        let (path, arguments) = words.split_first().ok_or(Errno::INVAL)?;
        self.call(Kind::StartProgram, |world| {
            world.machine.start(path, arguments, world.time.now_ms)
        })
    }

    fn program_exit(&mut self) -> Option<Exit> {
        self.sure(Kind::ProgramExit, None, |world| world.machine.exit(world.time.now_ms))
    }

    fn program_output(&mut self, into: &mut [u8]) -> usize {
        self.sure(Kind::ProgramOutput, 0, |world| {
            let output = world.machine.output(world.time.now_ms);
            let len = output.len().min(into.len());
            into[..len].copy_from_slice(&output[..len]);
            len
        })
    }

    fn is_script(&mut self, path: &CStr) -> bool {
        self.sure(Kind::IsScript, false, |world| {
            let programs = &world.machine.programs;
            programs
                .iter()
                .any(|program| program.path.as_bytes() == path.to_bytes() && program.script)
        })
    }

    fn is_init(&mut self) -> bool {
        self.sure(Kind::IsInit, false, |world| world.machine.init.is_none())
    }

    fn about(&mut self, about: About, into: &mut [u8]) -> Result<usize, Errno> {
        self.call(Kind::About, |world| {
            let text = world.machine.about(about, world.time.now_ms)?;
            let len = text.len().min(into.len());
            into[..len].copy_from_slice(&text[..len]);
            Ok(len)
        })
    }

    fn signal_init(&mut self, signal: u8) -> Result<(), Errno> {
        self.outside("signals init");
        self.call(Kind::SignalInit, |world| {
            let now_ms = world.time.now_ms;
            world.machine.init.as_mut().ok_or(Errno::SRCH)?.signal(signal, now_ms)
        })
    }

    fn may_reboot(&mut self) -> Result<(), Errno> {
        self.call(Kind::MayReboot, |world| {
            none_or(world.machine.reboot_error)?;
            if world.machine.place.contained { Err(Errno::INVAL) } else { Ok(()) }
        })
    }

    fn hold_init(&mut self, hold: bool) {
        self.outside("stops init");
        self.sure(Kind::HoldInit, (), |world| {
            if let Some(init) = &mut world.machine.init {
                init.is_held = hold;
            }
        });
    }

    fn signal_all(&mut self, signal: Signal) {
        self.outside("ends processes");
        self.with(|world| {
            let falls = |init: &Init| init.ends_with_others && !init.is_held;
            if world.machine.init.as_ref().is_some_and(falls) {
                world.violations.push("process 1 ended, and the kernel panicked".into());
            }
        });
        self.sure(Kind::SignalAll, (), |world| {
            world.machine.signal(signal, world.time.now_ms);
        });
    }

    fn processes_remain(&mut self) -> bool {
        self.sure(Kind::ProcessesRemain, false, |world| {
            world.machine.processes_remain(world.time.now_ms)
        })
    }

    fn unmount(&mut self, path: &[u8]) -> Result<(), Errno> {
        self.outside("unmounts");
        self.call(Kind::Unmount, |world| world.mounts.unmount(path))
    }

    fn remount_read_only(&mut self, path: &[u8]) -> Result<(), Errno> {
        self.outside("makes read-only");
        self.call(Kind::RemountReadOnly, |world| world.mounts.remount_read_only(path))
    }

    fn sync(&mut self) {
        self.sure(Kind::Sync, (), |world| world.machine.syncs += 1);
    }

    /// A real one does not return when it works; this one cuts the power, and the driver stops.
    fn reboot(&mut self, mode: Mode) -> Result<(), Errno> {
        self.outside("calls reboot(2)");
        self.call(Kind::Reboot, |world| {
            none_or(world.machine.reboot_error)?;
            none_or(world.machine.kernel_error)?;
            world.machine.ending = Some(Ending::Kernel(mode));
            let calls = world.faults.calls();
            world.faults.cut_after(calls);
            Ok(())
        })
    }
}

impl Sim {
    /// Something that only an agent outside of containers may do, and with mounts only in the mount
    /// namespace of process 1.
    fn outside(&mut self, does: &str) {
        self.with(|world| {
            let mounts = does == "unmounts" || does == "makes read-only";
            let place = world.machine.place;
            if place.contained || mounts && place.own_mounts {
                world.violations.push(format!("{does} in {place:?}"));
            }
        });
    }
}
