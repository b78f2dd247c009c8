//! Freeze and thaw of real filesystems on loop devices, in a jail that shows nothing else: counts,
//! writers, what others froze, marks, and an agent that ends while they are frozen.

use qga_tests::connection::Connection;
use qga_tests::conversations;
use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, THAWED, freeze, returns, status, thaw};
use qga_tests::jail::{AGENT_FOLDER, Mount, Spec, Start};
use qga_tests::play::{Cut, play_in_jail};
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A writer that syncs after each write, counting; it stops when dropped.
struct Writer {
    count: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    fn start(path: PathBuf) -> Self {
        let writer = Writer { count: Arc::default(), stop: Arc::default() };
        let (count, stop) = (Arc::clone(&writer.count), Arc::clone(&writer.stop));
        std::thread::spawn(move || {
            let mut file = File::create(path).expect("a file on the guest's disk");
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"x").and_then(|()| file.sync_data()).expect("a write");
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        writer
    }

    /// Whether anything is written within `time`.
    fn advances_within(&self, time: Duration) -> bool {
        let before = self.count.load(Ordering::Relaxed);
        let deadline = Instant::now() + time;
        while Instant::now() < deadline {
            if self.count.load(Ordering::Relaxed) > before + 1 {
                return true;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        false
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn conversations_on_disks() {
    if Disk::impossible("freeze::conversations_on_disks") {
        return;
    }
    let all = conversations::load_file("jail").into_iter();
    let held: Vec<_> = all.filter(|talk| !talk.name.starts_with("shutdown")).collect();
    assert!(held.len() >= 5);
    let mut failures = Vec::new();
    for cut in [Cut::Whole, Cut::EveryByte] {
        failures.extend(held.iter().filter_map(|talk| play_in_jail(talk, cut).err()));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn writer_waits_and_goes_on() {
    if Disk::impossible("freeze::writer_waits_and_goes_on") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    let writers = ["/mnt/a/f", "/mnt/b/f"].map(|path| Writer::start(guest.jail.path(path)));
    let moving = Duration::from_secs(10);
    assert!(writers.iter().all(|writer| writer.advances_within(moving)));
    assert_eq!(freeze(&mut client), returns(2));
    assert_eq!(guest.frozen(), [true, true]);
    std::thread::sleep(Duration::from_millis(20));
    for writer in &writers {
        assert!(!writer.advances_within(Duration::from_millis(300)), "a write got through");
    }
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(2));
    assert!(writers.iter().all(|writer| writer.advances_within(moving)), "a writer is stuck");
    assert_eq!(guest.frozen(), [false, false]);
}

#[test]
fn xfs_freezes_too() {
    let name = "freeze::xfs_freezes_too";
    if Disk::impossible(name) || Disk::lacks("xfs", "xfsprogs", name) {
        return;
    }
    let disks = vec![Disk::xfs(), Disk::ext4()];
    let guest = Guest::with_disks(&["/mnt/a", "/mnt/b"], disks, Spec::default());
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(2));
    assert_eq!(guest.frozen(), [true, true]);
    assert_eq!(thaw(&mut client), returns(2));
    assert_eq!(guest.frozen(), [false, false]);
}

#[test]
fn bind_mounts_and_covered_mounts_count_once() {
    if Disk::impossible("freeze::bind_mounts_and_covered_mounts_count_once") {
        return;
    }
    let bind = |at: &str| Mount { from: "/mnt/a".into(), at: at.into(), kind: "bind".to_owned() };
    let tmpfs = Mount { from: "none".into(), at: "/mnt/c".into(), kind: "tmpfs".to_owned() };
    let mounts = vec![bind("/mnt/bound"), bind("/mnt/again"), tmpfs];
    let guest = Guest::with_spec(&["/mnt/a"], Spec { mounts, ..Spec::default() });
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false]);

    let covered = Guest::with_ext4(&["/mnt/a", "/mnt/a"]);
    let agent = covered.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(thaw(&mut client), returns(1));
    assert!(covered.frozen().iter().all(|frozen| !frozen));
}

#[test]
fn odd_mount_points() {
    if Disk::impossible("freeze::odd_mount_points") {
        return;
    }
    let long = format!("/mnt/{}", "n".repeat(250));
    let guest = Guest::with_ext4(&["/mnt/a b", "/mnt/tab\tnewline\n", "/mnt/back\\slash", &long]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(4));
    drop(client);
    // The mark must find each of them again.
    agent.kill();
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(guest.frozen(), [true; 4]);
    assert_eq!(thaw(&mut client), returns(4));
    assert_eq!(guest.frozen(), [false; 4]);
}

#[test]
fn a_freeze_and_its_thaw_leave_no_descriptor_and_no_process_behind() {
    let name = "freeze::a_freeze_and_its_thaw_leave_no_descriptor_and_no_process_behind";
    if Disk::impossible(name) {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(status(&mut client), THAWED);
    let open = || fs::read_dir(format!("/proc/{}/fd", agent.pid)).expect("its files").count();
    let before = open();
    for _ in 0..3 {
        assert_eq!(freeze(&mut client), returns(2));
        assert_eq!(open(), before + 2, "one for each filesystem");
        assert_eq!(thaw(&mut client), returns(2));
        assert_eq!(open(), before);
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while guest.processes() != [agent.pid] {
        assert!(Instant::now() < deadline, "left behind: {:?}", guest.processes());
    }
}

#[test]
fn what_others_froze_stays_frozen() {
    if Disk::impossible("freeze::what_others_froze_stays_frozen") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    guest.freeze_from_outside(0);
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [true, false]);
    // Not after a crash either.
    assert_eq!(freeze(&mut client), returns(1));
    drop(client);
    agent.kill();
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [true, false]);
    assert_eq!(status(&mut client), THAWED);
    // With nothing recorded, an operator's thaw gets the guest going whoever froze it.
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false, false]);
    assert_eq!(thaw(&mut client), returns(0));
}

#[test]
fn everything_frozen_by_others_is_no_freeze_of_ours() {
    if Disk::impossible("freeze::everything_frozen_by_others_is_no_freeze_of_ours") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    guest.freeze_from_outside(0);
    assert_eq!(freeze(&mut client), returns(0));
    assert_eq!(status(&mut client), THAWED);
    assert_eq!(guest.frozen(), [true]);
}

#[test]
fn killed_while_frozen() {
    if Disk::impossible("freeze::killed_while_frozen") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let writer = Writer::start(guest.jail.path("/mnt/b/f"));
    let agent = guest.jail.agent(Start::default());
    let mark = format!("{AGENT_FOLDER}/qga.state.isfrozen");
    assert!(!guest.jail.path(&mark).exists());
    assert_eq!(freeze(&mut agent.connect()), returns(2));
    assert!(guest.jail.path(&mark).exists());
    agent.kill();
    assert_eq!(guest.frozen(), [true, true]);
    let agent = guest.jail.agent(Start::default());
    assert_eq!(status(&mut agent.connect()), FROZEN);
    assert_eq!(guest.frozen(), [true, true]);
    let again = freeze(&mut agent.connect());
    assert!(again.contains("the agent is in frozen state"), "{again}");
    assert_eq!(thaw(&mut agent.connect()), returns(2));
    assert_eq!(guest.frozen(), [false, false]);
    assert!(!guest.jail.path(&mark).exists());
    assert!(writer.advances_within(Duration::from_secs(10)), "the writer is stuck");
}

#[test]
fn end_signals_thaw_first() {
    if Disk::impossible("freeze::end_signals_thaw_first") {
        return;
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGPWR] {
        let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
        let agent = guest.jail.agent(Start::default());
        let mut client = agent.connect();
        assert_eq!(freeze(&mut client), returns(2));
        agent.signal(signal);
        assert_eq!(agent.wait(), "exited 0");
        assert_eq!(guest.frozen(), [false, false]);
        assert!(!guest.jail.path(&format!("{AGENT_FOLDER}/qga.state.isfrozen")).exists());
    }
}

#[test]
fn the_log_may_lie_on_a_frozen_filesystem() {
    if Disk::impossible("freeze::the_log_may_lie_on_a_frozen_filesystem") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let arguments = ["-v", "-l", "/mnt/a/log"];
    let agent = guest.jail.agent(Start { arguments: &arguments, ..Start::default() });
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    for _ in 0..50 {
        assert_eq!(client.ask(r#"{"execute":"guest-ping"}"#), r#"{"return": {}}"#);
        assert_eq!(status(&mut client), FROZEN);
    }
    assert_eq!(thaw(&mut client), returns(1));
    assert!(!guest.jail.text("/mnt/a/log").is_empty());
}

#[test]
fn frozen_survives_a_reconnect() {
    if Disk::impossible("freeze::frozen_survives_a_reconnect") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    let hang_up_early = |agent: &qga_tests::jail::JailedAgent| {
        let mut client: Connection = agent.connect();
        client.send(r#"{"execute":"guest-fsfreeze-freeze"}"#);
    };
    hang_up_early(&agent);
    assert_eq!(status(&mut agent.connect()), FROZEN);
    // The freeze goes on without whoever asked for it, until the mark says that all is frozen.
    let mark = guest.jail.path(&format!("{AGENT_FOLDER}/qga.state.isfrozen"));
    let ended = || fs::read(&mark).is_ok_and(|mark| mark.get(50) == Some(&b'F'));
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ended() {
        assert!(Instant::now() < deadline, "the freeze did not go on");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(guest.frozen(), [true]);
    assert_eq!(thaw(&mut agent.connect()), returns(1));
    assert_eq!(guest.frozen(), [false]);
}

/// An empty mark is what the reference agent leaves behind: frozen, but it does not say what.
#[test]
fn the_mark_of_the_reference_agent() {
    if Disk::impossible("freeze::the_mark_of_the_reference_agent") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let mark = guest.jail.path(&format!("{AGENT_FOLDER}/qga.state.isfrozen"));
    guest.freeze_from_outside(0);
    fs::write(&mark, "").unwrap();
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false, false]);
    assert_eq!(status(&mut client), THAWED);
    assert!(!mark.exists());
}
