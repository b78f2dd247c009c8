//! guest-shutdown in a jail: the guest's own programs, its init, and the agent as process 1, each with
//! what it must have caused; and what the agent owes a guest whose process 1 it is.

use qga_tests::conversations;
use qga_tests::counters;
use qga_tests::disk::Disk;
use qga_tests::guest::Guest;
use qga_tests::jail::{AGENT_FOLDER, Jail, Spec, Start};
use qga_tests::play::{Cut, play_in_jail};
use qga_tests::sys;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = r#"{"return": {}}"#;

/// How reboot(2) in a process namespace ends its first process.
const HALTED: &str = "killed 2";
const REBOOTED: &str = "killed 1";

fn shutdown(mode: &str) -> String {
    match mode {
        "" => "{\"execute\":\"guest-shutdown\"}\n".to_owned(),
        mode => {
            format!("{{\"execute\":\"guest-shutdown\",\"arguments\":{{\"mode\":\"{mode}\"}}}}\n")
        }
    }
}

/// A guest whose process 1 is the agent.
fn agent_is_init() -> Spec {
    let arguments = ["-m", "unix-listen", "-p", &format!("{AGENT_FOLDER}/s"), "-t", AGENT_FOLDER];
    Spec { agent_as_init: Some(arguments.map(String::from).to_vec()), ..Spec::default() }
}

/// Runs a command in the jail, and says how it ended.
fn run_inside(jail: &Jail, script: &str) -> std::process::Child {
    jail.enter(&["/bin/busybox", "sh", "-c", script])
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn conversations_with_programs() {
    if Disk::impossible("shutdown::conversations_with_programs") {
        return;
    }
    let all = conversations::load_file("jail").into_iter();
    let held: Vec<_> = all.filter(|talk| talk.name.starts_with("shutdown")).collect();
    assert!(held.len() >= 8);
    let play = |talk| play_in_jail(talk, Cut::Whole).err();
    let failures: Vec<_> = held.iter().filter_map(play).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn agent_as_process_1() {
    if Disk::impossible("shutdown::agent_as_process_1") {
        return;
    }
    for (mode, end) in [("", HALTED), ("powerdown", HALTED), ("halt", HALTED), ("reboot", REBOOTED)]
    {
        let mut jail = Jail::start(agent_is_init());
        let mut client = jail.connect_to_init();
        assert_eq!(client.ask(PING), PONG);
        client.send(shutdown(mode));
        assert_eq!(jail.wait(), end, "mode {mode:?}");
        assert_eq!(client.finish(), b"", "no reply on success");
    }
}

/// Neither programs nor an init whose signals are known: the agent ends the guest itself.
#[test]
fn agent_beside_an_unknown_init() {
    if Disk::impossible("shutdown::agent_beside_an_unknown_init") {
        return;
    }
    for (mode, end) in [("powerdown", HALTED), ("halt", HALTED), ("reboot", REBOOTED)] {
        let mut jail = Jail::start(Spec::default());
        let agent = jail.agent(Start::default());
        agent.connect().send(shutdown(mode));
        assert_eq!(jail.wait(), end, "mode {mode}");
    }
}

#[test]
fn init_is_signalled() {
    if Disk::impossible("shutdown::init_is_signalled") {
        return;
    }
    // systemd(1): SIGRTMIN+4, +3, +5, counted from the C library's 34; busybox init: USR2, USR1, TERM.
    let inits = [("/lib/systemd/systemd", [38, 37, 39]), ("/lib/busybox", [12, 10, 15])];
    for (path, signals) in inits {
        let mut jail = Jail::start(Spec { init: Some(PathBuf::from(path)), ..Spec::default() });
        let agent = jail.agent(Start::default());
        let mut client = agent.connect();
        let mut expected = String::new();
        for (mode, signal) in ["powerdown", "halt", "reboot"].iter().zip(signals) {
            client.send(shutdown(mode));
            expected.push_str(&format!("{signal}\n"));
            eventually(&format!("{path} gets no signal {signal}"), || {
                jail.text("/run/init-signals") == expected
            });
        }
        assert_eq!(client.ask(PING), PONG, "no reply on success, and the agent goes on");
        assert!(jail.runs());
    }
}

#[test]
fn when_nothing_works_everything_tried_is_named() {
    if Disk::impossible("shutdown::when_nothing_works_everything_tried_is_named") {
        return;
    }
    let mut jail = Jail::start(Spec::default());
    let agent = jail.agent(Start { without_reboot: true, ..Start::default() });
    let mut bystander = run_inside(&jail, "exec sleep 1000");
    let mut client = agent.connect();
    let modes =
        [("powerdown", "/sbin/poweroff"), ("halt", "/sbin/halt"), ("reboot", "/sbin/reboot")];
    for (mode, program) in modes {
        let reply = client.ask(shutdown(mode));
        assert!(reply.starts_with(r#"{"error": {"class": "GenericError""#), "{reply}");
        for tried in
            [program, "/sbin/shutdown", "No such file", "init", "reboot(2)", "not permitted"]
        {
            assert!(reply.contains(tried), "{tried} is not named for {mode}: {reply}");
        }
    }
    assert_eq!(client.ask(PING), PONG);
    assert!(jail.runs());
    assert!(bystander.try_wait().unwrap().is_none(), "a process was ended although nothing worked");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn failing_programs_are_quoted() {
    if Disk::impossible("shutdown::failing_programs_are_quoted") {
        return;
    }
    let scripts = [
        ("/sbin/poweroff", "echo not today >&2; exit 7"),
        ("/sbin/shutdown", "kill -9 $$"),
        ("/sbin/reboot", "sleep 0.3; exit 0"),
    ];
    let scripts: BTreeMap<_, _> =
        scripts.iter().map(|(path, body)| (path.to_string(), body.to_string())).collect();
    let jail = Jail::start(Spec { scripts, ..Spec::default() });
    let agent = jail.agent(Start { without_reboot: true, ..Start::default() });
    let mut client = agent.connect();
    let reply = client.ask(shutdown("powerdown"));
    for words in ["/sbin/poweroff", "7", "not today", "/sbin/shutdown", "signal 9"] {
        assert!(reply.contains(words), "{words}: {reply}");
    }
    // A program that takes its time and succeeds: no reply, and what follows is answered.
    client.send(shutdown("reboot") + PING);
    assert_eq!(client.text(), PONG);
    let descriptors = counters::descriptors(agent.pid);
    for _ in 0..5 {
        assert!(client.ask(shutdown("powerdown")).contains("not today"));
    }
    assert_eq!(counters::descriptors(agent.pid), descriptors, "descriptors are lost");
    let zombies = |pid: &u32| counters::state(*pid) == 'Z';
    assert_eq!(counters::children(agent.pid).iter().filter(|pid| zombies(pid)).count(), 0);
}

#[test]
fn process_1_reaps_orphans() {
    if Disk::impossible("shutdown::process_1_reaps_orphans") {
        return;
    }
    let mut jail = Jail::start(agent_is_init());
    let mut client = jail.connect_to_init();
    assert_eq!(client.ask(PING), PONG);
    let mut shells: Vec<_> =
        (0..10).map(|_| run_inside(&jail, "for i in 1 2 3 4 5; do (sleep 0.0$i &) done")).collect();
    for shell in &mut shells {
        shell.wait().unwrap();
    }
    eventually("orphans stay zombies", || counters::children(jail.init).is_empty());
    assert_eq!(client.ask(PING), PONG);
    assert!(jail.runs());
    // Falling asleep counts too, and comes behind the reply.
    std::thread::sleep(Duration::from_millis(100));
    let before = counters::switches(jail.init);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(counters::switches(jail.init), before, "an idle agent wakes up");
}

#[test]
fn signals_do_not_end_process_1() {
    if Disk::impossible("shutdown::signals_do_not_end_process_1") {
        return;
    }
    let mut jail = Jail::start(agent_is_init());
    let mut client = jail.connect_to_init();
    assert_eq!(client.ask(PING), PONG);
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE, libc::SIGUSR1] {
        assert!(run_inside(&jail, &format!("kill -{signal} 1")).wait().unwrap().success());
        assert_eq!(client.ask(PING), PONG, "after signal {signal} from inside");
    }
    // From outside a signal without a handler would end it.
    for signal in [libc::SIGTERM, libc::SIGINT] {
        sys::kill(jail.init, signal).unwrap();
        assert_eq!(client.ask(PING), PONG, "after signal {signal}");
    }
    assert!(jail.runs());
}

/// Processes get SIGTERM and time to end; stubborn ones do not keep the guest up; disks are left clean.
#[test]
fn process_1_ends_processes_and_disks() {
    if Disk::impossible("shutdown::process_1_ends_processes_and_disks") {
        return;
    }
    let mut guest = Guest::with_spec(&["/mnt/a"], agent_is_init());
    let started = |name: &str| format!("touch /run/{name}; while :; do sleep 0.05; done");
    let polite = format!("trap 'echo bye >/mnt/a/bye; exit' TERM; {}", started("polite"));
    let stubborn = format!("trap '' TERM; exec 9>/mnt/a/busy; {}", started("stubborn"));
    // Their shells' parents end, so that they become children of process 1 like any other process.
    for script in [&polite, &stubborn] {
        assert!(run_inside(&guest.jail, &format!("({script}) &")).wait().unwrap().success());
    }
    for name in ["polite", "stubborn"] {
        let path = guest.jail.path(&format!("/run/{name}"));
        eventually(name, || path.exists());
    }
    let mut client = guest.jail.connect_to_init();
    client.send(shutdown("powerdown"));
    assert_eq!(guest.jail.wait(), HALTED);
    let disk = PathBuf::from(format!("/proc/self/fd/{}", guest.jail.keepers[0].as_raw_fd()));
    assert_eq!(fs::read_to_string(disk.join("bye")).unwrap(), "bye\n");
    let error = fs::write(disk.join("late"), "").expect_err("the disk is still writable");
    assert_eq!(error.raw_os_error(), Some(libc::EROFS));
}
