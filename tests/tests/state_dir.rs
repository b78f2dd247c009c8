//! The state directory in a guest with hostile users, root's own mistakes, a second agent, and memory that is full or
//! covered: nothing is followed, nothing hangs, what somebody else froze stays frozen, and a freeze finds a place for
//! its mark.

use qga_tests::agent::connect;
use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, THAWED, freeze, returns, status, thaw};
use qga_tests::jail::{AGENT_FOLDER, JailedAgent, Start};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A user who is not the agent.
const HOSTILE: u32 = 1000;
/// How long a start may take, whatever is in its way; the machine does other work.
const START_MAX: Duration = Duration::from_secs(1);
/// Everything that has the name of a mark.
const MARKS: [&str; 3] = [AGENT_FOLDER, "/run/qga", "/dev/.qga"];

/// A shell that becomes an agent without `-t` on the usual socket; the arguments after it are not the agent's.
const WITHOUT_T: [&str; 4] =
    ["/bin/busybox", "sh", "-c", "umask 0; exec /bin/qga -m unix-listen -p /run/a/s"];

/// What marks lie in a place.
fn marks(guest: &Guest, place: &str) -> Vec<PathBuf> {
    let Ok(folder) = fs::read_dir(guest.jail.path(place)) else { return Vec::new() };
    let paths = folder.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().contains("isfrozen")).collect()
}

/// A mark of this boot that says that an unfinished thaw has `disk`, the first of a guest, to free.
fn forged(guest: &Guest) -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a boot id");
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", guest.jail.init));
    let table = table.expect("a mount table");
    let line = table.lines().find(|line| line.contains(" /mnt/a ")).expect("a line");
    let number = line.split(' ').nth(2).expect("a number");
    format!("qga-frozen 2 {} t\nF {number} /mnt/a\0", boot.trim())
}

/// What a hostile user, or root by mistake, can put at a name.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Plant {
    Link,
    DanglingLink,
    Fifo,
    Folder,
    Foreign,
    Writable,
    HardLink,
}

const PLANTS: [Plant; 7] = [
    Plant::Link,
    Plant::DanglingLink,
    Plant::Fifo,
    Plant::Folder,
    Plant::Foreign,
    Plant::Writable,
    Plant::HardLink,
];

/// Puts it there; what it holds, if anything, is `text`. The canary is what it leads to.
fn plant(guest: &Guest, name: &str, plant: Plant, text: &str) {
    let path = guest.jail.path(name);
    let _ = fs::remove_file(&path);
    let _ = fs::remove_dir(&path);
    let canary = guest.jail.path("/run/canary");
    fs::write(&canary, text).expect("a canary");
    match plant {
        Plant::Link => symlink("/run/canary", &path).expect("a link"),
        Plant::DanglingLink => symlink("/etc/new", &path).expect("a link"),
        Plant::Fifo => guest.run(&["mkfifo", name]),
        Plant::Folder => fs::create_dir(&path).expect("a folder"),
        Plant::HardLink => guest.run(&["ln", "/run/canary", name]),
        Plant::Foreign | Plant::Writable => {
            fs::write(&path, text).expect("a file");
            match plant {
                Plant::Foreign => chown(&path, Some(HOSTILE), None).expect("chown"),
                _ => fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).expect("chmod"),
            }
        }
    }
}

fn starts(guest: &Guest, start: Start, what: &str) -> JailedAgent {
    let begun = Instant::now();
    let agent = guest.jail.agent(start);
    assert!(begun.elapsed() < START_MAX, "{what}: a start of {:?}", begun.elapsed());
    agent
}

/// The number that processes of the jail know it by.
fn inner_pid(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = text.lines().find(|line| line.starts_with("NSpid:")).expect("numbers");
    line.split_whitespace().last().expect("a number").to_owned()
}

/// Asks the jail's agent as another connection.
fn client(guest: &Guest) -> Connection {
    Connection::new(connect(&guest.jail.path(&format!("{AGENT_FOLDER}/s"))))
}

/// Each kind of thing at each name that the agent reads or writes: with what others froze, and a mark that says it is
/// the agent's to thaw.
#[test]
fn what_no_agent_wrote_is_ignored() {
    if Disk::impossible("state_dir::what_no_agent_wrote_is_ignored") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    guest.freeze_from_outside(0);
    let forged = forged(&guest);
    let names = ["qga.state", "qga.state.new", "qga.state.isfrozen", ".qga.state.isfrozen"];
    for (name, kind) in names.iter().flat_map(|name| PLANTS.map(|kind| (name, kind))) {
        let what = format!("{kind:?} at {name}");
        plant(&guest, &format!("{AGENT_FOLDER}/{name}"), kind, &forged);
        let agent = starts(&guest, Start::default(), &what);
        let mut client = agent.connect();
        assert_eq!(status(&mut client), THAWED, "{what}");
        assert_eq!(guest.frozen(), [true, false], "{what}");
        assert_eq!(freeze(&mut client), returns(1), "{what}");
        assert_eq!(guest.frozen(), [true, true], "{what}");
        assert_eq!(thaw(&mut client), returns(1), "{what}");
        assert_eq!(guest.frozen(), [true, false], "{what}");
        let open = r#"{"execute":"guest-file-open","arguments":{"path":"/dev/null"}}"#;
        let opened = client.ask(open);
        let saved = opened.contains("return");
        assert!(saved || kind == Plant::Folder && opened.contains("error"), "{what}: {opened}");
        drop(client);
        agent.signal(libc::SIGTERM);
        assert_eq!(agent.wait(), "exited 0", "{what}");
        let canary = guest.jail.text("/run/canary");
        assert_eq!(canary, forged, "{what}: the canary");
        assert!(!guest.jail.path("/etc/new").exists(), "{what}: made through a link");
        let _ = fs::remove_file(guest.jail.path(&format!("{AGENT_FOLDER}/{name}")));
        let _ = fs::remove_dir(guest.jail.path(&format!("{AGENT_FOLDER}/{name}")));
    }
    let said = guest.jail.stderr();
    assert!(said.contains("qga: state directory /run/a: ignored a state file or mark"), "{said}");
}

/// Asserts that the agent refuses to start, soon, and says this.
fn refuses(guest: &Guest, start: Start, words: &[&str]) {
    let (begun, before) = (Instant::now(), guest.jail.stderr().len());
    assert_eq!(guest.jail.spawn(start).wait(), "exited 1", "{words:?}");
    assert!(begun.elapsed() < START_MAX, "{words:?}: {:?}", begun.elapsed());
    let said = &guest.jail.stderr()[before..];
    assert!(words.iter().all(|word| said.contains(word)), "{said} does not say {words:?}");
}

#[test]
fn a_lock_that_is_no_file_is_an_error() {
    if Disk::impossible("state_dir::a_lock_that_is_no_file_is_an_error") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    for (kind, why) in [
        (Plant::Link, "Too many levels of symbolic links"),
        (Plant::DanglingLink, "Too many levels of symbolic links"),
        (Plant::Fifo, "qga.lock is no plain file: remove it"),
        (Plant::Folder, "Is a directory"),
        (Plant::Foreign, "belongs to another user"),
        (Plant::Writable, "others can write to it: chmod go-w"),
        (Plant::HardLink, "qga.lock is no plain file"),
    ] {
        plant(&guest, "/run/a/qga.lock", kind, "canary");
        refuses(&guest, Start::default(), &["state directory /run/a", why]);
        assert_eq!(guest.jail.text("/run/canary"), "canary");
        assert!(!guest.jail.path("/etc/new").exists(), "made through a link");
    }
}

/// `-t` is held to the same test as the usual directories.
#[test]
fn a_directory_of_others_is_refused() {
    if Disk::impossible("state_dir::a_directory_of_others_is_refused") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let path = |name: &str| guest.jail.path(name);
    for (name, mode, owner) in
        [("/run/open", 0o777, 0), ("/run/sticky", 0o1777, 0), ("/run/theirs", 0o700, HOSTILE)]
    {
        fs::create_dir(path(name)).expect("a folder");
        fs::set_permissions(path(name), PermissionsExt::from_mode(mode)).expect("chmod");
        chown(path(name), Some(owner), None).expect("chown");
        let why = if owner == 0 { "others can write to it" } else { "belongs to another user" };
        refuses(&guest, Start { arguments: &["-t", name], ..Start::default() }, &[name, why]);
        assert_eq!(fs::read_dir(path(name)).expect("a folder").count(), 0, "{name}");
    }
    // Root's own link is followed, another user's is not, also with a stroke behind it.
    fs::create_dir(path("/etc/victim")).expect("a folder");
    symlink("/etc/victim", path("/run/link")).expect("a link");
    guest.run(&["chown", "-h", "1000", "/run/link"]);
    for name in ["/run/link", "/run/link/", "/run/link//"] {
        let start = Start { arguments: &["-t", name], ..Start::default() };
        refuses(&guest, start, &[name, "another user's link"]);
    }
    assert_eq!(fs::read_dir(path("/etc/victim")).expect("a folder").count(), 0);
    let agent = guest.jail.agent(Start { arguments: &["-t", "/var/run"], ..Start::default() });
    assert_eq!(status(&mut agent.connect()), THAWED);
    assert!(path("/run/qga.lock").exists());
}

/// Where the first usual directory is not the agent's the second is taken, and it is said; without any it ends.
#[test]
fn the_usual_directories() {
    if Disk::impossible("state_dir::the_usual_directories") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let path = |name: &str| guest.jail.path(name);
    let start = || Start { before: &WITHOUT_T, ..Start::default() };
    let agent = guest.jail.agent(start());
    for place in ["/run/qga", "/dev/.qga"] {
        let mode = fs::metadata(path(place)).expect("made").permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{place}");
    }
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(MARKS.map(|place| marks(&guest, place).len()), [0, 1, 1]);
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(MARKS.map(|place| marks(&guest, place).len()), [0, 0, 0]);
    drop(client);
    agent.kill();
    fs::remove_dir_all(path("/run/qga")).expect("it goes");
    for hostile in ["mkdir /run/qga; chown 1000 /run/qga", "ln -s /etc /run/qga", "mkfifo /run/qga"]
    {
        guest.run(&["sh", "-c", hostile]);
        let before = guest.jail.stderr().len();
        let agent = starts(&guest, start(), hostile);
        let mut client = agent.connect();
        assert_eq!(freeze(&mut client), returns(1), "{hostile}");
        assert_eq!(MARKS.map(|place| marks(&guest, place).len()), [0, 0, 1], "{hostile}");
        assert_eq!(thaw(&mut client), returns(1), "{hostile}");
        drop(client);
        agent.kill();
        assert!(!path("/etc/qga.lock").exists(), "{hostile}");
        let said = &guest.jail.stderr()[before..];
        let expected = hostile.contains("chown");
        assert_eq!(said.contains("/run/qga: belongs to another user"), expected, "{said}");
        guest.run(&["rm", "-rf", "/run/qga"]);
    }
    // In a sticky directory nobody can take away what is the agent's; a tmpfs is one that is mounted without more words.
    guest.run(&["chmod", "1777", "/run"]);
    let agent = starts(&guest, start(), "a sticky /run");
    assert!(path("/run/qga/qga.lock").exists());
    agent.kill();
    // Who can write to the parent can rename what is in it.
    guest.run(&["chmod", "777", "/run"]);
    fs::remove_dir_all(path("/dev/.qga")).expect("it goes");
    fs::remove_dir_all(path("/run/qga")).expect("it goes");
    guest.run(&["ln", "-s", "/etc", "/dev/.qga"]);
    refuses(&guest, start(), &["state directory /run:", "others can write to it"]);
    assert!(!path("/etc/qga.lock").exists() && !path("/run/qga").exists());
}

/// What the reference agent left in /run is taken over, once; what anybody can have left there is not.
#[test]
fn the_files_of_the_reference_agent() {
    if Disk::impossible("state_dir::the_files_of_the_reference_agent") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let start = || Start { before: &WITHOUT_T, ..Start::default() };
    let (mark, state) =
        (guest.jail.path("/run/qga.state.isfrozen"), guest.jail.path("/run/qga.state"));
    guest.freeze_from_outside(0);
    for (mode, owner) in [(0o666, 0), (0o644, HOSTILE)] {
        for (path, text) in [(&mark, ""), (&state, "[global]\nfd_counter=3000\n")] {
            let _ = fs::remove_file(path);
            fs::write(path, text).expect("a file");
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("chmod");
            chown(path, Some(owner), None).expect("chown");
        }
        let agent = guest.jail.agent(start());
        assert_eq!(status(&mut agent.connect()), THAWED, "{mode:o} of {owner}");
        agent.kill();
    }
    for path in [&mark, &state] {
        fs::set_permissions(path, PermissionsExt::from_mode(0o644)).expect("chmod");
        chown(path, Some(0), None).expect("chown");
    }
    let agent = guest.jail.agent(start());
    let mut client = agent.connect();
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false]);
    assert!(!mark.exists(), "the reference's mark stays");
    let open = r#"{"execute":"guest-file-open","arguments":{"path":"/dev/null"}}"#;
    assert_eq!(client.ask(open), returns(3000));
    // From now on it is somebody else's.
    fs::write(&mark, "").expect("a mark");
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(thaw(&mut client), returns(1));
    assert!(mark.exists(), "a mark of another agent was removed");
}

/// A second agent on the same directory, whatever becomes of it, touches nothing.
#[test]
fn a_second_agent_touches_nothing() {
    if Disk::impossible("state_dir::a_second_agent_touches_nothing") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let first = guest.jail.agent(Start::default());
    assert_eq!(freeze(&mut first.connect()), returns(2));
    let marks = || MARKS.map(|place| marks(&guest, place).len());
    assert_eq!(marks(), [1, 1, 1]);
    let (socket, held) = ("/run/a/s2", inner_pid(first.pid));
    let words = ["state directory /run/a: in use by the agent with pid ", &held];
    let log = guest.jail.path("/run/log");
    fs::write(&log, "kept").expect("a log");
    let channels: [&[&str]; 4] = [
        &["-p", socket],
        &["-m", "isa-serial", "-p", "/dev/none"],
        &["-m", "virtio-serial", "-p", "/dev/none", "-r"],
        &["-p", "/run/a/s", "-l", "/run/log", "-v", "-t", "/run/a/../a/"],
    ];
    for (at, arguments) in channels.into_iter().enumerate() {
        let words: &[&str] = if at == 3 { &["in use by", &held] } else { &words };
        // The jail's own spawn takes the socket's path away; the agent that has it goes on.
        refuses(&guest, Start { arguments, ..Start::default() }, words);
        assert_eq!((guest.frozen(), marks()), (vec![true, true], [1, 1, 1]), "{arguments:?}");
        assert_eq!(fs::read_to_string(&log).expect("a log"), "kept", "{arguments:?}");
    }
    first.kill();
    // The lock ends with its holder, and only now does the next one take over.
    let next = guest.jail.agent(Start::default());
    assert_eq!(status(&mut next.connect()), FROZEN);
    assert_eq!(thaw(&mut next.connect()), returns(2));
    assert_eq!(guest.frozen(), [false, false]);
}

/// With directories of their own two agents know nothing of each other: neither takes over nor removes a mark.
#[test]
fn two_directories_are_two_agents() {
    if Disk::impossible("state_dir::two_directories_are_two_agents") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let first = guest.jail.agent(Start::default());
    let mut asking = first.connect();
    assert_eq!(freeze(&mut asking), returns(1));
    guest.run(&["mkdir", "/run/b"]);
    let arguments = ["-t", "/run/b"];
    let second = guest.jail.agent(Start { arguments: &arguments, ..Start::default() });
    assert_eq!(status(&mut second.connect()), THAWED);
    second.signal(libc::SIGTERM);
    assert_eq!(second.wait(), "exited 0");
    assert_eq!(guest.frozen(), [true]);
    assert_eq!(MARKS.map(|place| marks(&guest, place).len()), [1, 1, 1]);
    assert_eq!(thaw(&mut asking), returns(1));
    assert_eq!(guest.frozen(), [false]);
}

/// Process 1 of a container must not end: it waits for the agent that has its directory, and goes on after it.
#[test]
fn process_1_waits_for_the_other_agent() {
    if Disk::impossible("state_dir::process_1_waits_for_the_other_agent") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let first = guest.jail.agent(Start::default());
    assert_eq!(freeze(&mut first.connect()), returns(1));
    let before = ["/bin/busybox", "unshare", "-p", "-f"];
    let second = guest.jail.spawn(Start { before: &before, ..Start::default() });
    let deadline = Instant::now() + Duration::from_secs(10);
    while !guest.jail.stderr().contains("in use by the agent with pid") {
        assert!(Instant::now() < deadline, "{}", guest.jail.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(guest.frozen(), [true]);
    assert!(!guest.jail.path("/run/a/s").exists());
    first.kill();
    assert_eq!(status(&mut client(&guest)), FROZEN);
    assert_eq!(thaw(&mut client(&guest)), returns(1));
    drop(second);
}

/// Fills a place to its last byte, or to its last file.
fn fill(guest: &Guest, place: &str, by_files: bool) {
    let script = match by_files {
        true => "n=0; while : >full$n; do n=$((n+1)); done",
        false => "dd if=/dev/zero of=full bs=1k",
    };
    let script = format!("cd {place}; {script}; :");
    guest.run(&["sh", "-c", &script]);
}

/// The state directory's tmpfs has no byte, or no file, left: the mark goes where there is room. Without any room the
/// freeze is refused and nothing is frozen.
#[test]
fn full_memory() {
    if Disk::impossible("state_dir::full_memory") {
        return;
    }
    for by_files in [false, true] {
        let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
        guest.run(&["mkdir", "-m", "700", "-p", "/run/qga", "/dev/.qga"]);
        for place in MARKS {
            let size = if by_files { "nr_inodes=6" } else { "size=16k" };
            guest.run(&["mount", "-t", "tmpfs", "-o", &format!("{size},mode=700"), "none", place]);
        }
        let agent = guest.jail.agent(Start::default());
        let mut client = agent.connect();
        for (full, place) in MARKS.iter().enumerate() {
            fill(&guest, place, by_files);
            if full == 2 {
                break;
            }
            let begun = std::fs::read_dir(guest.jail.path(place)).expect("a place").count();
            assert_eq!(freeze(&mut client), returns(2), "{place} is full, by files: {by_files}");
            let now = MARKS.map(|place| marks(&guest, place).len());
            assert_eq!(now, if full == 0 { [0, 1, 1] } else { [0, 0, 1] });
            assert_eq!(thaw(&mut client), returns(2));
            let left = std::fs::read_dir(guest.jail.path(place)).expect("a place").count();
            assert_eq!(left, begun, "something was left in {place}");
        }
        let reply = freeze(&mut client);
        assert!(reply.contains("frozen mark") && reply.contains("No space left"), "{reply}");
        assert_eq!(guest.frozen(), [false, false]);
        assert_eq!(status(&mut client), THAWED);
        guest.run(&["sh", "-c", "rm /dev/.qga/full*"]);
        assert_eq!(freeze(&mut client), returns(2));
        // The agent that comes after it finds the one mark that there is.
        drop(client);
        agent.kill();
        let agent = guest.jail.agent(Start::default());
        assert_eq!(status(&mut agent.connect()), FROZEN);
        assert_eq!(thaw(&mut agent.connect()), returns(2));
        assert_eq!(guest.frozen(), [false, false]);
    }
}

/// A tmpfs is mounted over a place while something is frozen: the agent that froze thaws, and the one after it finds the
/// mark in another place.
#[test]
fn covered_places() {
    if Disk::impossible("state_dir::covered_places") {
        return;
    }
    for (covered, without_t) in
        [("/run/a", false), ("/run/a", true), ("/run/qga", true), ("/run", true), ("/dev", true)]
    {
        for killed in [false, true] {
            let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
            let before: &[&str] = if without_t { &WITHOUT_T } else { &[] };
            let start = || Start { before, ..Start::default() };
            let agent = guest.jail.agent(start());
            let mut client = agent.connect();
            assert_eq!(freeze(&mut client), returns(2));
            guest.run(&["mount", "-t", "tmpfs", "-o", "mode=755", "none", covered]);
            let _ = fs::create_dir(guest.jail.path(AGENT_FOLDER));
            if killed {
                drop(client);
                agent.kill();
                let agent = guest.jail.agent(start());
                let mut client = agent.connect();
                assert_eq!(status(&mut client), FROZEN, "{covered} is covered");
                assert_eq!(guest.frozen(), [true, true], "{covered} is covered");
                assert_eq!(thaw(&mut client), returns(2), "{covered} is covered");
            } else {
                // Its lock in the other place keeps a second one away.
                let said = ["in use by the agent with pid ", &inner_pid(agent.pid)];
                refuses(&guest, start(), &said);
                assert_eq!(thaw(&mut client), returns(2), "{covered} is covered");
                guest.run(&["umount", "-l", covered]);
                assert_eq!(MARKS.map(|place| marks(&guest, place).len()), [0, 0, 0], "{covered}");
            }
            assert_eq!(guest.frozen(), [false, false], "{covered} is covered");
        }
    }
}

/// Second starts, ended by themselves, by SIGTERM and by SIGKILL at some moment, while the first holds a freeze, freezes
/// and thaws; some hundred of them, 10,000 with QGA_FIRE=full.
#[test]
fn second_starts_around_a_freeze() {
    let name = "state_dir::second_starts_around_a_freeze";
    if Disk::impossible(name) {
        return;
    }
    let all = std::env::var("QGA_FIRE").is_ok_and(|value| value == "full");
    let (rounds, starts) = if all { (100, 100) } else { (10, 60) };
    if !all {
        qga_tests::skip(
            &format!("{name}, all 10000"),
            "600 of them were made; QGA_FIRE=full makes all",
        );
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    // One round: each start is ended in one of four ways; the delays of the kills grow through a start's whole time.
    let script = "n=0; while [ $n -lt $1 ]; do n=$((n+1)); \
        case $((n%5)) in 0) set -- $1 -m isa-serial -p /dev/none;; 1) set -- $1 -p /run/a/s;; \
        2) set -- $1 -m virtio-serial -p /dev/none -r;; *) set -- $1 -p /run/a/s$n -v -l /run/log;; esac; \
        c=$1; shift; /bin/qga -m unix-listen \"$@\" -t /run/a 2>/run/said & p=$!; set -- $c; \
        case $((n%3)) in 1) usleep $((n*20)); kill -TERM $p 2>/dev/null;; 2) usleep $((n*20)); kill -KILL $p 2>/dev/null;; esac; \
        wait $p; e=$?; case $e in 1|137|143) ;; *) echo \"$n: exit $e\" >>/run/wrong;; esac; done; :";
    let mut agent = guest.jail.agent(Start::default());
    for round in 0..rounds {
        let mut client = agent.connect();
        if round % 4 != 3 {
            assert_eq!(freeze(&mut client), returns(2), "round {round}");
        }
        let expected = if round % 4 == 3 { [false, false] } else { [true, true] };
        let count = starts.to_string();
        guest.run(&["sh", "-c", script, "sh", &count]);
        assert_eq!(guest.jail.text("/run/wrong"), "", "round {round}");
        assert_eq!(guest.frozen(), expected, "round {round}");
        assert_eq!(status(&mut client), if expected[0] { FROZEN } else { THAWED });
        match round % 4 {
            3 => {}
            0 => assert_eq!(thaw(&mut client), returns(2), "round {round}"),
            1 => {
                // Killed, its freeze is the next one's.
                drop(client);
                agent.kill();
                agent = guest.jail.agent(Start::default());
                assert_eq!(guest.frozen(), [true, true], "round {round}");
                assert_eq!(thaw(&mut agent.connect()), returns(2), "round {round}");
            }
            _ => {
                drop(client);
                agent.signal(libc::SIGTERM);
                assert_eq!(agent.wait(), "exited 0", "round {round}");
                agent = guest.jail.agent(Start::default());
            }
        }
    }
    assert_eq!(guest.frozen(), [false, false]);
    println!("{} second starts in {rounds} rounds", rounds * starts);
}
