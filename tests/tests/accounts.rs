//! Keys and passwords in a guest of their own, with the real kernel: whose the files are, what is
//! kept of them, that no link leads out of a home, and that the file is the old or the new one
//! wherever the agent's copy is killed.

use qga_tests::disk::Disk;
use qga_tests::guest::{Guest, untraceable};
use qga_tests::jail::{JailedAgent, Start};
use rustix::fs::XattrFlags;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;

const SHADOW: &str =
    "root:*:19000:0:99999:7:::\nu1:!:19000:0:99999:7:::\nu2:!:19000:0:99999:7:::\n";
const KEYS: &str = "/mnt/a/u1/.ssh/authorized_keys";

/// A guest with two users whose homes lie on a disk.
fn guest() -> Guest {
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let etc = guest.jail.path("/etc");
    fs::create_dir_all(&etc).expect("/etc");
    let users = "root:x:0:0::/root:/bin/sh\nu1:x:1001:1001::/mnt/a/u1:/bin/sh\n\
                 u2:x:1002:1002::/mnt/a/u2:/bin/sh\nnohome:x:1003:1003::/home/none:/bin/sh\n";
    fs::write(etc.join("passwd"), users).expect("passwd");
    fs::write(etc.join("group"), "root:x:0:\nu1:x:1001:\nu2:x:1002:\nboth:x:50:u1,u2\n")
        .expect("group");
    fs::write(etc.join("shadow"), SHADOW).expect("shadow");
    fs::set_permissions(etc.join("shadow"), Permissions::from_mode(0o640)).expect("a mode");
    for (home, user) in [("/mnt/a/u1", 1001), ("/mnt/a/u2", 1002)] {
        let home = guest.jail.path(home);
        fs::create_dir_all(&home).expect("a home");
        chown(&home, Some(user), Some(user)).expect("an owner");
    }
    guest
}

fn ask(agent: &JailedAgent, command: &str, arguments: Value) -> Value {
    let request = json!({"execute": command, "arguments": arguments}).to_string();
    serde_json::from_str(&agent.connect().ask(&request)).expect("JSON")
}

fn add(user: &str, keys: &[&str]) -> Value {
    json!({"username": user, "keys": keys})
}

const ADD: &str = "guest-ssh-add-authorized-keys";
const REMOVE: &str = "guest-ssh-remove-authorized-keys";
const GET: &str = "guest-ssh-get-authorized-keys";

/// Mode, owner and group.
fn node(path: &PathBuf) -> (u32, u32, u32) {
    let node = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    (node.mode() & 0o7777, node.uid(), node.gid())
}

/// The recorded steps of the reference, with its two differences: the order of the file, and a
/// newline at its end.
#[test]
fn keys_of_the_reference() {
    if Disk::impossible("accounts::keys_of_the_reference") {
        return;
    }
    let guest = guest();
    let agent = guest.jail.agent(Start::default());
    let done = json!({"return": {}});
    let keys = guest.jail.path(KEYS);
    let said = ask(&agent, GET, json!({"username": "u1"}));
    let missing = format!("failed to read '{KEYS}': No such file or directory");
    assert_eq!(said["error"]["desc"], missing);
    assert_eq!(ask(&agent, ADD, add("u1", &["ssh-ed25519 AAAA1 a@b"])), done);
    assert_eq!(node(&guest.jail.path("/mnt/a/u1/.ssh")), (0o700, 1001, 1001));
    assert_eq!(node(&keys), (0o600, 1001, 1001));
    let more = ["ssh-ed25519 AAAA1 a@b", "ssh-rsa AAAA2 c@d", "ssh-rsa AAAA2 c@d"];
    assert_eq!(ask(&agent, ADD, add("u1", &more)), done);
    let listed = ask(&agent, GET, json!({"username": "u1"}));
    assert_eq!(listed["return"]["keys"], json!(["ssh-ed25519 AAAA1 a@b", "ssh-rsa AAAA2 c@d"]));
    fs::write(&keys, "# c\n\n  k1 spaced  \nk2\nk2\n").expect("keys");
    let listed = ask(&agent, GET, json!({"username": "u1"}));
    assert_eq!(listed["return"]["keys"], json!(["k1 spaced", "k2", "k2"]));
    assert_eq!(ask(&agent, ADD, add("u1", &["k3"])), done);
    assert_eq!(ask(&agent, REMOVE, add("u1", &["k2"])), done);
    assert_eq!(fs::read_to_string(&keys).expect("keys"), "# c\n\n  k1 spaced  \nk3\n");
    assert_eq!(ask(&agent, ADD, add("u2", &[])), done);
    assert_eq!(ask(&agent, ADD, add("u2", &["not a key"])), done);
    let said = ask(&agent, ADD, add("nohome", &["x y"]));
    let none = "failed to create directory '/home/none/.ssh': No such file or directory";
    assert_eq!(said["error"]["desc"], none);
}

#[test]
fn what_a_user_has_planted_leads_nowhere() {
    if Disk::impossible("accounts::what_a_user_has_planted_leads_nowhere") {
        return;
    }
    let guest = guest();
    let agent = guest.jail.agent(Start::default());
    let home = guest.jail.path("/mnt/a/u1");
    fs::create_dir_all(guest.jail.path("/root/.ssh")).expect("a folder of root's");
    fs::write(guest.jail.path("/root/.ssh/authorized_keys"), "root's\n").expect("root's keys");
    for plant in 0..4 {
        let _ = fs::remove_dir_all(home.join(".ssh"));
        let _ = fs::remove_file(home.join(".ssh"));
        let expected = match plant {
            0 => {
                symlink("/root/.ssh", home.join(".ssh")).expect("a link");
                "Too many levels of symbolic links"
            }
            1 => {
                fs::create_dir(home.join(".ssh")).expect("a folder");
                chown(home.join(".ssh"), Some(1001), Some(1001)).expect("an owner");
                symlink("/root/.ssh/authorized_keys", home.join(".ssh/authorized_keys"))
                    .expect("a link");
                "Too many levels of symbolic links"
            }
            2 => {
                // A folder of somebody else's: root could, the user cannot.
                fs::create_dir(home.join(".ssh")).expect("a folder");
                "Permission denied"
            }
            _ => {
                guest.run(&["mkdir", "/mnt/a/u1/.ssh"]);
                guest.run(&["chown", "1001:1001", "/mnt/a/u1/.ssh"]);
                guest.run(&["mkfifo", "/mnt/a/u1/.ssh/authorized_keys"]);
                guest.run(&["chown", "1001:1001", "/mnt/a/u1/.ssh/authorized_keys"]);
                "Invalid argument"
            }
        };
        let said = ask(&agent, ADD, add("u1", &["k"]));
        let text = said["error"]["desc"].as_str().unwrap_or_else(|| panic!("{plant}: {said}"));
        assert!(text.ends_with(expected), "{plant}: {text}");
        let root = guest.jail.text("/root/.ssh/authorized_keys");
        assert_eq!(root, "root's\n", "{plant}");
        assert_eq!(fs::read_dir(guest.jail.path("/root/.ssh")).expect("a folder").count(), 1);
    }
}

#[test]
fn another_filesystem_in_a_home_is_not_entered() {
    if Disk::impossible("accounts::another_filesystem_in_a_home_is_not_entered") {
        return;
    }
    let guest = guest();
    let agent = guest.jail.agent(Start::default());
    guest.run(&["mkdir", "/mnt/a/u1/.ssh"]);
    guest.run(&["mount", "-t", "tmpfs", "none", "/mnt/a/u1/.ssh"]);
    guest.run(&["chown", "1001:1001", "/mnt/a/u1/.ssh"]);
    let said = ask(&agent, ADD, add("u1", &["k"]));
    let text = said["error"]["desc"].as_str().unwrap_or_else(|| panic!("{said}"));
    assert!(text.ends_with("Invalid cross-device link"), "{text}");
}

fn password(hash: &str) -> Value {
    json!({"username": "u1", "password": hash, "crypted": true})
}

/// Of `$6$x`.
const HASH: &str = "JDYkeA==";

#[test]
fn a_shadow_keeps_its_mode_its_owner_and_its_attributes() {
    if Disk::impossible("accounts::a_shadow_keeps_its_mode_its_owner_and_its_attributes") {
        return;
    }
    let guest = guest();
    let shadow = guest.jail.path("/etc/shadow");
    chown(&shadow, Some(0), Some(42)).expect("a group");
    let has_attributes =
        rustix::fs::setxattr(&shadow, "trusted.qga", b"kept", XattrFlags::empty()).is_ok();
    let agent = guest.jail.agent(Start::default());
    assert_eq!(ask(&agent, "guest-set-user-password", password(HASH)), json!({"return": {}}));
    let text = fs::read_to_string(&shadow).expect("a file");
    let day =
        text.lines().nth(1).and_then(|line| line.split(':').nth(2)).expect("a day").to_owned();
    let expected = SHADOW.replace("u1:!:19000:", &format!("u1:$6$x:{day}:"));
    assert_eq!(text, expected);
    assert!(day.parse::<u32>().is_ok_and(|day| day > 20_000), "{day}");
    assert_eq!(node(&shadow), (0o640, 0, 42));
    if has_attributes {
        let mut value = [0; 16];
        let len = rustix::fs::getxattr(&shadow, "trusted.qga", &mut value).expect("an attribute");
        assert_eq!(&value[..len], b"kept");
    }
    let left = fs::read_dir(guest.jail.path("/etc")).expect("a folder");
    let left: Vec<_> =
        left.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let odd: Vec<_> =
        left.iter().filter(|name| name.starts_with("shadow") && *name != "shadow").collect();
    assert!(odd.is_empty(), "{left:?}");
}

#[test]
fn a_full_disk_and_a_read_only_root_change_nothing() {
    if Disk::impossible("accounts::a_full_disk_and_a_read_only_root_change_nothing") {
        return;
    }
    let guest = guest();
    let agent = guest.jail.agent(Start::default());
    ask(&agent, ADD, add("u1", &["k1"]));
    guest.run(&["sh", "-c", "cat /dev/zero >/mnt/a/fill 2>/dev/null; true"]);
    let long = "k".repeat(8192);
    let said = ask(&agent, ADD, add("u1", &[&long]));
    let text = said["error"]["desc"].as_str().unwrap_or_else(|| panic!("{said}"));
    assert!(text.ends_with("No space left on device"), "{text}");
    assert_eq!(guest.jail.text(KEYS), "k1\n");
    assert!(!guest.jail.path(&format!("{KEYS}.qga")).exists(), "a draft is left");
    guest.run(&["rm", "/mnt/a/fill"]);
    guest.run(&["mount", "-o", "remount,ro", "/mnt/a"]);
    let said = ask(&agent, ADD, add("u1", &["k2"]));
    let text = said["error"]["desc"].as_str().unwrap_or_else(|| panic!("{said}"));
    assert!(text.ends_with("Read-only file system"), "{text}");
}

/// What comes back, if anything does.
fn answer(agent: &JailedAgent, command: &str, arguments: &Value) -> String {
    let request = json!({"execute": command, "arguments": arguments}).to_string();
    let mut client = agent.connect();
    client.send(&request);
    let mut text = String::new();
    let _ = BufReader::new(&client.stream).read_line(&mut text);
    text
}

/// The copy is killed at its first call of each kind, its second, and so on.
#[test]
fn killed_at_any_call_the_file_is_the_old_or_the_new_one() {
    if untraceable("accounts::killed_at_any_call_the_file_is_the_old_or_the_new_one") {
        return;
    }
    let guest = guest();
    // The folder of the keys.
    ask(&guest.jail.agent(Start::default()), ADD, add("u1", &["k"]));
    let calls = "openat2,openat,unlinkat,linkat,renameat,fsync,write,fchown,fchmod,flistxattr,\
                 setgroups,setresgid,setresuid,mkdirat,fcntl,pwrite64";
    let mut kills = 0;
    for (command, arguments, path, old, new) in [
        (ADD, add("u1", &["k2"]), KEYS, "k1\n", "k1\nk2\n"),
        (REMOVE, add("u1", &["k1"]), KEYS, "k0\nk1\n", "k0\n"),
        ("guest-set-user-password", password(HASH), "/etc/shadow", SHADOW, ""),
    ] {
        for call in calls.split(',') {
            for number in 1..6 {
                fs::write(guest.jail.path(path), old).expect("the old file");
                let agent = guest.jail.agent(Start::default());
                let trace =
                    guest.attach(&agent, call, &format!("{call}:signal=KILL:when={number}"));
                let reply = answer(&agent, command, &arguments);
                drop(trace);
                let text = guest.jail.text(path);
                let is_new = if new.is_empty() { text.contains("u1:$6$x:") } else { text == new };
                assert!(text == old || is_new, "{command}, {call} {number}: {text:?}, {reply:?}");
                if reply == "{\"return\": {}}\n" {
                    break;
                }
                kills += 1;
            }
        }
    }
    assert!(kills > 20, "only {kills}");
    println!("{kills} kills");
}
