//! Passwords and keys: the file is as it was or as it is to be, whatever fails and whenever the
//! copy is killed; what is kept is kept byte for byte; and nothing is done that the user could not
//! do.

use crate::errands::{ask, refusal};
use qga_core::Errno;
use qga_core::limits::{LOCK_PAUSE_MS, LOCK_TRIES_MAX, MADE_BYTES_MAX, USER_GROUPS_MAX};
use qga_sim::power::Program;
use qga_sim::{Fault, Kind, Sim};
use serde_json::{Value, json};

const SHADOW: &str = "/etc/shadow";
const HOME: &str = "/home/sim";
const KEYS: &str = "/home/sim/.ssh/authorized_keys";
const DRAFT: &str = "/home/sim/.ssh/authorized_keys.qga";

fn text(sim: &Sim, path: &str) -> Option<String> {
    let text = sim.with(|world| world.system.texts.get(path).cloned());
    text.map(|text| String::from_utf8(text).expect("text"))
}

fn password(name: &str, base64: &str) -> Value {
    json!({"username": name, "password": base64, "crypted": true})
}

/// `$6$x` in base64.
const HASH: &str = "JDYkeA==";

fn is_fine(sim: &Sim) {
    let (violations, open) = sim.with(|world| (world.violations.clone(), world.open));
    assert_eq!((violations, open.texts), (Vec::<String>::new(), 0));
}

#[test]
fn a_hash_and_its_day_change_and_no_other_byte() {
    let sim = Sim::new(1);
    let odd = "# not a line\nroot:*:19000:0:99999:7:::\n\nsim:!:19000:0:99999:7::9:\nsim:x:1::\nsimon:!:1:\n";
    sim.with(|world| world.system.text(SHADOW, odd));
    assert_eq!(ask(&sim, "guest-set-user-password", password("sim", HASH)), json!({"return": {}}));
    // The first of January 2024.
    let expected = odd.replace("sim:!:19000:", "sim:$6$x:19723:");
    assert_eq!(text(&sim, SHADOW), Some(expected));
    assert_eq!((text(&sim, "/etc/shadow.lock"), text(&sim, "/etc/shadow+")), (None, None));
    is_fine(&sim);
}

#[test]
fn a_guest_without_shadow_has_hashes_in_passwd() {
    let sim = Sim::new(1);
    sim.with(|world| world.system.texts.remove(SHADOW));
    ask(&sim, "guest-set-user-password", password("sim", HASH));
    let passwd = text(&sim, "/etc/passwd").expect("a file");
    assert!(passwd.contains("\nsim:$6$x:1000:100:,,,:/home/sim:/bin/sh\n"), "{passwd}");
    is_fine(&sim);
}

#[test]
fn who_has_no_password_and_what_is_none_is_refused() {
    let sim = Sim::new(1);
    let before = text(&sim, SHADOW);
    for (arguments, expected) in [
        (password("other", HASH), "user 'other' has no password in /etc/shadow or /etc/passwd"),
        (password("sim", "YTpi"), "forbidden characters in raw password"),
        (password("sim", "YQpi"), "forbidden characters in raw password"),
        (password("s:m", HASH), "forbidden characters in username"),
        (password("s\nm", HASH), "forbidden characters in username"),
        (
            json!({"username": "sim", "password": "YQ==", "crypted": false}),
            "this guest has no chpasswd: send a hash of the password, with crypted true",
        ),
    ] {
        assert_eq!(refusal(&sim, "guest-set-user-password", arguments), expected);
        assert_eq!(text(&sim, SHADOW), before);
    }
    is_fine(&sim);
}

#[test]
fn chpasswd_is_given_the_line_and_nothing_else() {
    let sim = Sim::new(1);
    sim.with(|world| world.machine.programs.push(Program::ending("/usr/sbin/chpasswd", 0)));
    // pa:ss w\u{f6}rd$'"
    let plain = json!({"username": "u", "password": "cGE6c3Mgd8O2cmQkJyI=", "crypted": false});
    assert_eq!(ask(&sim, "guest-set-user-password", plain), json!({"return": {}}));
    let (started, inputs) =
        sim.with(|world| (world.machine.started.clone(), world.machine.inputs.clone()));
    assert_eq!(started, ["/usr/sbin/chpasswd"]);
    assert_eq!(inputs, ["u:pa:ss w\u{f6}rd$'\"\n".as_bytes()]);
    assert_eq!(text(&sim, SHADOW), text(&Sim::new(1), SHADOW), "chpasswd does it");
}

#[test]
fn a_chpasswd_that_hangs_costs_its_time_only() {
    let sim = Sim::new(1);
    sim.with(|world| {
        let program = Program { runs_ms: None, ..Program::ending("/usr/sbin/chpasswd", 0) };
        world.machine.programs.push(program);
    });
    let said = refusal(&sim, "guest-set-user-password", password("sim", HASH));
    assert!(said.ends_with("Connection timed out"), "{said}");
    assert_eq!(ask(&sim, "guest-ping", json!({})), json!({"return": {}}));
}

#[test]
fn locks_of_others_are_waited_for_and_those_of_the_dead_are_not() {
    let sim = Sim::new(1);
    sim.with(|world| world.accounts.locked_times = 3);
    assert_eq!(ask(&sim, "guest-set-user-password", password("sim", HASH)), json!({"return": {}}));
    assert_eq!(sim.with(|world| world.accounts.waited_ms), 3 * LOCK_PAUSE_MS);

    // Whoever was killed has left both.
    let sim = Sim::new(1);
    sim.with(|world| {
        world.system.text("/etc/shadow.lock", "99\0");
        world.system.text("/etc/shadow+", "half");
    });
    assert_eq!(ask(&sim, "guest-set-user-password", password("sim", HASH)), json!({"return": {}}));
    assert!(text(&sim, SHADOW).is_some_and(|text| text.contains("sim:$6$x:")));

    let sim = Sim::new(1);
    sim.with(|world| {
        world.system.text("/etc/shadow.lock", "99\n");
        world.accounts.processes.insert(99);
    });
    let said = refusal(&sim, "guest-set-user-password", password("sim", HASH));
    assert_eq!(said, "failed to set user password: File exists");
    let waited_ms = sim.with(|world| world.accounts.waited_ms);
    assert_eq!(waited_ms, u64::from(LOCK_TRIES_MAX) * LOCK_PAUSE_MS);
    assert_eq!(text(&sim, "/etc/shadow.lock").as_deref(), Some("99\n"), "it is another one's");
    is_fine(&sim);
}

/// A guest whose user has keys.
fn with_keys(keys: &str) -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| {
        world.accounts.folders.insert(format!("{HOME}/.ssh"), 1000);
        world.system.text(KEYS, keys);
    });
    sim
}

fn keys(list: &[&str]) -> Value {
    json!({"username": "sim", "keys": list})
}

const ADD: &str = "guest-ssh-add-authorized-keys";
const REMOVE: &str = "guest-ssh-remove-authorized-keys";
const GET: &str = "guest-ssh-get-authorized-keys";

#[test]
fn keys_come_in_the_order_of_the_file_without_comments() {
    let sim = with_keys("# c\n\n  k1 spaced  \nk2\nk2\r\n\tcommand=\"a b\" k3");
    let reply = ask(&sim, GET, json!({"username": "sim"}));
    assert_eq!(reply["return"]["keys"], json!(["k1 spaced", "k2", "k2", "command=\"a b\" k3"]));
    let became = sim.with(|world| world.accounts.became.clone());
    assert_eq!(became, Some((1000, 100, vec![29, 1000])));
}

#[test]
fn new_keys_come_after_the_old_ones_each_once() {
    let sim = with_keys("# c\n\n  k1  \nssh-rsa BBBB y");
    let add = keys(&["ssh-ed25519 AAAA x", "", "ssh-rsa BBBB y", "ssh-ed25519 AAAA x", "k1"]);
    assert_eq!(ask(&sim, ADD, add), json!({"return": {}}));
    let expected = "# c\n\n  k1  \nssh-rsa BBBB y\nssh-ed25519 AAAA x\nk1\n";
    assert_eq!(text(&sim, KEYS).as_deref(), Some(expected));
    let reset = json!({"username": "sim", "keys": ["a", "b", "a"], "reset": true});
    ask(&sim, ADD, reset);
    assert_eq!(text(&sim, KEYS).as_deref(), Some("a\nb\n"));
    is_fine(&sim);
}

#[test]
fn a_home_without_keys_gets_a_folder_of_the_users_own() {
    let sim = Sim::new(1);
    assert_eq!(ask(&sim, ADD, keys(&["k"])), json!({"return": {}}));
    assert_eq!(text(&sim, KEYS).as_deref(), Some("k\n"));
    let owner = sim.with(|world| world.accounts.folders[&format!("{HOME}/.ssh")]);
    assert_eq!(owner, 1000);
    is_fine(&sim);
    // The same with nothing to add: as the reference, an empty file.
    let sim = Sim::new(1);
    ask(&sim, ADD, keys(&[]));
    assert_eq!(text(&sim, KEYS).as_deref(), Some(""));
}

#[test]
fn removed_is_each_line_that_is_the_key() {
    let sim = with_keys("# c\nk1\nk2\nk1 \nk2\nk1");
    assert_eq!(ask(&sim, REMOVE, keys(&["k2", "k1", "none"])), json!({"return": {}}));
    assert_eq!(text(&sim, KEYS).as_deref(), Some("# c\nk1 \n"));
    // Nothing to remove it from.
    let sim = Sim::new(1);
    sim.with(|world| world.accounts.folders.insert(format!("{HOME}/.ssh"), 1000));
    assert_eq!(ask(&sim, REMOVE, keys(&["k"])), json!({"return": {}}));
    assert_eq!(text(&sim, KEYS), None);
}

#[test]
fn a_line_that_is_too_long_is_not_lost() {
    let long = format!("k1\nssh-rsa {}\n", "A".repeat(20_000));
    for (command, list) in [(ADD, ["k9"]), (REMOVE, ["k1"])] {
        let sim = with_keys(&long);
        let said = refusal(&sim, command, keys(&list));
        let expected =
            format!("failed to write to '{KEYS}': Value too large for defined data type");
        assert_eq!(said, expected);
        assert_eq!((text(&sim, KEYS), text(&sim, DRAFT)), (Some(long.clone()), None));
        is_fine(&sim);
    }
    // Nor shown shorter than it is, nor is one made.
    let said = refusal(&with_keys(&long), GET, json!({"username": "sim"}));
    assert_eq!(said, format!("failed to read '{KEYS}': Value too large for defined data type"));
    let sim = with_keys("k1\n");
    let said = refusal(&sim, ADD, keys(&[&"A".repeat(3_840)]));
    assert_eq!(said, "a key is longer than 3839 bytes");
    assert_eq!(ask(&sim, ADD, keys(&[&"A".repeat(3_839)])), json!({"return": {}}));
    assert_eq!(ask(&sim, REMOVE, keys(&["k1"])), json!({"return": {}}), "it can be read again");
}

/// A user can make a file as long as the disk; each of these bytes takes six in a reply.
#[test]
fn a_file_that_does_not_end_takes_no_more_memory_than_a_list() {
    let sim = with_keys(&"\u{1}\u{2}\u{3}\n".repeat(700_000));
    let said = refusal(&sim, GET, json!({"username": "sim"}));
    assert_eq!(said, format!("failed to read '{KEYS}': File too large"));
    let made_bytes = sim.with(|world| world.tasks.made_bytes_max);
    assert!(made_bytes <= MADE_BYTES_MAX as usize + 4096, "{made_bytes}");
}

/// The number that means to the kernel that nothing is to change.
#[test]
fn nobody_is_the_user_of_the_last_number() {
    for line in ["odd:x:4294967295:1:::", "odd:x:1:4294967295:::", "odd:x:1:1:x:home:"] {
        let sim = Sim::new(1);
        sim.with(|world| world.system.text("/etc/passwd", &format!("{line}/home/odd:\n")));
        let said = refusal(&sim, ADD, json!({"username": "odd", "keys": ["k"]}));
        assert_eq!(said, "failed to lookup user 'odd': not in /etc/passwd", "{line}");
        assert_eq!(sim.with(|world| world.accounts.became.clone()), None);
    }
}

/// The last member of a line that came cut may be the beginning of another one's name.
#[test]
fn a_line_of_a_group_that_is_too_long_gives_no_right() {
    let sim = with_keys("k\n");
    let many = "x".repeat(15_351);
    sim.with(|world| world.system.text("/etc/group", &format!("g:x:7:{many},simon\nh:x:8:sim\n")));
    ask(&sim, GET, json!({"username": "sim"}));
    let became = sim.with(|world| world.accounts.became.clone());
    assert_eq!(became, Some((1000, 100, vec![8])));
}

#[test]
fn no_link_is_followed_and_what_is_wrong_is_named() {
    let sim = with_keys("k\n");
    sim.with(|world| world.accounts.links.insert(KEYS.into()));
    let said = refusal(&sim, ADD, keys(&["x"]));
    assert_eq!(said, format!("failed to write to '{KEYS}': Too many levels of symbolic links"));
    sim.with(|world| world.accounts.links.insert(format!("{HOME}/.ssh")));
    let said = refusal(&sim, ADD, keys(&["x"]));
    let expected = "failed to create directory '/home/sim/.ssh': Too many levels of symbolic links";
    assert_eq!(said, expected);
    let said = refusal(&sim, ADD, json!({"username": "nobody", "keys": ["x"]}));
    let expected = "failed to create directory '/nonexistent/.ssh': No such file or directory";
    assert_eq!(said, expected);
    let said = refusal(&sim, ADD, keys(&["a", "b\nc"]));
    assert_eq!(said, "invalid OpenSSH public key: 'b\nc'");
    is_fine(&sim);
}

#[test]
fn of_many_groups_those_that_fit_are_taken() {
    let sim = with_keys("k\n");
    let groups: String = (0..USER_GROUPS_MAX + 9).map(|n| format!("g{n}:x:{n}:sim\n")).collect();
    sim.with(|world| world.system.text("/etc/group", &groups));
    ask(&sim, GET, json!({"username": "sim"}));
    let became = sim.with(|world| world.accounts.became.clone()).expect("a user");
    assert_eq!(became.2.len(), USER_GROUPS_MAX);
}

#[test]
fn a_home_that_hangs_costs_its_time_only() {
    let sim = with_keys("k\n");
    sim.with(|world| world.system.hanging.insert(HOME.into()));
    let said = refusal(&sim, GET, json!({"username": "sim"}));
    assert!(said.ends_with("Connection timed out"), "{said}");
}

/// What changes a file, and that file.
fn changes() -> [(&'static str, Value, &'static str); 3] {
    [
        (ADD, keys(&["k9", "k1"]), KEYS),
        (REMOVE, keys(&["k1"]), KEYS),
        ("guest-set-user-password", password("sim", HASH), SHADOW),
    ]
}

#[test]
fn killed_at_any_call_the_file_is_the_old_or_the_new_one() {
    for (command, arguments, path) in changes() {
        let sim = with_keys("k1\nk2");
        let old = text(&sim, path);
        ask(&sim, command, arguments.clone());
        let new = text(&sim, path);
        let calls = sim.with(|world| world.tasks.calls);
        assert!(calls > 10 && old != new, "{command}: {calls} calls");
        for call in 0..calls {
            let sim = with_keys("k1\nk2");
            sim.with(|world| world.tasks.dies_at = Some(call));
            ask(&sim, command, arguments.clone());
            let left = text(&sim, path);
            assert!(left == old || left == new, "{command}, killed at {call}: {left:?}");
            // The next one is not in the way of what the dead one has left.
            sim.with(|world| world.tasks.dies_at = None);
            assert_eq!(ask(&sim, command, arguments.clone()), json!({"return": {}}), "{call}");
            assert_eq!(text(&sim, path), new, "{command} after {call}");
            is_fine(&sim);
        }
    }
}

#[test]
fn whatever_fails_leaves_nothing_behind() {
    let kinds = [
        Kind::Parent,
        Kind::Old,
        Kind::ReadOld,
        Kind::Draft,
        Kind::WriteDraft,
        Kind::Publish,
        Kind::RemoveFile,
        Kind::LockUsers,
        Kind::LockFile,
        Kind::BecomeUser,
        Kind::Text,
        Kind::ReadText,
        Kind::Wall,
    ];
    let mut failed = 0;
    for (command, arguments, path) in changes() {
        for (kind, number) in kinds.into_iter().flat_map(|kind| (0..6).map(move |n| (kind, n))) {
            let sim = with_keys("k1\nk2");
            let (old, files) = (text(&sim, path), sim.with(|world| world.system.texts.len()));
            let fault = Fault { kind: Some(kind), number, errno: Errno::IO, lasting: false };
            sim.with(|world| world.faults.fail(fault));
            let reply = ask(&sim, command, arguments.clone());
            let changed = text(&sim, path) != old;
            if reply["error"].is_object() {
                failed += 1;
                // Only what comes after the new file is there.
                assert!(!changed || kind == Kind::RemoveFile, "{command}: {kind:?} {number}");
            }
            let left = sim.with(|world| world.system.texts.len());
            // What cannot be removed stays.
            let spare = usize::from(kind == Kind::RemoveFile);
            assert!(left <= files + spare, "{command}: {kind:?} {number} leaves something");
            is_fine(&sim);
        }
    }
    assert!(failed > 30, "only {failed} failed");
}
