//! Guests in which a freeze hangs until it is let go: in the sync of a disk, behind a writer that
//! does not come to an end, or on the way to a mount point that leads through a FUSE filesystem
//! which does not answer.
//!
//! What hangs cannot be killed. A [`Hang`] is declared after the agent, so that it ends before
//! anybody waits for that, and it ends with the tests' process, however that ends.

use crate::disk::Disk;
use crate::fuse::{FOLDER, Fuse};
use crate::guest::Guest;
use crate::jail::{JailedAgent, Spec};
use crate::{program, sys};
use std::fs::{self, File};
use std::io::{PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The mount points of a guest of [`HangingGuest::new`]. One that hangs has others before and after
/// it.
pub const PLACES: [&str; 4] = ["/mnt/a", "/mnt/hung", "/mnt/c", "/mnt/d"];
/// Which of them hangs.
pub const HUNG: usize = 1;
/// The mount point that hangs in a guest of [`HangingGuest::behind_fuse`], which has no
/// `PLACES[HUNG]`.
pub const BEHIND_FUSE: &str = "/mnt/f/inner";

/// What a freeze hangs in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The sync, as with a disk that does not answer. Whoever thaws, unmounts or freezes it hangs
    /// too.
    Sync,
    /// The wait for a writer that has begun. A thaw fails at once with EINVAL.
    Writer,
    /// Any look at the path, for a guest of [`HangingGuest::behind_fuse`].
    Path,
}

/// A guest and what can make the disk [`HUNG`] of it hang.
pub struct HangingGuest {
    pub guest: Guest,
    fuse: Option<Fuse>,
    lower: Option<Lower>,
}

impl HangingGuest {
    /// A guest with a disk on each of [`PLACES`].
    pub fn new() -> Self {
        let (lower, hung) = Lower::new();
        let mut disks = vec![Disk::ext4(), Disk::ext4(), Disk::ext4()];
        disks.insert(HUNG, hung);
        let guest = Guest::with_disks(&PLACES, disks, Spec::default());
        HangingGuest { guest, fuse: None, lower: Some(lower) }
    }

    /// The same, but that the disk [`HUNG`] is mounted on [`BEHIND_FUSE`].
    pub fn behind_fuse() -> Self {
        let guest = Guest::with_ext4(&PLACES);
        let (top, name) = BEHIND_FUSE.rsplit_once('/').expect("a folder");
        assert_eq!(name, FOLDER);
        let fuse = Fuse::mount(&guest.jail, top);
        guest.run(&["mount", "-o", "bind", PLACES[HUNG], BEHIND_FUSE]);
        // Lazily: the test has the mount point open.
        guest.run(&["umount", "-l", PLACES[HUNG]]);
        // Those that were mounted after it are so again.
        for place in &PLACES[HUNG + 1..] {
            guest.run(&["mount", "-o", "bind", place, "/tmp"]);
            guest.run(&["umount", "-l", place]);
            guest.run(&["mount", "-o", "bind", "/tmp", place]);
            guest.run(&["umount", "-l", "/tmp"]);
        }
        HangingGuest { guest, fuse: Some(fuse), lower: None }
    }

    /// From now on a freeze hangs. To be declared after the agent.
    pub fn hang(&self, kind: Kind) -> Hang {
        let keeper = &self.guest.jail.keepers[HUNG];
        match (kind, &self.lower, &self.fuse) {
            (Kind::Sync, Some(lower), _) => Hang(How::Sync(lower.freeze_below(keeper))),
            (Kind::Writer, _, _) => Hang(How::Writer(begin_to_write(keeper))),
            (Kind::Path, _, Some(fuse)) => {
                fuse.stop();
                Hang(How::Path(fuse.clone()))
            }
            _ => panic!("not in this guest: {kind:?}"),
        }
    }

    /// Waits until something in the guest hangs.
    pub fn await_hang(&self) {
        let mut since: Option<Instant> = None;
        crate::eventually("nothing hangs in the guest", || {
            if self.fuse.as_ref().is_some_and(Fuse::is_asked) {
                return true;
            }
            // Everybody is there for a moment who waits for a disk.
            let hangs = self.guest.processes().into_iter().any(|pid| state(pid) == Some('D'));
            since = if hangs { since.or(Some(Instant::now())) } else { None };
            since.is_some_and(|since| since.elapsed() > Duration::from_millis(100))
        });
    }

    /// How many of the disks are frozen, without the one that hangs: to ask it would hang too.
    pub fn frozen_beside(&self) -> usize {
        let keepers = self.guest.jail.keepers.iter().enumerate();
        keepers.filter(|(disk, keeper)| *disk != HUNG && sys::is_frozen(*keeper)).count()
    }

    /// Whether all disks but the one that hangs can be written to within `time`.
    pub fn others_writable(&self, time: Duration) -> bool {
        let keepers = self.guest.jail.keepers.iter().enumerate();
        writable(keepers.filter(|(disk, _)| *disk != HUNG).map(|(_, keeper)| keeper), time)
    }

    /// Whether all disks can be written to within `time`.
    pub fn all_writable(&self, time: Duration) -> bool {
        writable(self.guest.jail.keepers.iter(), time)
    }

    /// The processes in the guest beside its first and the agent.
    pub fn workers(&self, agent: &JailedAgent) -> Vec<u32> {
        self.guest.processes().into_iter().filter(|pid| *pid != agent.pid).collect()
    }
}

impl Default for HangingGuest {
    fn default() -> Self {
        HangingGuest::new()
    }
}

/// What holds a freeze up; no longer when it is dropped.
pub struct Hang(How);

enum How {
    Sync(FrozenBelow),
    Writer(Option<PipeWriter>),
    Path(Fuse),
}

impl Hang {
    /// Whoever hangs goes on.
    pub fn release(&mut self) {
        match &mut self.0 {
            How::Sync(below) => below.thaw(),
            How::Writer(pipe) => drop(pipe.take()),
            How::Path(fuse) => fuse.go_on(),
        }
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        self.release();
    }
}

/// A filesystem in no mount table, which holds the image of a disk.
struct Lower {
    root: File,
    _disk: Disk,
}

impl Lower {
    /// The filesystem, and the disk on it.
    fn new() -> (Lower, Disk) {
        let lower = Disk::ext4_below();
        let folder = tempfile::Builder::new().prefix("qga-lower-").tempdir().expect("a folder");
        sys::mount(&lower.device, folder.path(), lower.kind, 0).expect("a mount");
        let root = File::open(folder.path()).expect("the mounted folder");
        let upper = Disk::ext4_at(&folder.path().join(unique(&folder)));
        // It stays mounted while something of it is open, and no agent can see it.
        sys::unmount(folder.path(), libc::MNT_DETACH).expect("umount");
        (Lower { root, _disk: lower }, upper)
    }

    /// Leaves what is mounted from the disk with something to sync that it cannot write.
    fn freeze_below(&self, upper: &File) -> FrozenBelow {
        let root = self.root.try_clone().expect("a descriptor");
        // If the test is killed, no sync may hang for ever: then the pipe ends.
        let script =
            "trap '' HUP INT TERM; read _; exec \"$0\" fsfreeze --unfreeze /proc/self/fd/1";
        let busybox = program("busybox").expect("busybox");
        let mut watch = Command::new(&busybox);
        watch.args(["sh", "-c", script]).arg(&busybox).stdin(Stdio::piped()).stderr(Stdio::null());
        let handed = root.try_clone().expect("a descriptor");
        let watch = watch.stdout(handed).spawn().expect("busybox starts");
        fs::write(below(upper, "dirty"), vec![b'x'; 100_000]).expect("a file on the guest's disk");
        sys::freeze(&root).expect("FIFREEZE");
        FrozenBelow { root: Some(root), watch }
    }
}

/// A lower filesystem that is frozen.
struct FrozenBelow {
    root: Option<File>,
    watch: Child,
}

impl FrozenBelow {
    fn thaw(&mut self) {
        if let Some(root) = self.root.take() {
            sys::thaw(&root).expect("FITHAW");
            drop(self.watch.stdin.take());
            self.watch.wait().expect("wait");
        }
    }
}

/// A writer that has begun, as the freeze sees it, and waits for what it is to write: all that it
/// gets is the end.
fn begin_to_write(upper: &File) -> Option<PipeWriter> {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut options = File::options();
    let options = options.write(true).create(true).custom_flags(libc::O_CLOEXEC);
    let file = options.open(below(upper, "begun")).expect("a file on the guest's disk");
    let (say, begins) = mpsc::channel();
    std::thread::spawn(move || {
        // SAFETY: takes nothing, and cannot fail.
        say.send(unsafe { libc::gettid() } as u32).expect("the test waits");
        sys::splice(&reader, &file, 1)
    });
    let writer_thread = begins.recv().expect("a thread");
    // Nothing else that it does is waited for.
    crate::eventually("the writer does not begin", || {
        let wait = fs::read_to_string(format!("/proc/self/task/{writer_thread}/syscall"));
        wait.is_ok_and(|text| text.starts_with(&format!("{} ", libc::SYS_splice)))
    });
    Some(writer)
}

/// A file in an open folder, by a path that leads through no other folder.
fn below(folder: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}

fn unique(folder: &TempDir) -> String {
    let name = folder.path().file_name().expect("a name");
    format!("image-{}", name.to_str().expect("a name in UTF-8"))
}

/// Whether something can be written to each of the filesystems within `time`. What cannot waits on
/// in a thread.
fn writable<'f>(folders: impl Iterator<Item = &'f File>, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    let begun = folders.map(|folder| {
        let folder = folder.try_clone().expect("a descriptor");
        let (say, written) = mpsc::channel();
        std::thread::spawn(move || {
            let file = File::create(below(&folder, "written"));
            let _ = say.send(file.and_then(|mut file| file.write_all(b"x")));
        });
        written
    });
    let begun: Vec<_> = begun.collect();
    let mut all = true;
    for written in begun {
        let left = deadline.saturating_duration_since(Instant::now());
        match written.recv_timeout(left) {
            Ok(result) => result.expect("a write"),
            Err(_) => all = false,
        }
    }
    all
}

/// What a process does, as `ps` says it: `R`, `S`, `D`, `Z`; nothing when there is none.
pub fn state(pid: u32) -> Option<char> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything.
    text.rsplit(") ").next()?.chars().next()
}

/// Whether a process ends within `time`.
pub fn ends_within(pid: u32, time: Duration) -> bool {
    let deadline = Instant::now() + time;
    while !matches!(state(pid), None | Some('Z')) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}
