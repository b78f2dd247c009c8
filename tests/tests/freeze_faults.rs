//! Freeze and thaw under faults that strace injects into the agent's system calls: the order of the
//! calls, roll back, filesystems that cannot freeze or do not thaw, and SIGKILL at every call.

use qga_tests::guest::{FAILED, FROZEN, Guest, THAWED, freeze, returns, status, thaw, untraceable};
use qga_tests::jail::Start;

#[test]
fn inner_mounts_freeze_first_and_thaw_last() {
    if untraceable("freeze_faults::inner_mounts_freeze_first_and_thaw_last") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/a/b", "/mnt/a/b/c"]);
    let (agent, trace) = guest.traced("ioctl", "");
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(3));
    assert_eq!(thaw(&mut client), returns(3));
    // Of a terminal the log asks what it holds.
    let calls: Vec<_> = trace.calls().into_iter().filter(|call| call.starts_with("FI")).collect();
    let frozen = ["FIFREEZE /mnt/a/b/c", "FIFREEZE /mnt/a/b", "FIFREEZE /mnt/a"];
    let thawed = ["FITHAW /mnt/a", "FITHAW /mnt/a/b", "FITHAW /mnt/a/b/c"];
    let expected: Vec<_> = frozen.iter().chain(&thawed).collect();
    assert!(calls.iter().eq(expected), "{calls:?}");
    assert_eq!(guest.frozen(), [false, false, false]);
}

#[test]
fn a_failed_freeze_is_rolled_back() {
    if untraceable("freeze_faults::a_failed_freeze_is_rolled_back") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b", "/mnt/c"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    for (failing, place) in [(1, "/mnt/c"), (2, "/mnt/b"), (3, "/mnt/a")] {
        let inject = format!("ioctl:error=EIO:when={failing}");
        let trace = guest.attach(&agent, "ioctl", &inject);
        let reply = freeze(&mut client);
        let text = format!("failed to freeze {place}: Input/output error");
        let expected = format!(r#"{{"error": {{"class": "GenericError", "desc": "{text}"}}}}"#);
        assert_eq!(reply, expected, "{:?}", trace.calls());
        assert_eq!(status(&mut client), THAWED);
        assert_eq!(guest.frozen(), [false; 3]);
        let open = r#"{"execute":"guest-file-open","arguments":{"path":"/dev/null"}}"#;
        assert!(client.ask(open).contains("return"), "the gate is open again");
        drop(trace);
        assert_eq!(freeze(&mut client), returns(3), "the next freeze works");
        assert_eq!(thaw(&mut client), returns(3));
    }
}

#[test]
fn filesystems_that_cannot_freeze_are_skipped() {
    if untraceable("freeze_faults::filesystems_that_cannot_freeze_are_skipped") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    let trace = guest.attach(&agent, "ioctl", "ioctl:error=EOPNOTSUPP:when=1");
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(guest.frozen(), [true, false]);
    drop(trace);
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(guest.frozen(), [false, false]);
}

/// After a kill and a restart: at most one thaw away from a guest that runs.
fn recovers(guest: &Guest, what: &str) {
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    if status(&mut client) != THAWED {
        let reply = thaw(&mut client);
        assert!(reply.contains("return"), "{what}: {reply}");
    }
    assert_eq!(status(&mut client), THAWED, "{what}");
    drop(client);
    agent.kill();
}

/// The agent stops when it has a worker, which does its work for itself.
const STOPPED: &str = "recvmsg:signal=SIGSTOP:when=1";

#[test]
fn killed_beside_a_filesystem_that_others_froze() {
    if untraceable("freeze_faults::killed_beside_a_filesystem_that_others_froze") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b", "/mnt/c"]);
    // Three freezes (the second finds /mnt/b busy), or two thaws.
    for (command, number) in [("freeze", 1), ("freeze", 2), ("freeze", 3), ("thaw", 1), ("thaw", 2)]
    {
        if guest.frozen() != [false, true, false] {
            guest.freeze_from_outside(1);
        }
        let agent = guest.jail.agent(Start::default());
        let mut client = agent.connect();
        if command == "thaw" {
            assert_eq!(freeze(&mut client), returns(2));
        }
        let inject = format!("{STOPPED} ioctl:signal=SIGKILL:when={number}");
        let trace = guest.attach(&agent, "ioctl,recvmsg", &inject);
        client.send(format!("{{\"execute\":\"guest-fsfreeze-{command}\"}}"));
        trace.await_text("killed by SIGKILL");
        agent.signal(libc::SIGKILL);
        drop(trace);
        let what = format!("killed at ioctl {number} of a {command}");
        assert_eq!(agent.wait(), "killed 9", "{what}");
        recovers(&guest, &what);
        // Killed within its own freeze of /mnt/b nobody can tell whose freeze that is. The agent
        // thaws it then: a guest that runs is worth more than a freeze that somebody else may have
        // wanted.
        let expected = [false, (command, number) != ("freeze", 2), false];
        assert_eq!(guest.frozen(), expected, "{what}");
    }
}

/// The worker alone is killed: the agent rolls the freeze back, or goes on with the thaw.
#[test]
fn a_worker_that_is_killed_is_an_error_and_nothing_stays_frozen() {
    if untraceable("freeze_faults::a_worker_that_is_killed_is_an_error_and_nothing_stays_frozen") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b", "/mnt/c"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    for (number, place) in [(1, "/mnt/c"), (2, "/mnt/b"), (3, "/mnt/a")] {
        let inject = format!("{STOPPED} ioctl:signal=SIGKILL:when={number}");
        let trace = guest.attach(&agent, "ioctl,recvmsg", &inject);
        client.send(r#"{"execute":"guest-fsfreeze-freeze"}"#);
        trace.await_text("killed by SIGKILL");
        drop(trace);
        agent.signal(libc::SIGCONT);
        let reply = client.text();
        let text = format!("failed to freeze {place}: Interrupted system call");
        assert!(reply.contains(&text), "{reply}");
        // What the worker that thaws cannot tell it thaws: it may be frozen.
        assert_eq!(status(&mut client), THAWED);
        assert_eq!(guest.frozen(), [false; 3]);
    }
    assert_eq!(freeze(&mut client), returns(3));
    let inject = format!("{STOPPED} ioctl:signal=SIGKILL:when=1");
    let trace = guest.attach(&agent, "ioctl,recvmsg", &inject);
    client.send(r#"{"execute":"guest-fsfreeze-thaw"}"#);
    trace.await_text("killed by SIGKILL");
    drop(trace);
    agent.signal(libc::SIGCONT);
    assert_eq!(client.text(), returns(3), "another one goes on");
    assert_eq!(guest.frozen(), [false; 3]);
    assert_eq!(status(&mut client), THAWED);
}

#[test]
fn a_filesystem_that_does_not_thaw_is_an_error_state() {
    if untraceable("freeze_faults::a_filesystem_that_does_not_thaw_is_an_error_state") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let agent = guest.jail.agent(Start::default());
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(2));
    assert_eq!(status(&mut client), FROZEN);
    // The thaw of /mnt/a fails.
    let trace = guest.attach(&agent, "ioctl", "ioctl:error=EIO:when=1");
    let reply = thaw(&mut client);
    assert!(
        reply.contains("failed to thaw /mnt/a: Input/output error"),
        "{reply} {:?}",
        trace.calls()
    );
    assert_eq!(guest.frozen(), [true, false], "what can be thawed is thawed");
    assert_eq!(status(&mut client), FAILED);
    let open = r#"{"execute":"guest-file-open","arguments":{"path":"/dev/null"}}"#;
    assert!(client.ask(open).contains("the agent is in frozen state"));
    drop(trace);
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(status(&mut client), THAWED);
    assert_eq!(guest.frozen(), [false, false]);
    assert!(client.ask(open).contains("return"));
}
