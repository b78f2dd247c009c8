//! Every signal there is, and what the agent's parent may have set up about signals and limits:
//! only SIGKILL and SIGSTOP get past it, a stop thaws first, SIGHUP begins a new log, and programs
//! get what a parent meant for them.

use qga_tests::agent::{Agent, Held, Options, usual_arguments, wait};
use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::eventually;
use qga_tests::guest::{FROZEN, Guest, THAWED, freeze, returns, status, thaw};
use qga_tests::jail::{AGENT_FOLDER, Jail, JailedAgent, Spec, Start};
use qga_tests::{binary, counters, program, skip, sys};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

const PING: &str = "{\"execute\":\"guest-ping\"}\n";
const PONG: &str = r#"{"return": {}}"#;
const SHUTDOWN: &str = "{\"execute\":\"guest-shutdown\"}\n";

/// What ends the agent, after a thaw.
const STOP: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGPWR];

/// Every signal but those that nobody can do anything about, real-time ones and those of the C
/// library too.
fn signals() -> impl Iterator<Item = i32> {
    (1..=64).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal))
}

/// Those that do not end an agent.
fn harmless() -> impl Iterator<Item = i32> {
    signals().filter(|signal| !STOP.contains(signal))
}

/// The agent answers, and is not stopped (`T` in /proc).
fn lives(client: &mut Connection, pid: u32, signal: i32) {
    assert_eq!(client.ask(PING), PONG, "after signal {signal}");
    assert_ne!(counters::state(pid), 'T', "stopped by signal {signal}");
}

#[test]
fn no_other_signal_ends_or_stops_an_idle_agent() {
    let agent = Agent::plain();
    let mut client = agent.connect();
    assert_eq!(client.ask(PING), PONG);
    for signal in harmless() {
        agent.signal(signal);
        lives(&mut client, agent.pid(), signal);
    }
    assert_eq!(agent.stderr(), "");
    // They are collected: what stays pending counts against the user's limit.
    let pending = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    assert!(pending.contains("\nShdPnd:\t0000000000000000\n"), "{pending}");
}

#[test]
fn no_other_signal_ends_or_stops_an_agent_that_has_frozen() {
    if Disk::impossible("signals::no_other_signal_ends_or_stops_an_agent_that_has_frozen") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    for signal in harmless() {
        agent.signal(signal);
        lives(&mut client, agent.pid, signal);
    }
    assert_eq!(status(&mut client), FROZEN);
    assert_eq!(guest.frozen(), [true]);
    assert_eq!(thaw(&mut client), returns(1));
}

/// Those that end another agent are among them.
#[test]
fn no_signal_ends_or_stops_process_1() {
    if Disk::impossible("signals::no_signal_ends_or_stops_process_1") {
        return;
    }
    let arguments = ["-m", "unix-listen", "-p", &format!("{AGENT_FOLDER}/s"), "-t", AGENT_FOLDER];
    let arguments = Some(arguments.map(String::from).to_vec());
    let mut jail = Jail::start(Spec { agent_as_init: arguments, ..Spec::default() });
    let mut client = jail.connect_to_init();
    assert_eq!(client.ask(PING), PONG);
    for signal in signals() {
        sys::kill(jail.init, signal).unwrap();
        lives(&mut client, jail.init, signal);
    }
    assert!(jail.runs());
}

#[test]
fn the_first_system_call_blocks_them() {
    let Some(strace) = program("strace") else {
        return skip("signals::the_first_system_call_blocks_them", "needs strace");
    };
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    // As its grandchild, so that what ends with the test is the agent.
    let wrapper = [strace.to_str().unwrap(), "-D", "-f", "-o", log.to_str().unwrap()];
    let wrapper = wrapper.map(String::from).to_vec();
    let agent = Agent::start(Options { wrapper, ..Options::default() });
    assert_eq!(agent.connect().ask(PING), PONG);
    let text = fs::read_to_string(log).unwrap();
    let mut calls = text.lines().skip_while(|line| !line.contains("execve(")).skip(1);
    let first = calls.next().unwrap();
    assert!(first.contains("rt_sigprocmask(SIG_SETMASK, ~["), "{first}");
}

/// A parent may have had signals ignored (nohup, `&` of a shell) or blocked; that is no business of
/// the agent's.
#[test]
fn what_a_parent_ignored_ends_the_agent_all_the_same() {
    for signal in STOP {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary());
        command.args(usual_arguments(folder.path())).stdin(Stdio::null());
        // SAFETY: the call takes integers, and nothing is allocated between fork and exec.
        unsafe {
            command.pre_exec(move || {
                libc::signal(signal, libc::SIG_IGN);
                Ok(())
            });
        }
        let mut held = Held(command.spawn().unwrap());
        let path = folder.path().join("s");
        let mut client = Connection::new(qga_tests::agent::connect(&path));
        assert_eq!(client.ask(PING), PONG);
        sys::kill(held.0.id(), signal).unwrap();
        assert_eq!(wait(&mut held.0).code(), Some(0), "signal {signal}");
    }
}

/// A guest whose programs for a shutdown say what they got, and fail, so that they are quoted.
fn guest_that_tells(body: &str) -> Jail {
    let scripts = [("/sbin/poweroff", body), ("/sbin/shutdown", "exit 1")];
    let scripts: BTreeMap<_, _> =
        scripts.iter().map(|(path, body)| (path.to_string(), body.to_string())).collect();
    Jail::start(Spec { scripts, ..Spec::default() })
}

fn agent_of_a_shell(jail: &Jail, script: &str) -> JailedAgent {
    let script = format!("{script}; exec \"$0\" \"$@\"");
    let before = ["/bin/busybox", "sh", "-c", &script];
    jail.agent(Start { before: &before, without_reboot: true, ..Start::default() })
}

#[test]
fn programs_get_no_signal_blocked_or_ignored_and_are_waited_for() {
    if Disk::impossible("signals::programs_get_no_signal_blocked_or_ignored_and_are_waited_for") {
        return;
    }
    let jail = guest_that_tells("grep -E 'Sig(Blk|Ign)' /proc/self/status; exit 7");
    // With SIGCHLD ignored the kernel would keep no exit status, and a shutdown would wait for one.
    let agent = agent_of_a_shell(&jail, "trap '' HUP INT QUIT PIPE TERM CHLD USR1");
    let ignored = fs::read_to_string(format!("/proc/{}/status", agent.pid)).unwrap();
    assert!(!ignored.contains("\nSigIgn:\t0000000000000000\n"), "the shell ignored nothing");
    let mut client = agent.connect();
    let reply = client.ask(SHUTDOWN);
    for words in ["SigBlk:\\t0000000000000000", "SigIgn:\\t0000000000000000", "7"] {
        assert!(reply.contains(words), "{words}: {reply}");
    }
    assert_eq!(client.ask(PING), PONG);
}

/// What a shell does to start an agent that may write no file.
fn limited(which: &str) -> String {
    format!("ulimit {which} 0 || exit 9")
}

#[test]
fn a_soft_limit_of_file_size_is_raised() {
    if Disk::impossible("signals::a_soft_limit_of_file_size_is_raised") {
        return;
    }
    let jail = guest_that_tells("ulimit -S -f; exit 7");
    let agent = agent_of_a_shell(&jail, &limited("-S -f"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.pid)).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max file size")).unwrap();
    assert_eq!(limit.matches("unlimited").count(), 2, "{limit}");
    let mut client = agent.connect();
    let open = r#"{"execute":"guest-file-open","arguments":{"path":"/dev/null"}}"#;
    assert_eq!(client.ask(open), r#"{"return": 1000}"#);
    // What programs print goes to a file in memory: a limit of 0 would kill them at the first word.
    let reply = client.ask(SHUTDOWN);
    assert!(reply.contains("exit status 7, it said: unlimited"), "{reply}");
    assert_eq!(client.ask(PING), PONG);
}

/// Nothing can be written to any file: nothing is frozen without a mark, and no signal ends the
/// agent.
#[test]
fn a_hard_limit_of_file_size_refuses_what_needs_a_file() {
    if Disk::impossible("signals::a_hard_limit_of_file_size_refuses_what_needs_a_file") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a"]);
    let agent = agent_of_a_shell(&guest.jail, &limited("-f"));
    let mut client = agent.connect();
    let open = r#"{"execute":"guest-file-open","arguments":{"path":"/dev/null"}}"#;
    for request in [open, r#"{"execute":"guest-fsfreeze-freeze"}"#] {
        let reply = client.ask(request);
        assert!(reply.contains("File too large"), "{request}: {reply}");
    }
    assert_eq!(status(&mut client), THAWED);
    assert_eq!(guest.frozen(), [false]);
    for file in ["qga.state", "qga.state.isfrozen"] {
        let path = guest.jail.path(&format!("{AGENT_FOLDER}/{file}"));
        assert!(!path.exists(), "{file} is half written");
    }
    assert_eq!(client.ask(PING), PONG);
}

#[test]
fn hup_begins_a_new_log() {
    let folder = tempfile::tempdir().unwrap();
    let (log, old) = (folder.path().join("log"), folder.path().join("log.1"));
    let arguments = ["-v", "-l", log.to_str().unwrap()].map(String::from).to_vec();
    let agent = Agent::start(Options { arguments, ..Options::default() });
    let mut client = agent.connect();
    assert_eq!(client.ask(PING), PONG);
    let descriptors = counters::descriptors(agent.pid());
    fs::rename(&log, &old).unwrap();
    agent.signal(libc::SIGHUP);
    // Without a line to write: whoever moved the old one wants to pack it up now.
    eventually("no new log", || log.exists());
    assert_eq!(counters::descriptors(agent.pid()), descriptors, "the old log is open still");
    let before = fs::read(&old).unwrap();
    assert_eq!(client.ask(PING), PONG);
    assert!(fs::read_to_string(&log).unwrap().contains("guest-ping called"));
    assert_eq!(fs::read(&old).unwrap(), before);
    // Nowhere to begin one: the lines go on where they went, and standard error says why.
    let moved = folder.path().join("moved");
    fs::create_dir(&moved).unwrap();
    fs::rename(&log, moved.join("log")).unwrap();
    fs::create_dir(&log).unwrap();
    agent.signal(libc::SIGHUP);
    eventually("nothing is said", || agent.stderr().contains("Is a directory"));
    assert!(agent.stderr().contains(log.to_str().unwrap()), "{}", agent.stderr());
    let lines = || fs::read_to_string(moved.join("log")).unwrap().lines().count();
    let before = lines();
    assert_eq!(client.ask(PING), PONG);
    assert_eq!(lines(), before + 1);
    // And as soon as there is a place, into a new one.
    fs::remove_dir(&log).unwrap();
    assert_eq!(client.ask(PING), PONG);
    assert_eq!(fs::read_to_string(&log).unwrap().lines().count(), 1);
    assert_eq!(lines(), before + 1);
}

#[test]
fn a_log_that_nobody_reads_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut command = Command::new(binary());
    command.args(usual_arguments(folder.path())).arg("-l").arg(&fifo).stderr(Stdio::piped());
    let mut held = Held(command.stdin(Stdio::null()).spawn().unwrap());
    assert_eq!(wait(&mut held.0).code(), Some(1));
    let said = std::io::read_to_string(held.0.stderr.take().unwrap()).unwrap();
    assert!(said.contains("No such device or address"), "{said}");
}

/// The log lies on the frozen disk, moved away or without a name: opening the new one would wait
/// for the thaw, and so would closing the old one, whose last name has gone.
#[test]
fn hup_while_frozen_waits_for_the_thaw() {
    if Disk::impossible("signals::hup_while_frozen_waits_for_the_thaw") {
        return;
    }
    for removed in [false, true] {
        let guest = Guest::with_ext4(&["/mnt/a"]);
        let arguments = ["-v", "-l", "/mnt/a/log"];
        let agent = guest.jail.agent(Start { arguments: &arguments, ..Start::default() });
        let mut client = agent.connect();
        assert_eq!(client.ask(PING), PONG);
        let (log, old) = (guest.jail.path("/mnt/a/log"), guest.jail.path("/mnt/a/log.1"));
        if removed { fs::remove_file(&log) } else { fs::rename(&log, &old) }.unwrap();
        assert_eq!(freeze(&mut client), returns(1));
        agent.signal(libc::SIGHUP);
        for _ in 0..10 {
            lives(&mut client, agent.pid, libc::SIGHUP);
        }
        assert!(!log.exists());
        assert_eq!(thaw(&mut client), returns(1));
        assert_eq!(client.ask(PING), PONG);
        assert!(fs::read_to_string(&log).unwrap().contains("guest-ping called"));
    }
}
