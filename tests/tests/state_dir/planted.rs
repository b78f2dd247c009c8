//! What a hostile user, or root by mistake, can put where the agent looks: nothing is followed,
//! nothing hangs, and what somebody else froze stays frozen.

use crate::{MARKS, WITHOUT_T, marks, refuses, starts};
use qga_tests::disk::Disk;
use qga_tests::guest::{FROZEN, Guest, THAWED, freeze, returns, status, thaw};
use qga_tests::jail::{AGENT_FOLDER, Start};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

/// A user who is not the agent.
const HOSTILE: u32 = 1000;

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

/// Each kind of thing at each name that the agent reads or writes: with what others froze, and a
/// mark that says it is the agent's to thaw.
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
        (Plant::Writable, "others can write to it: name another with -t"),
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
    // Root's own link is followed, another user's is not, also with a stroke after it.
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

/// Where the first usual directory is not the agent's the second is taken, and it is said; without
/// any it ends.
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
    // In a sticky directory nobody can take away what is the agent's; a tmpfs is one that is
    // mounted without more words.
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

/// What the reference agent left in /run is taken over, once; what anybody can have left there is
/// not.
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
