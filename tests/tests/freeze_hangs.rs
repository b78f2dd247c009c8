//! Freezes that hang, on real filesystems: the agent goes on to answer, what had frozen is let go,
//! and what freezes too late does not stay so.

use qga_tests::connection::Connection;
use qga_tests::disk::Disk;
use qga_tests::fuse::Fuse;
use qga_tests::guest::{FROZEN, THAWED, freeze, returns, status, thaw};
use qga_tests::hanging::{BEHIND_FUSE, HUNG, Hang, HangingGuest, Kind, PLACES, ends_within, state};
use qga_tests::jail::{JailedAgent, Start};
use std::process::Child;
use std::time::{Duration, Instant};

const FREEZE: &str = r#"{"execute":"guest-fsfreeze-freeze"}"#;
const STATUS: &str = r#"{"execute":"guest-fsfreeze-status"}"#;
const THAW: &str = r#"{"execute":"guest-fsfreeze-thaw"}"#;
const SYNC: &str = r#"{"execute":"guest-sync","arguments":{"id":1234}}"#;
const DELIMITED: &str = r#"{"execute":"guest-sync-delimited","arguments":{"id":4321}}"#;
const PING: &str = r#"{"execute":"guest-ping"}"#;

/// A filesystem is given up after a second.
const SHORT: [&str; 2] = ["--freeze-deadline", "1"];
/// No filesystem is given up during a test.
const LONG: [&str; 2] = ["--freeze-deadline", "60"];
/// What a freeze of a disk hangs in. A thaw after it hangs in the one case, and fails in the other.
const KINDS: [Kind; 2] = [Kind::Sync, Kind::Writer];

/// What is at once for a person, on a machine that does other work.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The deadline of [`SHORT`], and room for a machine that is busy.
const GIVEN_UP: Duration = Duration::from_secs(4);

/// Asks, and says how long the answer took. Panics if none comes: whoever hangs must be let go
/// before long.
fn ask(client: &mut Connection, request: &str, within: Duration) -> (String, Duration) {
    let begun = Instant::now();
    client.send(request);
    let reply = client.text_within(within);
    let reply = reply.unwrap_or_else(|| panic!("no answer within {within:?} to {request}"));
    (reply, begun.elapsed())
}

/// The answer, which comes at once.
fn ask_at_once(client: &mut Connection, request: &str) -> String {
    ask(client, request, AT_ONCE).0
}

/// As clients do that have given up: what comes after this answer is not for what was asked before.
fn sync_at_once(client: &mut Connection) {
    assert_eq!(ask_at_once(client, SYNC), returns(1234));
}

fn agent(rig: &HangingGuest, arguments: &[&str]) -> JailedAgent {
    rig.guest.jail.agent(Start { arguments, ..Start::default() })
}

/// Asks for a freeze that hangs; how many filesystems it has frozen by then.
fn freeze_and_hang(rig: &HangingGuest, client: &mut Connection) -> i64 {
    client.send(FREEZE);
    rig.await_hang();
    let frozen = rig.frozen_beside();
    assert!((1..PLACES.len() - 1).contains(&frozen), "frozen beside it: {frozen}");
    frozen as i64
}

/// Asks for a freeze that is given up: the answer says which filesystem it was.
fn freeze_and_give_up(client: &mut Connection, place: &str) {
    let (reply, took) = ask(client, FREEZE, GIVEN_UP);
    assert!(reply.starts_with(r#"{"error""#) && reply.contains(place), "{reply}");
    assert!(took > Duration::from_millis(900), "given up after {took:?} already");
}

/// Lets go what hangs. It may still freeze, but not for long, and whoever froze it ends.
fn release_and_see_undone(rig: &HangingGuest, hang: &mut Hang, agent: &JailedAgent) {
    hang.release();
    assert!(rig.all_writable(AT_ONCE), "frozen too late, and not undone");
    let begun = Instant::now();
    while !rig.workers(agent).is_empty() {
        assert!(begun.elapsed() < AT_ONCE, "left behind: {:?}", rig.workers(agent));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(!rig.guest.frozen().contains(&true), "frozen: {:?}", rig.guest.frozen());
}

/// The next freeze is one like any other.
fn freeze_and_thaw_all(rig: &HangingGuest, client: &mut Connection) {
    let all = PLACES.len();
    assert_eq!(freeze(client), returns(all as i64));
    assert_eq!(rig.guest.frozen(), vec![true; all]);
    assert_eq!(thaw(client), returns(all as i64));
    assert_eq!(rig.guest.frozen(), vec![false; all]);
    assert_eq!(status(client), THAWED);
}

/// Sees that a command in the guest hangs for half a second, whoever kills it, and ends when it is
/// let go.
fn hangs_until_released(rig: &HangingGuest, hang: &mut Hang, mut command: Child) {
    rig.await_hang();
    std::thread::sleep(Duration::from_millis(500));
    assert!(command.try_wait().expect("wait").is_none(), "it does not hang");
    let mut inside = rig.guest.processes();
    let hung = inside.pop().expect("a process in the guest");
    assert!(inside.is_empty());
    // Not even a kill ends it.
    qga_tests::sys::kill(hung, libc::SIGKILL).expect("it is there");
    assert!(!ends_within(hung, Duration::from_millis(100)));
    assert_eq!(state(hung), Some('D'));
    hang.release();
    assert!(ends_within(hung, AT_ONCE), "it hangs on");
    command.wait().expect("wait");
}

#[test]
fn the_rig_hangs_a_freeze_until_it_is_released() {
    if Disk::impossible("freeze_hangs::the_rig_hangs_a_freeze_until_it_is_released") {
        return;
    }
    for kind in KINDS {
        let rig = HangingGuest::new();
        let mut hang = rig.hang(kind);
        let words = ["/bin/busybox", "fsfreeze", "--freeze", PLACES[HUNG]];
        hangs_until_released(&rig, &mut hang, rig.guest.jail.enter(&words));
        // Nobody is left to undo it: what is killed while it freezes leaves it frozen.
        assert_eq!(rig.guest.frozen(), [false, true, false, false], "{kind:?}");
        assert!(!rig.all_writable(Duration::from_millis(100)));
        rig.guest.jail.thaw();
        assert!(rig.all_writable(AT_ONCE));
        assert_eq!(rig.guest.frozen(), [false; PLACES.len()]);
    }
}

#[test]
fn the_rig_hangs_a_look_until_it_is_released() {
    let name = "freeze_hangs::the_rig_hangs_a_look_until_it_is_released";
    if Disk::impossible(name) || Fuse::impossible(name) {
        return;
    }
    let rig = HangingGuest::behind_fuse();
    for words in [["stat", BEHIND_FUSE], ["ls", BEHIND_FUSE], ["ls", "/mnt/f"]] {
        rig.guest.run(&words);
        let mut hang = rig.hang(Kind::Path);
        let words = [&["/bin/busybox"], &words[..]].concat();
        hangs_until_released(&rig, &mut hang, rig.guest.jail.enter(&words));
    }
    let table = rig.guest.jail.text("/proc/1/mountinfo");
    let places = table.lines().filter(|line| line.contains(" - ext4 "));
    let places: Vec<&str> = places.filter_map(|line| line.split(' ').nth(4)).collect();
    assert_eq!(places, [PLACES[0], BEHIND_FUSE, PLACES[2], PLACES[3]]);
}

#[test]
fn a_freeze_that_hangs_is_rolled_back_and_named() {
    if Disk::impossible("freeze_hangs::a_freeze_that_hangs_is_rolled_back_and_named") {
        return;
    }
    for kind in KINDS {
        let rig = HangingGuest::new();
        let agent = agent(&rig, &SHORT);
        let _hang = rig.hang(kind);
        let mut client = agent.connect();
        freeze_and_give_up(&mut client, PLACES[HUNG]);
        assert!(rig.others_writable(AT_ONCE), "not rolled back: {kind:?}");
        assert_eq!(ask_at_once(&mut client, STATUS), THAWED);
    }
}

#[test]
fn sync_status_and_thaw_are_answered_within_100_ms_while_a_freeze_hangs() {
    let name = "freeze_hangs::sync_status_and_thaw_are_answered_within_100_ms_while_a_freeze_hangs";
    if Disk::impossible(name) {
        return;
    }
    const ROUNDS: usize = 3;
    let rig = HangingGuest::new();
    let agent = agent(&rig, &LONG);
    let mut times: [Vec<Duration>; 3] = Default::default();
    for kind in [KINDS; ROUNDS].concat() {
        let mut hang = rig.hang(kind);
        let mut client = agent.connect();
        let frozen = freeze_and_hang(&rig, &mut client);
        let asked = [(SYNC, returns(1234)), (STATUS, FROZEN.to_owned()), (THAW, returns(frozen))];
        for ((request, expected), times) in asked.into_iter().zip(&mut times) {
            let (reply, took) = ask(&mut client, request, AT_ONCE);
            assert_eq!(reply, expected, "{kind:?}: {request}");
            times.push(took);
        }
        assert!(rig.others_writable(AT_ONCE), "not thawed: {kind:?}");
        assert_eq!(ask_at_once(&mut client, STATUS), THAWED);
        release_and_see_undone(&rig, &mut hang, &agent);
        // The freeze itself is never answered: whoever asked has gone.
        assert_eq!(ask_at_once(&mut client, PING), r#"{"return": {}}"#);
        freeze_and_thaw_all(&rig, &mut client);
    }
    println!("sync, status, thaw: {times:?}");
    for mut times in times {
        times.sort();
        assert!(times[times.len() / 2] < Duration::from_millis(100), "{times:?}");
    }
}

#[test]
fn a_late_freeze_is_undone() {
    if Disk::impossible("freeze_hangs::a_late_freeze_is_undone") {
        return;
    }
    for kind in KINDS {
        let rig = HangingGuest::new();
        let agent = agent(&rig, &SHORT);
        let mut hang = rig.hang(kind);
        let mut client = agent.connect();
        freeze_and_give_up(&mut client, PLACES[HUNG]);
        release_and_see_undone(&rig, &mut hang, &agent);
        assert_eq!(ask_at_once(&mut client, STATUS), THAWED);
        freeze_and_thaw_all(&rig, &mut client);
    }
}

/// A backup that failed is tried again.
#[test]
fn asked_again_while_it_hangs_it_fails_again() {
    if Disk::impossible("freeze_hangs::asked_again_while_it_hangs_it_fails_again") {
        return;
    }
    for kind in KINDS {
        let rig = HangingGuest::new();
        let agent = agent(&rig, &SHORT);
        let mut hang = rig.hang(kind);
        let mut client = agent.connect();
        freeze_and_give_up(&mut client, PLACES[HUNG]);
        // It may be known by now, and need not be waited for again.
        let reply = ask(&mut client, FREEZE, GIVEN_UP).0;
        let named = reply.starts_with(r#"{"error""#) && reply.contains(PLACES[HUNG]);
        assert!(named, "{kind:?}: {reply}");
        assert!(rig.others_writable(AT_ONCE), "not rolled back: {kind:?}");
        assert_eq!(ask_at_once(&mut client, STATUS), THAWED);
        release_and_see_undone(&rig, &mut hang, &agent);
        freeze_and_thaw_all(&rig, &mut client);
    }
}

#[test]
fn open_and_stat_that_hang_do_not_hang_the_agent() {
    let name = "freeze_hangs::open_and_stat_that_hang_do_not_hang_the_agent";
    if Disk::impossible(name) || Fuse::impossible(name) {
        return;
    }
    let rig = HangingGuest::behind_fuse();
    let agent = agent(&rig, &SHORT);
    let mut hang = rig.hang(Kind::Path);
    let mut client = agent.connect();
    freeze_and_give_up(&mut client, BEHIND_FUSE);
    assert!(rig.others_writable(AT_ONCE));
    assert_eq!(ask_at_once(&mut client, STATUS), THAWED);
    release_and_see_undone(&rig, &mut hang, &agent);
    // And before it is given up, whoever asks next is answered.
    let mut hang = rig.hang(Kind::Path);
    client.send(FREEZE);
    rig.await_hang();
    sync_at_once(&mut client);
    for _ in 0..3 {
        assert_eq!(ask_at_once(&mut client, PING), r#"{"return": {}}"#);
    }
    ask_at_once(&mut client, THAW);
    assert!(rig.others_writable(AT_ONCE));
    release_and_see_undone(&rig, &mut hang, &agent);
    freeze_and_thaw_all(&rig, &mut client);
}

#[test]
fn freeze_timeout_holds_while_a_freeze_hangs() {
    if Disk::impossible("freeze_hangs::freeze_timeout_holds_while_a_freeze_hangs") {
        return;
    }
    for (kind, asker_waits) in KINDS.into_iter().zip([true, false]) {
        let rig = HangingGuest::new();
        let agent = agent(&rig, &[&["--freeze-timeout", "1"], &LONG[..]].concat());
        let mut hang = rig.hang(kind);
        let mut client = agent.connect();
        let begun = Instant::now();
        freeze_and_hang(&rig, &mut client);
        if !asker_waits {
            sync_at_once(&mut client);
        }
        assert!(rig.others_writable(GIVEN_UP), "frozen for ever: {kind:?}");
        assert!(begun.elapsed() > Duration::from_millis(900), "thawed too early: {kind:?}");
        if asker_waits {
            let reply = client.text_within(AT_ONCE).expect("an answer to the freeze");
            assert!(reply.starts_with(r#"{"error""#), "{reply}");
        }
        assert_eq!(ask_at_once(&mut client, STATUS), THAWED);
        assert_eq!(ask_at_once(&mut client, THAW), returns(0), "the thaw that came too late");
        release_and_see_undone(&rig, &mut hang, &agent);
        freeze_and_thaw_all(&rig, &mut client);
    }
}

#[test]
fn told_to_stop_while_a_freeze_hangs_it_thaws_and_ends() {
    if Disk::impossible("freeze_hangs::told_to_stop_while_a_freeze_hangs_it_thaws_and_ends") {
        return;
    }
    for kind in KINDS {
        let rig = HangingGuest::new();
        let agent = agent(&rig, &LONG);
        let mut hang = rig.hang(kind);
        let mut client = agent.connect();
        freeze_and_hang(&rig, &mut client);
        agent.signal(libc::SIGTERM);
        assert!(ends_within(agent.pid, Duration::from_secs(2)), "it does not stop: {kind:?}");
        assert!(rig.others_writable(AT_ONCE), "not thawed: {kind:?}");
        release_and_see_undone(&rig, &mut hang, &agent);
        assert_eq!(agent.wait(), "exited 0");
    }
}

/// Who is killed while a freeze hangs, and what happens first to whom comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Killed {
    Agent,
    AgentAndWorkers,
}

/// Kills, and starts the next agent, which answers at once and knows what is frozen.
fn kill_and_start_anew(rig: &HangingGuest, first: &JailedAgent, killed: Killed) -> JailedAgent {
    let workers = rig.workers(first);
    first.signal(libc::SIGKILL);
    if killed == Killed::AgentAndWorkers {
        assert!(!workers.is_empty(), "nobody hangs but the agent itself");
        workers.iter().for_each(|pid| qga_tests::sys::kill(*pid, libc::SIGKILL).expect("kill"));
    }
    assert!(ends_within(first.pid, AT_ONCE), "the agent itself hangs");
    agent(rig, &SHORT)
}

/// What froze too late is undone by whoever froze it, or the next agent knows of it.
fn nothing_stays_frozen(rig: &HangingGuest, client: &mut Connection) {
    if !rig.all_writable(AT_ONCE) {
        let reply = ask(client, STATUS, GIVEN_UP).0;
        assert_ne!(reply, THAWED, "frozen, and it is not known");
        assert_ne!(ask(client, THAW, GIVEN_UP).0, returns(0));
        assert!(rig.all_writable(AT_ONCE), "a thaw does not free it");
    }
    // What an earlier worker left is looked after beside everything else.
    let begun = Instant::now();
    while ask_at_once(client, STATUS) != THAWED {
        assert!(begun.elapsed() < AT_ONCE, "it runs, and that is not known");
    }
    assert!(!rig.guest.frozen().contains(&true));
    freeze_and_thaw_all(rig, client);
}

#[test]
fn killed_while_a_freeze_hangs_the_next_agent_knows() {
    if Disk::impossible("freeze_hangs::killed_while_a_freeze_hangs_the_next_agent_knows") {
        return;
    }
    for kind in KINDS {
        for killed in [Killed::Agent, Killed::AgentAndWorkers] {
            let rig = HangingGuest::new();
            let first = agent(&rig, &LONG);
            let hang = rig.hang(kind);
            freeze_and_hang(&rig, &mut first.connect());
            let next = kill_and_start_anew(&rig, &first, killed);
            // Let go before this agent is waited for, whatever comes.
            let mut until_released = hang;
            let mut client = next.connect();
            assert_eq!(ask_at_once(&mut client, PING), r#"{"return": {}}"#);
            assert_eq!(ask_at_once(&mut client, STATUS), FROZEN, "{kind:?} {killed:?}");
            until_released.release();
            let reply = ask(&mut client, THAW, GIVEN_UP).0;
            assert!(reply.starts_with(r#"{"return""#), "{kind:?} {killed:?}: {reply}");
            nothing_stays_frozen(&rig, &mut client);
        }
    }
}

#[test]
fn killed_while_a_freeze_hangs_the_next_agent_thaws_before_it_is_released() {
    let name =
        "freeze_hangs::killed_while_a_freeze_hangs_the_next_agent_thaws_before_it_is_released";
    if Disk::impossible(name) {
        return;
    }
    for kind in KINDS {
        for killed in [Killed::Agent, Killed::AgentAndWorkers] {
            let rig = HangingGuest::new();
            let first = agent(&rig, &LONG);
            let hang = rig.hang(kind);
            freeze_and_hang(&rig, &mut first.connect());
            let next = kill_and_start_anew(&rig, &first, killed);
            let mut until_released = hang;
            let mut client = next.connect();
            // What hangs is not thawed yet, but nobody waits for it, and the others run.
            ask(&mut client, THAW, GIVEN_UP);
            assert!(rig.others_writable(AT_ONCE), "not thawed: {kind:?} {killed:?}");
            assert_eq!(ask_at_once(&mut client, PING), r#"{"return": {}}"#);
            until_released.release();
            nothing_stays_frozen(&rig, &mut client);
        }
    }
}

#[test]
fn another_client_waits_for_nobody() {
    if Disk::impossible("freeze_hangs::another_client_waits_for_nobody") {
        return;
    }
    for kind in KINDS {
        let rig = HangingGuest::new();
        let agent = agent(&rig, &LONG);
        let mut hang = rig.hang(kind);
        let mut gone = agent.connect();
        let frozen = freeze_and_hang(&rig, &mut gone);
        drop(gone);
        let mut client = agent.connect();
        assert_eq!(ask_at_once(&mut client, DELIMITED), returns(4321));
        assert_eq!(ask_at_once(&mut client, STATUS), FROZEN);
        assert_eq!(ask_at_once(&mut client, THAW), returns(frozen));
        assert!(rig.others_writable(AT_ONCE), "not thawed: {kind:?}");
        release_and_see_undone(&rig, &mut hang, &agent);
    }
}
