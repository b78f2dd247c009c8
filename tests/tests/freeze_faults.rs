//! Freeze and thaw under faults that strace injects into the agent's system calls: the order of the calls,
//! roll back, filesystems that cannot freeze or do not thaw, and SIGKILL at every call.

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
    let calls = trace.calls();
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
    for (failing, place) in [(1, "/mnt/c"), (2, "/mnt/b"), (3, "/mnt/a")] {
        let (agent, trace) = guest.traced("ioctl", &format!("ioctl:error=EIO:when={failing}"));
        let mut client = agent.connect();
        let reply = freeze(&mut client);
        let text = format!("failed to freeze {place}: Input/output error");
        let expected = format!(r#"{{"error": {{"class": "GenericError", "desc": "{text}"}}}}"#);
        assert_eq!(reply, expected, "{:?}", trace.calls());
        assert_eq!(status(&mut client), THAWED);
        assert_eq!(guest.frozen(), [false; 3]);
        let open = r#"{"execute":"guest-file-open","arguments":{"path":"/dev/null"}}"#;
        assert!(client.ask(open).contains("return"), "the gate is open again");
        assert_eq!(freeze(&mut client), returns(3), "the next freeze works");
        assert_eq!(thaw(&mut client), returns(3));
        drop(client);
        agent.kill();
    }
}

#[test]
fn filesystems_that_cannot_freeze_are_skipped() {
    if untraceable("freeze_faults::filesystems_that_cannot_freeze_are_skipped") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    let (agent, _trace) = guest.traced("ioctl", "ioctl:error=EOPNOTSUPP:when=1");
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(1));
    assert_eq!(guest.frozen(), [true, false]);
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

const BOTH: &str = r#"{"execute":"guest-fsfreeze-freeze"}{"execute":"guest-fsfreeze-thaw"}"#;

#[test]
fn killed_beside_a_filesystem_that_others_froze() {
    if untraceable("freeze_faults::killed_beside_a_filesystem_that_others_froze") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b", "/mnt/c"]);
    // Three freezes (the second finds /mnt/b busy), then two thaws.
    for number in 1..=5 {
        if guest.frozen() != [false, true, false] {
            guest.freeze_from_outside(1);
        }
        let inject = format!("ioctl:signal=SIGKILL:when={number}");
        let (agent, _trace) = guest.traced("ioctl", &inject);
        let mut client = agent.connect();
        client.send(BOTH);
        assert_eq!(agent.wait(), "killed 9", "at ioctl {number}");
        recovers(&guest, &format!("killed at ioctl {number}"));
        // Killed within its own freeze of /mnt/b nobody can tell whose freeze that is. The agent thaws it
        // then: a guest that runs is worth more than a freeze that somebody else may have wanted.
        let expected = [false, number != 2, false];
        assert_eq!(guest.frozen(), expected, "killed at ioctl {number}");
    }
}

#[test]
fn a_filesystem_that_does_not_thaw_is_an_error_state() {
    if untraceable("freeze_faults::a_filesystem_that_does_not_thaw_is_an_error_state") {
        return;
    }
    let guest = Guest::with_ext4(&["/mnt/a", "/mnt/b"]);
    // Two freezes, then the thaw of /mnt/a fails.
    let (agent, trace) = guest.traced("ioctl", "ioctl:error=EIO:when=3");
    let mut client = agent.connect();
    assert_eq!(freeze(&mut client), returns(2));
    assert_eq!(status(&mut client), FROZEN);
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
    assert_eq!(thaw(&mut client), returns(1));
    assert_eq!(status(&mut client), THAWED);
    assert_eq!(guest.frozen(), [false, false]);
    assert!(client.ask(open).contains("return"));
}
