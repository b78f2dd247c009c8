//! While something is frozen a request of more than 16 KiB is swallowed in the memory that the
//! agent has anyway, with one error that says so, wherever the channel cuts it and however much of
//! it came before the freeze.

use crate::freeze::{ask, disks, frozen_disks};
use crate::guest::{Large, Small};
use qga_core::Step;
use qga_core::limits::FRAME_KEEP_BYTES;
use serde_json::json;

const TOO_LONG: &str = "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON request size limit \
    exceeded: at most 16384 bytes while frozen\"}}\n";
const PONG: &str = "{\"return\": {}}\n";

/// A ping of so many bytes.
fn ping(bytes: usize) -> String {
    let (start, end) = ("{\"execute\":\"guest-ping\"", "}");
    format!("{start}{}{end}", " ".repeat(bytes - start.len() - end.len()))
}

fn text(output: Vec<u8>) -> String {
    String::from_utf8(output).expect("ASCII")
}

#[test]
fn up_to_the_limit_and_beyond() {
    let (_, mut session) = frozen_disks(2);
    for (bytes, reply) in [
        (FRAME_KEEP_BYTES - 1, PONG),
        (FRAME_KEEP_BYTES, PONG),
        (FRAME_KEEP_BYTES + 1, TOO_LONG),
        (200_000, TOO_LONG),
        (4 << 20, TOO_LONG),
    ] {
        for piece in [usize::MAX, 10_000, 4096, 999] {
            let request = [ping(bytes), ping(30)].concat();
            let output = session.send_pieces(request.as_bytes(), piece.min(request.len()));
            assert_eq!(text(output), [reply, PONG].concat(), "{bytes} in pieces of {piece}");
        }
    }
    assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 2}));
    assert_eq!(text(session.send(ping(200_000).as_bytes())), PONG);
}

/// No byte beyond the first 16 KiB of the buffer is offered to the channel.
#[test]
fn no_more_room_is_asked_for() {
    let (_, mut session) = frozen_disks(1);
    let request = ping(100_000);
    let mut rest = request.as_bytes();
    while !rest.is_empty() {
        match session.step() {
            Step::Receive => {
                let room = session.parts().0.space().len();
                assert!((1..=FRAME_KEEP_BYTES).contains(&room), "room for {room} bytes");
                rest = &rest[session.put(rest)..];
            }
            Step::Transmit => drop(session.take(1000)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn behind_the_freeze_in_the_same_piece() {
    let freeze = "{\"execute\": \"guest-fsfreeze-freeze\"}";
    let thaw = "{\"execute\": \"guest-fsfreeze-thaw\"}";
    let text_of = |bytes| [freeze, &ping(bytes), &ping(40), thaw, &ping(bytes)].concat();
    for (bytes, reply) in [(16_384, PONG), (16_385, TOO_LONG), (60_000, TOO_LONG)] {
        let request = text_of(bytes);
        let expected = ["{\"return\": 2}\n", reply, PONG, "{\"return\": 2}\n", PONG].concat();
        for first in [request.len(), 50, 10_000, 16_400, 16_450, 30_000] {
            let mut session = Large::start(&disks(2)).expect("a start");
            let (first, second) = request.as_bytes().split_at(first.min(request.len()));
            let output = [session.send(first), session.send(second)].concat();
            assert_eq!(text(output), expected, "{bytes}, {} at first", first.len());
        }
    }
    // Where a frame has no more room than that anyway.
    let mut session = Small::start(&disks(2)).expect("a start");
    let output = text(session.send(text_of(16_385).as_bytes()));
    assert_eq!(output.matches("limit exceeded: at most 16384 bytes").count(), 2, "{output}");
    assert_eq!(output.lines().count(), 5, "{output}");
}

/// What is malformed after the limit is not looked at: the same error wherever it is cut.
#[test]
fn a_fault_behind_the_limit_is_not_said() {
    for bad in ["#", "]]", "\u{1}", &"[".repeat(100)] {
        let request = format!("{{\"execute\": \"{}\", {bad}}}\n", "x".repeat(17_000));
        for piece in [1000, 16_383, 16_384, 30_000] {
            let (_, mut session) = frozen_disks(1);
            let output = text(session.send_pieces(request.as_bytes(), piece));
            assert!(output.starts_with(TOO_LONG), "{bad} {piece}: {output}");
            session.disconnect();
            assert_eq!(ask(&mut session, "fsfreeze-thaw"), json!({"return": 1}));
        }
    }
}
