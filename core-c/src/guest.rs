//! The core's platform traits on a C table: one trait method in, one C function called. What a
//! function returns is checked before it is believed: a count larger than asked for is EIO.

use crate::operations::{
    Level as CLevel, Mode as CMode, Operations, QGA_LOG_BYTES, QGA_OPEN_APPEND, QGA_OPEN_CREATE,
    QGA_OPEN_READ, QGA_OPEN_TRUNCATE, QGA_OPEN_WRITE, Whence,
};
use core::ffi::{c_int, c_void};
use embedded_io::{ErrorType, Read, Seek, SeekFrom, Write};
use qga_core::Errno;
use qga_core::platform::{Access, Clock, Files, Level, Log, Mode, OpenOptions, Power, WallClock};
use qga_core::text::Phrase;
use qga_core::writer::Writer;

qga_core::absent!(
    Guest: Disks,
    Exec,
    Freeze,
    Network,
    Programs,
    Replace,
    Settings,
    Tasks,
    Texts,
    Trim
);

/// The guest as its table says.
pub struct Guest {
    operations: &'static Operations,
    guest: *mut c_void,
    /// `shutdown` has said that the guest is about to end.
    pub ended: bool,
}

impl Guest {
    /// A guest with this table.
    ///
    /// # Safety
    /// The functions of the table do what the header says, with this `guest`.
    pub const unsafe fn new(operations: &'static Operations, guest: *mut c_void) -> Self {
        Guest { operations, guest, ended: false }
    }
}

fn errno(code: i64) -> Errno {
    Errno::new(u32::try_from(code.unsigned_abs()).unwrap_or(Errno::IO.number()))
}

/// What a C function that returns 0 or a negative errno means.
fn done(code: c_int) -> Result<(), Errno> {
    if code < 0 { Err(errno(i64::from(code))) } else { Ok(()) }
}

/// What a C function that returns a count up to `most` or a negative errno means.
fn count(code: isize, most: usize) -> Result<usize, Errno> {
    match usize::try_from(code) {
        Ok(len) if len <= most => Ok(len),
        Ok(_) => Err(Errno::IO),
        Err(_) => Err(errno(code as i64)),
    }
}

impl Clock for Guest {
    fn now_ms(&mut self) -> u64 {
        // SAFETY: the table's promise (`Guest::new`).
        self.operations.now_ms.map_or(0, |now_ms| unsafe { now_ms(self.guest) })
    }
}

impl WallClock for Guest {
    const OFFERED: bool = true;

    fn offers(&self, _: &'static str) -> bool {
        self.operations.wall_clock_ns.is_some()
    }

    fn now_ns(&mut self) -> Result<i64, Errno> {
        let wall_clock_ns = self.operations.wall_clock_ns.ok_or(Errno::OPNOTSUPP)?;
        let mut ns = 0;
        // SAFETY: the table's promise; `ns` can be written to during the call.
        done(unsafe { wall_clock_ns(self.guest, &mut ns) }).map(|()| ns)
    }
}

impl Log for Guest {
    fn log(&mut self, level: Level, pieces: &[Phrase]) {
        let Some(log) = self.operations.log else { return };
        let mut line = [0; QGA_LOG_BYTES];
        let mut out = Writer::new(&mut line);
        for piece in pieces {
            // What does not fit is cut: the beginning of a line says most.
            out.phrase(*piece);
        }
        let level = match level {
            Level::Error => CLevel::Error,
            Level::Warning => CLevel::Warning,
            Level::Info => CLevel::Info,
        };
        let text = out.written();
        // SAFETY: the table's promise; the text lives during the call.
        unsafe { log(self.guest, level, text.as_ptr().cast(), text.len()) }
    }
}

/// An open file: what `open` put into `*file`, and the table that knows what to do with it.
pub struct File {
    operations: &'static Operations,
    file: *mut c_void,
}

impl ErrorType for File {
    type Error = Errno;
}

impl Read for File {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let read = self.operations.read.ok_or(Errno::BADF)?;
        // SAFETY: the table's promise; `into` can be written to during the call.
        count(unsafe { read(self.file, into.as_mut_ptr(), into.len()) }, into.len())
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let write = self.operations.write.ok_or(Errno::BADF)?;
        // SAFETY: the table's promise; `bytes` live during the call.
        count(unsafe { write(self.file, bytes.as_ptr(), bytes.len()) }, bytes.len())
    }

    fn flush(&mut self) -> Result<(), Errno> {
        Ok(())
    }
}

impl Seek for File {
    fn seek(&mut self, to: SeekFrom) -> Result<u64, Errno> {
        let seek = self.operations.seek.ok_or(Errno::SPIPE)?;
        let (offset, whence) = match to {
            SeekFrom::Start(at) => (i64::try_from(at).map_err(|_| Errno::INVAL)?, Whence::Set),
            SeekFrom::Current(by) => (by, Whence::Current),
            SeekFrom::End(by) => (by, Whence::End),
        };
        // SAFETY: the table's promise.
        let position = unsafe { seek(self.file, offset, whence) };
        u64::try_from(position).map_err(|_| errno(position))
    }
}

impl Files for Guest {
    const OFFERED: bool = true;
    type File = File;

    fn offers(&self, command: &'static str) -> bool {
        let table = self.operations;
        let itself = match command {
            "guest-file-read" => table.read.is_some(),
            "guest-file-write" => table.write.is_some(),
            "guest-file-seek" => table.seek.is_some(),
            _ => true,
        };
        itself && table.open.is_some()
    }

    fn open(&mut self, path: &[u8], options: OpenOptions) -> Result<File, Errno> {
        let open = self.operations.open.ok_or(Errno::OPNOTSUPP)?;
        let mut flags = match options.access {
            Access::Read => QGA_OPEN_READ,
            Access::Write => QGA_OPEN_WRITE,
            Access::Both => QGA_OPEN_READ | QGA_OPEN_WRITE,
        };
        for (set, flag) in [
            (options.create, QGA_OPEN_CREATE),
            (options.truncate, QGA_OPEN_TRUNCATE),
            (options.append, QGA_OPEN_APPEND),
        ] {
            if set {
                flags |= flag;
            }
        }
        let mut file = core::ptr::null_mut();
        // SAFETY: the table's promise; the path lives and `file` can be written to during the call.
        done(unsafe { open(self.guest, path.as_ptr().cast(), path.len(), flags, &mut file) })?;
        Ok(File { operations: self.operations, file })
    }

    fn close(&mut self, file: File) -> Result<(), Errno> {
        let Some(close) = file.operations.close else { return Ok(()) };
        // SAFETY: the table's promise; `open` made it, and it is not used any more.
        done(unsafe { close(file.file) })
    }

    fn load_state(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let load = self.operations.load_state.ok_or(Errno::NOENT)?;
        // SAFETY: the table's promise; `into` can be written to during the call.
        count(unsafe { load(self.guest, into.as_mut_ptr(), into.len()) }, into.len())
    }

    fn save_state(&mut self, state: &[u8]) -> Result<(), Errno> {
        let Some(save) = self.operations.save_state else { return Ok(()) };
        // SAFETY: the table's promise; `state` lives during the call.
        done(unsafe { save(self.guest, state.as_ptr(), state.len()) })
    }
}

impl Power for Guest {
    const OFFERED: bool = true;

    fn offers(&self, _: &'static str) -> bool {
        self.operations.shutdown.is_some()
    }

    /// The kernel itself: there is nobody else to ask.
    fn is_init(&mut self) -> bool {
        true
    }

    fn sync(&mut self) {
        if let Some(sync) = self.operations.sync {
            // SAFETY: the table's promise.
            unsafe { sync(self.guest) }
        }
    }

    fn reboot(&mut self, mode: Mode) -> Result<(), Errno> {
        let shutdown = self.operations.shutdown.ok_or(Errno::OPNOTSUPP)?;
        let mode = match mode {
            Mode::Powerdown => CMode::Powerdown,
            Mode::Halt => CMode::Halt,
            Mode::Reboot => CMode::Reboot,
        };
        // SAFETY: the table's promise.
        done(unsafe { shutdown(self.guest, mode) })?;
        self.ended = true;
        Ok(())
    }
}
