//! A filesystem of the test's own on a loop device: a size and a kind in, a device that can be mounted out.
//! It must outlive the jail that mounts it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A loop device with a fresh filesystem.
pub struct Disk {
    pub device: PathBuf,
    /// `ext4`, `xfs` or `btrfs`.
    pub kind: &'static str,
    folder: TempDir,
}

impl Disk {
    /// An ext4 filesystem of 16 MiB.
    pub fn ext4() -> Self {
        // No table is left for a kernel thread to fill in later: it would write while frozen.
        Disk::make(16, "ext4", &["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"])
    }

    /// An xfs filesystem of 320 MiB (its least is 300), as a sparse file.
    pub fn xfs() -> Self {
        Disk::make(320, "xfs", &["-q", "-f"])
    }

    /// A btrfs filesystem of 128 MiB (its least is 109), as a sparse file.
    pub fn btrfs() -> Self {
        Disk::make(128, "btrfs", &["-q", "-f"])
    }

    /// Whether the test `name` must be skipped because no filesystem of this kind can be made or mounted here;
    /// counts the skip.
    pub fn lacks(kind: &str, package: &str, name: &str) -> bool {
        // It may be a module that nothing has asked for yet.
        let _ = Command::new("modprobe").arg(kind).output();
        let kernel = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let known = kernel.lines().any(|line| line.trim() == kind);
        let possible = known && crate::program(&format!("mkfs.{kind}")).is_some();
        if !possible {
            let reason = format!("needs mkfs.{kind} (package {package}) and a kernel with {kind}");
            crate::skip(name, &reason);
        }
        !possible
    }

    fn make(mebibytes: u64, kind: &'static str, options: &[&str]) -> Self {
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix("qga-disk-");
        // In memory a freeze, which syncs, takes a fraction of the time.
        let folder = folder.tempdir_in("/dev/shm").or_else(|_| folder.tempdir()).expect("a folder");
        let image = folder.path().join("image");
        File::create(&image).and_then(|file| file.set_len(mebibytes << 20)).expect("an image");
        let mkfs = crate::program(&format!("mkfs.{kind}")).expect("mkfs");
        run(Command::new(mkfs).args(options).arg(&image));
        Disk { device: attach(&image), kind, folder }
    }

    /// Whether the test `name` must be skipped because no disks can be made here; counts the skip.
    pub fn impossible(name: &str) -> bool {
        let reason = Disk::unavailable();
        if let Some(reason) = reason {
            crate::skip(name, reason);
        }
        reason.is_some()
    }

    /// What keeps disks from being made here.
    fn unavailable() -> Option<&'static str> {
        if !crate::is_root() {
            return Some("needs root, for loop devices and mounts");
        }
        if !Path::new("/dev/loop-control").exists() {
            return Some("this kernel has no loop devices");
        }
        match ["mkfs.ext4", "losetup", "busybox"].iter().any(|name| crate::program(name).is_none())
        {
            true => Some(
                "needs mkfs.ext4, losetup and busybox (packages e2fsprogs, mount, busybox-static)",
            ),
            false => None,
        }
    }
}

impl Disk {
    /// Whether the device still shows this disk's image: freed, it may be somebody else's at once.
    fn is_attached(&self) -> bool {
        let name = self.device.file_name().unwrap_or_default();
        let backing = Path::new("/sys/block").join(name).join("loop/backing_file");
        let shown = std::fs::read_to_string(backing).unwrap_or_default();
        shown.starts_with(self.folder.path().to_str().expect("a path in UTF-8"))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The kernel unmounts what a dead namespace had mounted in its own time, and detaches then. To ask
        // again by name could hit the disk of another test that has got the device since.
        let deadline = Instant::now() + Duration::from_secs(10);
        let losetup = crate::program("losetup").expect("losetup");
        let mut asked = false;
        while self.is_attached() {
            if Instant::now() > deadline {
                let device = self.device.display();
                eprintln!("{device} could not be detached: is something on it still frozen?");
                return;
            }
            if !asked {
                let detached = Command::new(&losetup).arg("--detach").arg(&self.device).output();
                asked = detached.is_ok_and(|output| output.status.success());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn attach(image: &Path) -> PathBuf {
    let losetup = crate::program("losetup").expect("losetup");
    // Tests that run beside this one may snatch the device that was found free.
    for _ in 0..50 {
        let output = Command::new(&losetup).args(["--find", "--show"]).arg(image).output();
        let output = output.expect("losetup runs");
        if output.status.success() {
            return PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no loop device for {}", image.display());
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
