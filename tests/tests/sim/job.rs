//! What takes longer than a step: whoever asked for it may give up and sync anew, on the same line,
//! or hang up; it goes on, its late reply is for nobody, and what comes then is answered at once.
//! What else is asked waits for its turn.

use crate::freeze::ask;
use crate::guest::Large;
use qga_core::{Errno, Step};
use qga_sim::Sim;
use qga_sim::power::Program;
use serde_json::json;

const SHUTDOWN: &[u8] = b"{\"execute\": \"guest-shutdown\", \"id\": 1}\n";
const SYNC: &[u8] = b"{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 7}}\n";
const SYNCED: &[u8] = b"{\"return\": 7}\n";
const PING: &[u8] = b"{\"execute\": \"guest-ping\"}\n";
const PONG: &[u8] = b"{\"return\": {}}\n";

/// A guest whose shutdown takes five seconds and fails then.
fn slow() -> Sim {
    let sim = Sim::new(1);
    sim.with(|world| {
        let late = Program { runs_ms: Some(5000), ..Program::ending("/sbin/poweroff", 1) };
        world.machine.programs.push(late);
        world.machine.reboot_error = Some(Errno::PERM);
    });
    sim
}

/// An agent that a client has asked to shut down, and that is at it.
fn under_way(sim: &Sim) -> Large {
    let mut session = Large::start(sim).expect("a start");
    assert_eq!(session.put(SHUTDOWN), SHUTDOWN.len());
    while session.step() != Step::Wait {}
    session
}

fn now_ms(sim: &Sim) -> u64 {
    sim.with(|world| world.time.now_ms)
}

/// Steps on until the shutdown is over: nothing may be said of it.
fn ends_unheard(sim: &Sim, session: &mut Large) {
    for _ in 0..100 {
        sim.with(|world| world.time.advance(1000));
        assert!(matches!(session.step(), Step::Receive | Step::Continue), "somebody hears of it");
        assert_eq!(session.agent().pending(), b"");
    }
    assert_eq!(session.agent().deadline(), None, "it goes on for ever");
}

#[test]
fn a_sync_is_answered_at_once_and_the_late_reply_never_sent() {
    for pieces in [1, 7, SYNC.len()] {
        let sim = slow();
        let mut session = under_way(&sim);
        let before_ms = now_ms(&sim);
        // In pieces: while one is missing the agent must not be made to wait for it.
        let (last, first) = SYNC.split_last().expect("bytes");
        for piece in first.chunks(pieces) {
            assert_eq!(session.put(piece), piece.len());
            let _ = session.step();
        }
        assert_eq!(session.send(&[*last]), SYNCED, "{pieces}");
        assert_eq!(session.send(PING), PONG);
        assert_eq!(now_ms(&sim), before_ms, "it was waited for");
        ends_unheard(&sim, &mut session);
        assert_eq!(session.send(PING), PONG);
    }
}

#[test]
fn what_else_is_asked_waits_for_its_turn() {
    for then in [PING, b"{\"execute\": \"x\"}\n", b"&\n", b"[1]\n", b"{\"return\": 1}\n"] {
        let mut alone = Large::start(&Sim::new(1)).expect("a start");
        let expected = alone.send(then);
        let sim = slow();
        let mut session = under_way(&sim);
        let output = session.send(then);
        let (error, rest) = output.split_at(output.iter().position(|&b| b == b'\n').unwrap() + 1);
        let error = String::from_utf8_lossy(error);
        assert!(
            error.contains("failed to shutdown") && error.ends_with(", \"id\": 1}\n"),
            "{error}"
        );
        assert_eq!(rest, expected, "{}", then.escape_ascii());
    }
}

/// A guest-sync that comes after another request waits with that; nothing is lost, nothing out of
/// order.
#[test]
fn a_sync_after_another_request_is_answered_after_it() {
    let sim = slow();
    let mut session = under_way(&sim);
    let output = session.send(&[PING, SYNC].concat());
    assert!(output.ends_with(&[PONG, SYNCED].concat()), "{}", output.escape_ascii());
    assert_eq!(output.iter().filter(|&&byte| byte == b'\n').count(), 3);
}

/// The `id` is repeated out of the frame, which must stay where it is, whatever comes after it.
#[test]
fn the_id_of_who_waits_stays() {
    let long = "x".repeat(3000);
    let request = format!("{{\"execute\": \"guest-shutdown\", \"id\": \"{long}\"}}\n");
    let sim = slow();
    let mut session = Large::start(&sim).expect("a start");
    // Something before it, so that there would be something to move.
    for _ in 0..200 {
        assert_eq!(session.send(PING), PONG);
    }
    assert_eq!(session.put(request.as_bytes()), request.len());
    while session.step() != Step::Wait {}
    let half = b"{\"execute\": \"guest-ping\", \"id\": \"half";
    for piece in half.chunks(3) {
        assert_eq!(session.put(piece), piece.len());
        assert_eq!(session.step(), Step::Wait);
    }
    let output = String::from_utf8(session.send(b"\"}\n")).expect("text");
    let (error, pong) = output.split_once('\n').expect("two lines");
    assert!(error.ends_with(&format!(", \"id\": \"{long}\"}}")), "{error}");
    assert_eq!(pong, "{\"return\": {}, \"id\": \"half\"}\n");
}

/// More than there is room for comes after the shutdown is over.
#[test]
fn there_is_room_for_so_much_and_no_more() {
    let sim = slow();
    let mut session = under_way(&sim);
    let pings: Vec<u8> = PING.iter().copied().cycle().take(PING.len() * 20_000).collect();
    let output = session.send(&pings);
    let lines: Vec<&[u8]> = output.split_inclusive(|&byte| byte == b'\n').collect();
    assert_eq!(lines.len(), 20_001);
    assert!(lines[1..].iter().all(|line| *line == PONG));
}

#[test]
fn another_client_is_served_meanwhile() {
    let sim = slow();
    let mut session = under_way(&sim);
    session.disconnect();
    let before_ms = now_ms(&sim);
    for _ in 0..1000 {
        assert_eq!(session.send(PING), PONG);
    }
    let busy = json!({"error": {"class": "GenericError", "desc": "guest-shutdown is under way"}});
    assert_eq!(ask(&mut session, "shutdown"), busy);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), busy);
    assert_eq!(ask(&mut session, "fsfreeze-status"), json!({"return": "thawed"}));
    assert_eq!(now_ms(&sim), before_ms);
    ends_unheard(&sim, &mut session);
    assert_eq!(ask(&mut session, "fsfreeze-freeze"), json!({"return": 0}));
    let output = session.send(SHUTDOWN);
    assert!(output.starts_with(b"{\"error\""), "the next shutdown is one of its own");
}

/// A hang-up at each moment of it, with each beginning of a request left behind.
#[test]
fn a_hang_up_at_any_moment_loses_nothing_of_the_next() {
    for left in [&b""[..], b"{", b"{\"execute\": \"guest-pi", PING, SYNC] {
        for ms in (0..8000).step_by(250) {
            let sim = slow();
            let mut session = under_way(&sim);
            for _ in 0..ms / 250 {
                sim.with(|world| world.time.advance(250));
                let _ = session.step();
            }
            session.put(left);
            let _ = session.step();
            session.disconnect();
            assert_eq!(session.send(SYNC), SYNCED, "{ms} ms, {}", left.escape_ascii());
        }
    }
}

/// What was not understood is wiped with the next request; not what waits for its turn after that.
#[test]
fn what_waits_for_its_turn_is_not_wiped() {
    let sim = slow();
    let mut session = Large::start(&sim).expect("a start");
    assert!(session.send(b"!\n").starts_with(b"{\"error\""));
    let output = session.send(&[SHUTDOWN, b"{\"execute\": \"guest-ping\", \"id\": 2}\n"].concat());
    let output = String::from_utf8(output).expect("text");
    assert!(output.ends_with("{\"return\": {}, \"id\": 2}\n"), "{output}");
    assert_eq!(output.lines().count(), 2);
}

/// What only looks like a guest-sync does not hide the one that comes after it.
#[test]
fn a_sync_is_found_after_what_only_looks_like_one() {
    let sim = slow();
    let mut session = under_way(&sim);
    let before_ms = now_ms(&sim);
    let half = b"{\"execute\": \"guest-file-open\", \"arguments\": {\"path\": \"guest-sync\"}, ";
    let output = session.send(&[&half[..], SYNC].concat());
    assert!(output.ends_with(SYNCED), "{}", output.escape_ascii());
    assert_eq!(now_ms(&sim), before_ms, "it was waited for");
}
