//! Files where the guest does not play along: a disk that fills up, reads and closes that fail, a
//! saved state that is damaged; and replies that are far longer than the window.

use crate::guest::Small;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qga_core::Errno;
use qga_core::limits::{HANDLES_MAX, SYNC_BYTES_MAX};
use qga_sim::files::Content;
use qga_sim::{Fault, Kind, Sim};
use serde_json::{Value, json};

fn start(sim: &Sim) -> Small {
    Small::start(sim).expect("a start")
}

fn ask(session: &mut Small, command: &str, arguments: Value) -> Value {
    let request = json!({"execute": format!("guest-{command}"), "arguments": arguments});
    let output = session.send(format!("{request}\n").as_bytes());
    serde_json::from_slice(&output).expect("one reply")
}

fn open(session: &mut Small, path: &str, mode: &str) -> Value {
    ask(session, "file-open", json!({"path": path, "mode": mode}))
}

fn write(session: &mut Small, handle: i64, bytes: &[u8]) -> Value {
    ask(session, "file-write", json!({"handle": handle, "buf-b64": BASE64.encode(bytes)}))
}

fn failure(text: &str) -> Value {
    json!({"error": {"class": "GenericError", "desc": text}})
}

fn fail(sim: &Sim, kind: Kind, number: u64, errno: Errno) {
    let fault = Fault { kind: Some(kind), number, errno, lasting: false };
    sim.with(|world| world.faults.fail(fault));
}

#[test]
fn what_fitted_on_a_full_disk_is_counted() {
    let sim = Sim::new(1);
    sim.with(|world| world.files.free_bytes = 3);
    let mut session = start(&sim);
    assert_eq!(open(&mut session, "/tmp/f", "w"), json!({"return": 1000}));
    let reply = write(&mut session, 1000, b"hello");
    assert_eq!(reply, json!({"return": {"count": 3, "eof": false}}));
    let reply = write(&mut session, 1000, b"lo");
    assert_eq!(reply, failure("failed to write to file: No space left on device"));
    assert_eq!(sim.with(|world| world.files.bytes("/tmp/f")), Some(b"hel".to_vec()));
}

#[test]
fn a_reply_far_larger_than_the_window() {
    let sim = Sim::new(1);
    let bytes: Vec<u8> =
        (0..1_000_001u32).map(|number| (number.wrapping_mul(number) / 128) as u8).collect();
    sim.with(|world| world.files.add("/tmp/f", Content::Regular(bytes.clone())));
    for (take_bytes_max, read_bytes_max) in [(usize::MAX, usize::MAX), (1, 1000), (4095, 1)] {
        let mut session = start(&sim);
        session.take_bytes_max = take_bytes_max;
        sim.with(|world| world.faults.shorten(read_bytes_max));
        let handle = open(&mut session, "/tmp/f", "r")["return"].clone();
        let arguments = json!({"handle": handle, "count": 48 * 1024 * 1024});
        let reply = ask(&mut session, "file-read", arguments);
        let value = &reply["return"];
        assert_eq!((&value["count"], &value["eof"]), (&json!(bytes.len()), &json!(true)));
        let text = value["buf-b64"].as_str().expect("text");
        assert!(BASE64.decode(text).expect("base64") == bytes, "other bytes");
    }
}

#[test]
fn a_read_that_fails_on_the_way_is_a_short_one() {
    let sim = Sim::new(1);
    sim.with(|world| world.files.add("/tmp/f", Content::Regular(vec![7; 100_000])));
    let mut session = start(&sim);
    assert_eq!(open(&mut session, "/tmp/f", "r"), json!({"return": 1000}));
    fail(&sim, Kind::Read, 5, Errno::IO);
    fail(&sim, Kind::Read, 6, Errno::IO);
    let read = json!({"handle": 1000, "count": 100_000});
    let first = ask(&mut session, "file-read", read.clone())["return"].clone();
    let count = first["count"].as_u64().expect("a count") as usize;
    assert!(count > 0 && count < 100_000 && first["eof"] == false, "{first}");
    let reply = ask(&mut session, "file-read", read.clone());
    assert_eq!(reply, failure("failed to read file: Input/output error"));
    let rest = &ask(&mut session, "file-read", read)["return"];
    assert_eq!((&rest["count"], &rest["eof"]), (&json!(100_000 - count), &json!(true)));
}

#[test]
fn a_close_that_fails_closes_all_the_same() {
    let sim = Sim::new(1);
    let mut session = start(&sim);
    assert_eq!(open(&mut session, "/tmp/f", "w"), json!({"return": 1000}));
    fail(&sim, Kind::Close, 0, Errno::DQUOT);
    let reply = ask(&mut session, "file-close", json!({"handle": 1000}));
    assert_eq!(reply, failure("failed to close handle: Disk quota exceeded"));
    let reply = ask(&mut session, "file-close", json!({"handle": 1000}));
    assert_eq!(reply, failure("handle '1000' has not been found"));
    assert_eq!(sim.with(|world| world.open.files), 0);
}

#[test]
fn no_number_is_given_out_before_it_is_saved() {
    let sim = Sim::new(1);
    let mut session = start(&sim);
    fail(&sim, Kind::SaveState, 0, Errno::NOSPC);
    let reply = open(&mut session, "/tmp/f", "w");
    let text = "failed to commit persistent state to disk: No space left on device";
    assert_eq!(reply, failure(text));
    assert_eq!(sim.with(|world| world.open.files), 0);
    assert_eq!(open(&mut session, "/tmp/f", "w"), json!({"return": 1000}));
    let state = sim.with(|world| world.store.state.clone());
    assert_eq!(state.as_deref(), Some(&b"[global]\nfd_counter=1001\n"[..]));
}

#[test]
fn as_many_handles_as_there_is_room_for() {
    let sim = Sim::new(1);
    let mut session = start(&sim);
    for handle in 1000..1000 + HANDLES_MAX {
        assert_eq!(open(&mut session, "/dev/null", "r"), json!({"return": handle}));
    }
    let reply = open(&mut session, "/dev/null", "r");
    let text = "too many open files: at most 128, close one first (guest-file-close)";
    assert_eq!(reply, failure(text));
    assert_eq!(sim.with(|world| world.open.files), HANDLES_MAX);
    let reply = ask(&mut session, "file-close", json!({"handle": 1005}));
    assert_eq!(reply, json!({"return": {}}));
    assert_eq!(open(&mut session, "/dev/null", "r"), json!({"return": 1000 + HANDLES_MAX}));
}

/// Handle numbers after a damaged state go on at the milliseconds since 1970, where the guest knows
/// them.
#[test]
fn a_damaged_state_goes_on_at_the_time_of_day() {
    const LEAST: u64 = 1 << 40;
    for (epoch_ms, handle) in
        [(0, LEAST), (1_704_067_200_000, 1_704_067_201_000), (LEAST, LEAST + 1000)]
    {
        let sim = Sim::new(1);
        sim.with(|world| {
            world.store.state = Some(b"damaged".to_vec());
            world.time.epoch_ms = epoch_ms;
        });
        assert_eq!(open(&mut start(&sim), "/dev/null", "r"), json!({"return": handle}));
    }
}

/// They are above all that can have been given out.
#[test]
fn a_damaged_state_starts_far_above() {
    let cut = format!("# {}\nfd_counter=123456\n", "x".repeat(238));
    let states: [&[u8]; 7] = [
        b"",
        b"[global]\n",
        b"[global]\nfd_counter=\n",
        b"[global]\nfd_counter=-5\n",
        b"[global]\nfd_counter=18446744073709551616\n",
        // The next handle would be negative.
        b"[global]\nfd_counter=9223372036854775807\n",
        // Longer than what is read of it: the number is cut.
        cut.as_bytes(),
    ];
    for state in states {
        let sim = Sim::new(1);
        sim.with(|world| world.store.state = Some(state.to_vec()));
        let mut session = start(&sim);
        let handle = open(&mut session, "/dev/null", "r")["return"].as_u64().expect("a handle");
        let shown = state.escape_ascii();
        assert!((1 << 40..1 << 62).contains(&handle), "{handle} after the damaged state {shown}");
    }
}

#[test]
fn a_state_with_other_lines_is_understood() {
    let sim = Sim::new(1);
    let state = b"# a comment\n[global]\nfd_counter=5000\n";
    sim.with(|world| world.store.state = Some(state.to_vec()));
    let mut session = start(&sim);
    assert_eq!(open(&mut session, "/dev/null", "r"), json!({"return": 5000}));
}

/// Whether `what` stands where the next bytes of the channel go.
fn remains(session: &mut Small, what: &[u8]) -> bool {
    let (agent, _) = session.parts();
    agent.space().windows(what.len()).any(|window| window == what)
}

#[test]
fn a_secret_is_wiped_with_its_reply() {
    let sim = Sim::new(1);
    let mut session = start(&sim);
    open(&mut session, "/tmp/f", "w+");
    // Longer than what is kept of a frame beside the space for the next one.
    let secret = &b"nobody is to find this, nor its text".repeat(SYNC_BYTES_MAX / 12)[..];
    let text = BASE64.encode(secret);
    // What is no secret stays, so this is where to look.
    let ping = "{\"execute\":\"guest-ping\"}\n";
    let id = "not so secret".repeat(SYNC_BYTES_MAX / 4);
    session.send(format!("{{\"execute\":\"guest-ping\",\"id\":\"{id}\"}}\n").as_bytes());
    assert!(remains(&mut session, b"not so secret"));
    for id in [1000, 4711] {
        write(&mut session, id, secret);
        assert!(
            !remains(&mut session, &secret[..8]) && !remains(&mut session, &text.as_bytes()[..8])
        );
        assert!(!remains(&mut session, b"not so secret"), "all of the frame is wiped");
    }
    // Half a request, a wrong one, and one with others after it.
    let request = format!(
        "{{\"execute\":\"guest-file-write\",\"arguments\":{{\"handle\":1000,\"buf-b64\":\"{text}\"}}}}\n"
    );
    session.send(&request.as_bytes()[..request.len() - 8]);
    session.parts().0.disconnected();
    session.send(b" ");
    assert!(!remains(&mut session, &text.as_bytes()[..8]), "after a client that hung up");
    session.send(request.replace("}}\n", ",}}\n").as_bytes());
    session.send(ping.as_bytes());
    assert!(
        !remains(&mut session, &text.as_bytes()[..8]),
        "after the next one that is not malformed"
    );
    let replies = session.send([ping, &request, ping, &request, ping].concat().as_bytes());
    assert_eq!(replies.iter().filter(|&&byte| byte == b'\n').count(), 5);
    assert!(!remains(&mut session, &text.as_bytes()[..8]), "after a pipeline");
}
