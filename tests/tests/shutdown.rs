//! guest-shutdown in a jail: the guest's own programs, its init, and the agent as process 1, each
//! with what it must have caused; and what the agent owes a guest whose process 1 it is.

use qga_tests::conversations;
use qga_tests::counters;
use qga_tests::disk::Disk;
use qga_tests::eventually;
use qga_tests::guest::Guest;
use qga_tests::jail::{AGENT_FOLDER, Jail, JailedAgent, Spec, Start};
use qga_tests::play::{Cut, play_in_jail};
use qga_tests::sys;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = r#"{"return": {}}"#;

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

/// A jail is a container: its end would not be the machine's. Nothing in it is signalled, ended or
/// unmounted, whatever its process 1 is, and the reply says why.
fn nothing_happens_in_a_container(spec: Spec) {
    let alone = spec.agent_as_init.is_some();
    let mut guest = Guest::with_spec(&["/mnt/a"], spec);
    let agent = (!alone).then(|| guest.jail.agent(Start::default()));
    let mut bystander = run_inside(&guest.jail, "exec sleep 1000");
    let connection = || agent.as_ref().map(JailedAgent::connect);
    let mut client = connection().unwrap_or_else(|| guest.jail.connect_to_init());
    for mode in ["", "powerdown", "halt", "reboot"] {
        let reply = client.ask(shutdown(mode));
        assert!(reply.starts_with(r#"{"error": {"class": "GenericError""#), "{mode}: {reply}");
        assert!(reply.contains("the agent is in a container"), "{mode}: {reply}");
    }
    assert_eq!(client.ask(PING), PONG);
    assert!(guest.jail.runs());
    assert_eq!(guest.jail.text("/run/init-signals"), "", "init was signalled");
    assert!(bystander.try_wait().unwrap().is_none(), "a process was ended");
    fs::write(guest.jail.path("/mnt/a/late"), "x").expect("the disk is still writable");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn a_container_is_not_ended() {
    if Disk::impossible("shutdown::a_container_is_not_ended") {
        return;
    }
    nothing_happens_in_a_container(agent_is_init());
    nothing_happens_in_a_container(Spec::default());
    for path in ["/lib/systemd/systemd", "/lib/busybox", "/sbin/init"] {
        // Programs that would ask this init are not even started.
        let programs = ["/sbin/poweroff", "/sbin/halt", "/sbin/reboot", "/sbin/shutdown"];
        let programs = programs.map(|program| (program.to_owned(), 0)).into_iter().collect();
        let init = Some(PathBuf::from(path));
        nothing_happens_in_a_container(Spec { init, programs, ..Spec::default() });
    }
}

/// A program may reach the machine from a container. When it says yes and the machine goes on, that
/// is said.
#[test]
fn a_program_without_effect_is_not_believed() {
    if Disk::impossible("shutdown::a_program_without_effect_is_not_believed") {
        return;
    }
    let scripts = [("/sbin/poweroff".to_owned(), "exit 0".to_owned())].into();
    let jail = Jail::start(Spec { scripts, ..Spec::default() });
    let agent = jail.agent(Start::default());
    let asked = Instant::now();
    let reply = agent.connect().ask(shutdown("powerdown"));
    for words in ["/sbin/poweroff: said yes, and nothing happens", "is in a container"] {
        assert!(reply.contains(words), "{words}: {reply}");
    }
    assert!(asked.elapsed() < Duration::from_secs(20));
}

/// A program that takes long keeps nobody waiting: who has asked and syncs anew is answered at
/// once, and so is the next client, a thousand times; the late reply goes to nobody.
#[test]
fn a_slow_program_keeps_nobody_waiting() {
    if Disk::impossible("shutdown::a_slow_program_keeps_nobody_waiting") {
        return;
    }
    let script = "sleep 3; echo too late; exit 1".to_owned();
    let jail = Jail::start(Spec {
        scripts: [("/sbin/poweroff".to_owned(), script)].into(),
        ..Spec::default()
    });
    let agent = jail.agent(Start::default());
    let asked = Instant::now();
    let mut client = agent.connect();
    client.send(shutdown("powerdown"));
    let synced = client.ask("{\"execute\":\"guest-sync\",\"arguments\":{\"id\":5}}\n");
    assert_eq!(synced, r#"{"return": 5}"#);
    let busy = client.ask(shutdown("powerdown"));
    assert!(busy.contains("guest-shutdown is under way"), "{busy}");
    drop(client);
    let mut next = agent.connect();
    let mut times: Vec<Duration> = (0..1000)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(next.ask(PING), PONG);
            begun.elapsed()
        })
        .collect();
    assert!(asked.elapsed() < Duration::from_secs(2), "it was over before they were asked");
    times.sort();
    assert!(times[500] < Duration::from_millis(1), "{:?} a ping", times[500]);
    // Long after the program has failed, nobody has heard of it.
    std::thread::sleep(Duration::from_secs(5).saturating_sub(asked.elapsed()));
    assert_eq!(next.ask(PING), PONG);
    let reply = next.ask(shutdown("powerdown"));
    assert!(reply.contains("too late"), "a shutdown of its own: {reply}");
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
        for tried in [program, "/sbin/shutdown", "No such file", "reboot(2)", "container"] {
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
        ("/sbin/halt", "kill -9 $$"),
        ("/sbin/shutdown", "echo nor now; exit 127"),
        ("/sbin/reboot", "sleep 0.3; kill -USR1 1; exit 0"),
    ];
    let scripts: BTreeMap<_, _> =
        scripts.iter().map(|(path, body)| (path.to_string(), body.to_string())).collect();
    let jail = Jail::start(Spec { scripts, ..Spec::default() });
    let agent = jail.agent(Start { without_reboot: true, ..Start::default() });
    let mut client = agent.connect();
    // A script that refuses is obeyed: nothing else is tried.
    let reply = client.ask(shutdown("powerdown"));
    let refused = r#""failed to shutdown: /sbin/poweroff: exit status 7, it said: not today""#;
    assert!(reply.contains(refused), "{reply}");
    let reply = client.ask(shutdown("halt"));
    for words in ["/sbin/halt: ended by signal 9", "/sbin/shutdown", "127", "nor now", "reboot(2)"]
    {
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
    // Falling asleep counts too, and comes after the reply.
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
