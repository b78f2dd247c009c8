//! Filesystems on loop devices whose files lie on filesystems that freeze too, in every mount
//! order: all freeze and thaw, and nobody waits for what is frozen below.

use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, THAWED, freeze, returns, status, thaw};
use qga_tests::jail::{JailedAgent, Mount, Spec, Start};
use qga_tests::{program, skip, sys};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a freeze or a thaw may take that waits for nothing.
const SOON: Duration = Duration::from_secs(5);
/// When the agent gives up: later than that.
const DEADLINE: [&str; 2] = ["--freeze-deadline", "15"];

/// One filesystem: what is mounted, and where.
#[derive(Clone)]
struct Level {
    node: PathBuf,
    at: &'static str,
}

/// Filesystems that lie on each other, from the lowest up.
struct Stack {
    levels: Vec<Level>,
    disks: Vec<Disk>,
    mapping: Option<String>,
}

impl Stack {
    fn new() -> Self {
        let disk = Disk::ext4_below();
        let levels = vec![Level { node: disk.device.clone(), at: "/mnt/bottom" }];
        Stack { levels, disks: vec![disk], mapping: None }
    }

    /// Has something make a disk of a file on the uppermost filesystem.
    fn add(&mut self, at: &'static str, make: impl FnOnce(&Path) -> (Disk, PathBuf)) {
        let below = self.levels.last().expect("a filesystem below").node.clone();
        let folder = tempfile::Builder::new().prefix("qga-stack-").tempdir().expect("a folder");
        sys::mount(&below, folder.path(), "ext4", 0).expect("a mount");
        let name = folder.path().file_name().expect("a name");
        let (disk, node) = make(&folder.path().join(name));
        // It stays mounted while the loop device has its file, and no agent can see it.
        sys::unmount(folder.path(), libc::MNT_DETACH).expect("umount");
        self.disks.push(disk);
        self.levels.push(Level { node, at });
    }

    fn with_loop(mut self, at: &'static str) -> Self {
        self.add(at, |image| {
            let disk = Disk::ext4_at(image);
            let node = disk.device.clone();
            (disk, node)
        });
        self
    }

    fn with_partition(mut self, at: &'static str) -> Self {
        self.add(at, Disk::ext4_partition_at);
        self
    }

    /// The uppermost filesystem is reached through device mapper.
    fn mapped(mut self) -> Self {
        let top = self.levels.last_mut().expect("a filesystem");
        let name = format!("qga-{}", std::process::id());
        let sectors = 16 << 11;
        let table = format!("0 {sectors} linear {} 0", top.node.display());
        dmsetup(&["create", &name, "--table", &table]);
        top.node = Path::new("/dev/mapper").join(&name);
        self.mapping = Some(name);
        self
    }
}

fn dmsetup(words: &[&str]) {
    let output = Command::new(program("dmsetup").expect("dmsetup")).args(words).output();
    let output = output.expect("dmsetup runs");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(name) = &self.mapping {
            dmsetup(&["remove", "--retry", name]);
        }
        // What lies on top first: it holds what is below.
        while let Some(disk) = self.disks.pop() {
            drop(disk);
        }
    }
}

/// A guest with such filesystems.
struct Rig {
    guest: Guest,
    /// Which of its mounts are the levels, from the lowest up.
    from_below: Vec<usize>,
    _stack: Stack,
}

impl Rig {
    /// The levels are mounted in this order. What the agent learns from are /sys and the nodes of
    /// the devices.
    fn new(stack: Stack, order: &[usize]) -> Self {
        let rig = Rig::bare(stack, order, true);
        for disk in &rig._stack.disks {
            let device = fs::metadata(&disk.device).expect("a device");
            assert!(device.file_type().is_block_device());
            let (major, minor) = (libc::major(device.rdev()), libc::minor(device.rdev()));
            let (major, minor) = (major.to_string(), minor.to_string());
            let node = disk.device.to_str().expect("a path in UTF-8");
            rig.guest.run(&["mknod", node, "b", &major, &minor]);
        }
        rig
    }

    fn bare(stack: Stack, order: &[usize], with_sysfs: bool) -> Self {
        let mount = |level: &usize| {
            let Level { node, at } = stack.levels[*level].clone();
            Mount { from: node, at: at.into(), kind: "ext4".to_owned() }
        };
        let mut mounts: Vec<_> = order.iter().map(mount).collect();
        if with_sysfs {
            let kind = "sysfs".to_owned();
            mounts.push(Mount { from: "none".into(), at: "/sys".into(), kind });
        }
        let guest = Guest::with_disks(&[], Vec::new(), Spec { mounts, ..Spec::default() });
        let place = |level| order.iter().position(|at| *at == level).expect("it is mounted");
        let from_below = (0..order.len()).map(place).collect();
        Rig { guest, from_below, _stack: stack }
    }

    fn agent(&self) -> JailedAgent {
        self.guest.jail.agent(Start { arguments: &DEADLINE, ..Start::default() })
    }

    /// Leaves something to be written back.
    fn dirty(&self) {
        for level in &self._stack.levels {
            let file = self.guest.jail.path(&format!("{}/dirty", level.at));
            fs::write(file, vec![b'x'; 300_000]).expect("a file on the guest's disk");
        }
    }

    /// Whether each is frozen, all or none of them.
    fn frozen(&self) -> Vec<bool> {
        let keepers = self.from_below.iter().map(|place| &self.guest.jail.keepers[*place]);
        keepers.map(sys::is_frozen).collect()
    }

    fn freeze_all(&self, agent: &JailedAgent) {
        self.dirty();
        let begun = Instant::now();
        assert_eq!(freeze(&mut agent.connect()), returns(self.from_below.len() as i64));
        assert!(begun.elapsed() < SOON, "it takes {:?}", begun.elapsed());
        assert_eq!(status(&mut agent.connect()), FROZEN);
        assert!(self.frozen().iter().all(|frozen| *frozen));
    }

    fn thaw_all(&self, agent: &JailedAgent) {
        let begun = Instant::now();
        assert_eq!(thaw(&mut agent.connect()), returns(self.from_below.len() as i64));
        assert!(begun.elapsed() < SOON, "it takes {:?}", begun.elapsed());
        assert_eq!(status(&mut agent.connect()), THAWED);
        assert!(self.frozen().iter().all(|frozen| !frozen));
        self.dirty();
    }
}

impl Drop for Rig {
    /// A jail thaws in mount order, which may be the wrong one.
    fn drop(&mut self) {
        for place in &self.from_below {
            while sys::thaw(&self.guest.jail.keepers[*place]).is_ok() {}
        }
    }
}

/// All orders of so many.
fn orders(count: usize) -> Vec<Vec<usize>> {
    (0..count).fold(vec![Vec::new()], |orders, next| {
        let longer = |order: &Vec<usize>| {
            let order = order.clone();
            (0..=order.len()).map(move |at| [&order[..at], &[next], &order[at..]].concat())
        };
        orders.iter().flat_map(longer).collect()
    })
}

#[test]
fn a_loop_file_on_what_freezes_too_in_both_mount_orders() {
    if Disk::impossible("freeze_stacks::a_loop_file_on_what_freezes_too_in_both_mount_orders") {
        return;
    }
    for order in orders(2) {
        let rig = Rig::new(Stack::new().with_loop("/mnt/top"), &order);
        let agent = rig.agent();
        for _ in 0..2 {
            rig.freeze_all(&agent);
            rig.thaw_all(&agent);
        }
    }
}

#[test]
fn three_levels_and_a_partition_in_every_mount_order() {
    let name = "freeze_stacks::three_levels_and_a_partition_in_every_mount_order";
    if Disk::impossible(name) {
        return;
    }
    if program("addpart").is_none() {
        return skip(name, "needs addpart (package util-linux)");
    }
    for order in orders(3) {
        let stack = Stack::new().with_loop("/mnt/middle").with_partition("/mnt/top");
        let rig = Rig::new(stack, &order);
        let agent = rig.agent();
        rig.freeze_all(&agent);
        rig.thaw_all(&agent);
        // Whoever comes after it knows the order from the mark.
        rig.freeze_all(&agent);
        agent.kill();
        let next = rig.agent();
        assert_eq!(status(&mut next.connect()), FROZEN);
        rig.thaw_all(&next);
    }
}

#[test]
fn device_mapper_over_a_loop_file_in_both_mount_orders() {
    let name = "freeze_stacks::device_mapper_over_a_loop_file_in_both_mount_orders";
    if Disk::impossible(name) {
        return;
    }
    let devices = fs::read_to_string("/proc/devices").unwrap_or_default();
    if program("dmsetup").is_none() || !devices.contains(" device-mapper\n") {
        return skip(name, "needs dmsetup and a kernel with device mapper");
    }
    for order in orders(2) {
        let rig = Rig::new(Stack::new().with_loop("/mnt/top").mapped(), &order);
        let agent = rig.agent();
        rig.freeze_all(&agent);
        rig.thaw_all(&agent);
    }
}

/// A guest without nodes and /sys: the freeze of what lies on top hangs, and is given up.
#[test]
fn where_it_cannot_be_learned_the_deadline_holds() {
    if Disk::impossible("freeze_stacks::where_it_cannot_be_learned_the_deadline_holds") {
        return;
    }
    // What lies on top was mounted first, so it freezes last.
    let rig = Rig::bare(Stack::new().with_loop("/mnt/top"), &[1, 0], false);
    rig.dirty();
    let arguments = ["--freeze-deadline", "1"];
    let agent = rig.guest.jail.agent(Start { arguments: &arguments, ..Start::default() });
    let reply = freeze(&mut agent.connect());
    assert!(reply.contains("failed to freeze /mnt/top: Connection timed out"), "{reply}");
    qga_tests::guest::await_status(&mut agent.connect(), THAWED);
    qga_tests::eventually("something stays frozen", || rig.frozen() == [false, false]);
}
