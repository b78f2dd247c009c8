//! Mounts and freezing: /proc/self/mountinfo, stat(2), FIFREEZE, FITHAW, and the mark on tmpfs.

use super::{Linux, Worker};
use crate::errno::errno;
use crate::fd::Fd;
use crate::sys;
use crate::sysfs::{Names, enter, text};
use core::ffi::CStr;
use qga_core::Errno;
use qga_core::platform::{
    Below, Device, Freeze, Freezing as _, Hooks, Inode, Report, Strings, Task,
};
use qga_core::writer::Writer;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{AtFlags, CWD, FileType, OFlags, StatxFlags, major, minor};

fn read_only(path: &CStr) -> Result<Fd, Errno> {
    sys::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, 0)
}

/// Looks up a path, or what is open as `at` when that is empty.
fn look(at: BorrowedFd<'_>, path: &CStr, flags: AtFlags) -> Result<Inode, Errno> {
    // The type and the device's number come unasked for, the mount's number since 5.8; before, a
    // zero does.
    let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    if let Some(stat) = sys::statx(at.as_raw_fd(), path, flags.bits(), mask.bits()) {
        return Ok(Inode {
            on: Device::new(stat.stx_dev_major, stat.stx_dev_minor),
            mount: stat.stx_mnt_id,
            plain: is_plain(stat.stx_mode.into()),
        });
    }
    // A kernel before 4.11, a filter of system calls that does not know it; or the path is wrong,
    // and then this says why.
    let stat = rustix::fs::statat(at, path, flags).map_err(errno)?;
    let on = Device::new(major(stat.st_dev), minor(stat.st_dev));
    Ok(Inode { on, mount: 0, plain: is_plain(stat.st_mode) })
}

fn is_plain(mode: u32) -> bool {
    matches!(FileType::from_raw_mode(mode), FileType::Directory | FileType::RegularFile)
}

/// The major number of loop devices.
const LOOP: u32 = 7;

impl Freeze for Linux {
    const OFFERED: bool = cfg!(feature = "freeze");
    type Table = Fd;
    type Filesystem = Fd;
    type Mark = Fd;
    #[cfg(feature = "freeze")]
    type Freezer = qga_core::freezer::Freezer<Fd>;
    #[cfg(not(feature = "freeze"))]
    type Freezer = ();

    fn mounts(&mut self) -> Result<Fd, Errno> {
        read_only(c"/proc/self/mountinfo")
    }

    fn inspect(&mut self, path: &[u8]) -> Result<Inode, Errno> {
        // As stat(2) does, it lets an automount point be.
        look(CWD, self.path.path(path)?, AtFlags::NO_AUTOMOUNT)
    }

    fn open_mount(&mut self, path: &[u8]) -> Result<Fd, Errno> {
        read_only(self.path.path(path)?)
    }

    fn inspect_open(&mut self, filesystem: &Fd) -> Result<Inode, Errno> {
        look(filesystem.as_fd(), c"", AtFlags::EMPTY_PATH)
    }

    fn below(&mut self, device: Device, below: &mut Below) {
        let bytes = self.path.bytes();
        let mut out = Writer::new(bytes);
        if device.major() == LOOP {
            out.ascii("/dev/loop");
        } else {
            out.ascii("/sys/dev/block/");
            out.unsigned(device.major().into());
            out.ascii(":");
        }
        out.unsigned(device.minor().into());
        out.raw(&[0]);
        // SAFETY: the last byte is a NUL, and there is room for many more.
        let Ok(opened) = read_only(unsafe { CStr::from_ptr(bytes.as_ptr().cast()) }) else {
            return;
        };
        if device.major() == LOOP {
            if let Ok(on) = sys::disk::loop_file(&opened) {
                // As the kernel writes a number for programs (makedev(3)), in 32 bits.
                below.add_filesystem(Device::new(on >> 8 & 0xFFF, on >> 12 & 0xF_FF00 | on & 0xFF));
            }
            return;
        }
        // A partition has none. Its folder is in that of its disk.
        let Ok(slaves) = enter(&opened, c"slaves").or_else(|_| enter(&opened, c"../slaves")) else {
            return;
        };
        let mut names = Names::new();
        // One of the names is `..`: that is the disk, or the device itself.
        while let Some(name) = names.next_name(&slaves) {
            if let Some(slave) = Device::parse(text(&slaves, name, c"dev", &mut [0; 256])) {
                below.add(slave);
            }
        }
    }

    fn freeze(&mut self, filesystem: &Fd) -> Result<(), Errno> {
        sys::disk::freeze(filesystem)
    }

    fn thaw(&mut self, filesystem: &Fd) -> Result<(), Errno> {
        sys::disk::thaw(filesystem)
    }

    fn create_mark(&mut self, place: usize) -> Result<Fd, Errno> {
        self.state.ensure(self.path, false)?;
        self.state.create_mark(place)
    }

    fn publish_mark(&mut self, place: usize) -> Result<(), Errno> {
        self.state.publish_mark(place)
    }

    fn open_mark(&mut self, place: usize) -> Result<Fd, Errno> {
        self.state.open_mark(place)
    }

    fn remove_mark(&mut self, place: usize) -> Result<(), Errno> {
        self.state.remove_mark(place)
    }

    fn boot_id(&mut self, id: &mut [u8; 36]) -> Result<(), Errno> {
        let file = read_only(c"/proc/sys/kernel/random/boot_id")?;
        if file.get(id)? as usize == id.len() { Ok(()) } else { Err(Errno::IO) }
    }

    fn work(
        &mut self,
        freezer: &mut Self::Freezer,
        task: Task,
        only: Option<Strings<'_>>,
    ) -> Result<(), Errno> {
        if task == Task::Freeze {
            // The agent is to know it as well. Why there is none the worker finds out.
            let _ = self.state.ensure(self.path, false);
        }
        let (socket, is_worker) = sys::socket::fork_with_socket()?;
        if !is_worker {
            self.worker = Worker::of_agent(socket);
            return Ok(());
        }
        // Whoever comes after an agent that is gone wants the channel, however long the worker
        // hangs. Where there is none, the kernel says so.
        for &number in &self.channel {
            sys::close(number);
        }
        self.worker = Worker::of_worker(socket);
        if Self::HOOKS {
            // That is the agent's.
            self.helper = None;
        }
        // What that says is for the agent.
        self.log.writer = None;
        self.state.show_worker();
        freezer.run(self, task, only);
        sys::process::exit(0)
    }

    fn tell(&mut self, report: &Report, held: Option<&Fd>, undo: Option<&Fd>) {
        if !self.worker.tell(report, held) {
            if Self::HOOKS {
                self.end_hook();
            }
            if let Some(filesystem) = undo {
                let _ = self.thaw(filesystem);
            }
            sys::process::exit(0)
        }
    }

    fn hear(&mut self, report: &mut Report) -> Result<Option<Fd>, Errno> {
        self.worker.hear(report)
    }

    fn dismiss(&mut self) {
        self.worker.dismiss();
    }

    fn is_worker(&self) -> bool {
        self.worker.is_worker
    }

    fn lingers(&mut self) -> bool {
        self.state.has_worker()
    }
}
