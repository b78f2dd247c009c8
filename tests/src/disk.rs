//! A filesystem of the test's own on a loop device: a size and a kind in, a device that can be
//! mounted out. It must outlive the jail that mounts it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A loop device with a fresh filesystem.
pub struct Disk {
    pub device: PathBuf,
    /// `ext4`, `xfs` or `btrfs`.
    pub kind: &'static str,
    /// What no other disk's image has in its path.
    name: String,
    _folder: Option<TempDir>,
}

/// No table is left for a kernel thread to fill in later: it would write while frozen.
const EXT4: [&str; 4] = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"];

impl Disk {
    /// An ext4 filesystem of 16 MiB.
    pub fn ext4() -> Self {
        Disk::make(16, "ext4", &EXT4)
    }

    /// An ext4 filesystem of 48 MiB, with room for the image of another.
    pub fn ext4_below() -> Self {
        Disk::make(48, "ext4", &EXT4)
    }

    /// An ext4 filesystem of 16 MiB on the image `at`, whose name is like no other's.
    pub fn ext4_at(at: &Path) -> Self {
        let device = Disk::fill(at, 16, "ext4", &EXT4);
        let name = at.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        Disk { device, kind: "ext4", name: name.to_owned(), _folder: None }
    }

    /// The same on a partition of the device, and the node of that.
    pub fn ext4_partition_at(at: &Path) -> (Self, PathBuf) {
        File::create(at).and_then(|file| file.set_len(16 << 20)).expect("an image");
        let device = attach(at, &["--partscan"]);
        let device = device.unwrap_or_else(|error| panic!("no loop device: {error}"));
        let add = crate::program("addpart").expect("addpart (package util-linux)");
        run(Command::new(add).arg(&device).args(["1", "2048", "30720"]));
        let node = PathBuf::from(format!("{}p1", device.display()));
        crate::eventually("there is no node of the partition", || node.exists());
        let mkfs = crate::program("mkfs.ext4").expect("mkfs");
        run(Command::new(mkfs).args(EXT4).arg(&node));
        let name = at.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        (Disk { device, kind: "ext4", name: name.to_owned(), _folder: None }, node)
    }

    /// An xfs filesystem of 320 MiB (its least is 300), as a sparse file.
    pub fn xfs() -> Self {
        Disk::make(320, "xfs", &["-q", "-f"])
    }

    /// A btrfs filesystem of 128 MiB (its least is 109), as a sparse file.
    pub fn btrfs() -> Self {
        Disk::make(128, "btrfs", &["-q", "-f"])
    }

    /// Whether the test `name` must be skipped because no filesystem of this kind can be made or
    /// mounted here; counts the skip.
    pub fn lacks(kind: &str, package: &str, name: &str) -> bool {
        let possible = knows(kind) && crate::program(&format!("mkfs.{kind}")).is_some();
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
        let device = Disk::fill(&folder.path().join("image"), mebibytes, kind, options);
        Disk { device, kind, name: name_of(&folder), _folder: Some(folder) }
    }

    /// A device that shows a new image with a filesystem.
    fn fill(image: &Path, mebibytes: u64, kind: &str, options: &[&str]) -> PathBuf {
        File::create(image).and_then(|file| file.set_len(mebibytes << 20)).expect("an image");
        let mkfs = crate::program(&format!("mkfs.{kind}")).expect("mkfs");
        run(Command::new(mkfs).args(options).arg(image));
        attach(image, &[]).unwrap_or_else(|error| panic!("no loop device: {error}"))
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
        static MISSING: OnceLock<Option<String>> = OnceLock::new();
        crate::jail::unavailable().or_else(|| MISSING.get_or_init(Disk::missing).as_deref())
    }

    /// What is missing; whether a device can be had is tried out.
    fn missing() -> Option<String> {
        if !Path::new("/dev/loop-control").exists() {
            return Some("needs loop devices, there is no /dev/loop-control".to_owned());
        }
        if ["mkfs.ext4", "losetup"].iter().any(|name| crate::program(name).is_none()) {
            return Some("needs mkfs.ext4 and losetup (packages e2fsprogs, mount)".to_owned());
        }
        if !knows("ext4") {
            return Some("needs a kernel with ext4".to_owned());
        }
        let folder = tempfile::tempdir().expect("a folder");
        let image = folder.path().join("image");
        File::create(&image).and_then(|file| file.set_len(1 << 20)).expect("an image");
        let device = match attach(&image, &[]) {
            Ok(device) => device,
            Err(error) => {
                let reason = error.rsplit(": ").next().unwrap_or(&error);
                return Some(format!("needs loop devices, and none can be set up ({reason})"));
            }
        };
        drop(Disk { device, kind: "none", name: name_of(&folder), _folder: Some(folder) });
        None
    }
}

/// The last part of a folder's path, which is like no other's.
fn name_of(folder: &TempDir) -> String {
    let name = folder.path().file_name().and_then(|name| name.to_str());
    name.expect("a path in UTF-8").to_owned()
}

/// Whether the kernel knows a kind of filesystem; it may be a module that nothing has asked for
/// yet.
fn knows(kind: &str) -> bool {
    let _ = Command::new("modprobe").arg(kind).output();
    let kernel = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    kernel.lines().any(|line| line.trim() == kind)
}

impl Disk {
    /// Whether the device still shows this disk's image: freed, it may be somebody else's at once.
    fn is_attached(&self) -> bool {
        let name = self.device.file_name().unwrap_or_default();
        let backing = Path::new("/sys/block").join(name).join("loop/backing_file");
        let shown = std::fs::read_to_string(backing).unwrap_or_default();
        shown.contains(&self.name)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The kernel unmounts what a dead namespace had mounted in its own time, and detaches then.
        // To ask again by name could hit the disk of another test that has got the device since.
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

/// A loop device that shows the image; else what losetup says.
fn attach(image: &Path, options: &[&str]) -> Result<PathBuf, String> {
    let losetup = crate::program("losetup").expect("losetup");
    let mut said = String::new();
    // Tests that run beside this one may snatch the device that was found free.
    for _ in 0..50 {
        let mut losetup = Command::new(&losetup);
        let output = losetup.args(["--find", "--show"]).args(options).arg(image).output();
        let output = output.expect("losetup runs");
        if output.status.success() {
            return Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
        }
        said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        // A container may have the control device and none of those that it hands out.
        let lasting = ["No such file", "not permitted", "denied"];
        if lasting.iter().any(|words| said.contains(words)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(said)
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
