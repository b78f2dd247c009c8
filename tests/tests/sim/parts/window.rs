//! Replies where the window ends: at every size, the same bytes; an element that fits no window is left out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qga_core::command::State;
use qga_core::json::write::Writer;
use qga_core::limits::WINDOW_BYTES_MIN;
use qga_core::response::{Bytes, Echo, List, Rows, Window};
use qga_core::{Agent, Errno};
use qga_sim::Sim;

/// All that `fill` writes through windows of `room` bytes, and how many it took.
fn through(room: usize, mut fill: impl FnMut(&mut Writer<'_>) -> bool) -> (String, usize) {
    let (mut text, mut windows) = (Vec::new(), 0);
    loop {
        let mut bytes = vec![0xEE; room];
        let mut out = Writer::new(&mut bytes);
        let whole = fill(&mut out);
        assert!(!out.is_full(), "said to be full");
        text.extend_from_slice(out.written());
        windows += 1;
        if whole {
            return (String::from_utf8(text).expect("ASCII"), windows);
        }
        assert!(windows < 10_000, "no end: {}", text.escape_ascii());
    }
}

/// Elements of growing lengths.
fn next(_: &mut Sim, _: &State<Sim>, cursor: &mut usize, out: &mut Writer<'_>) -> bool {
    if *cursor == 9 {
        return false;
    }
    out.ascii("\"");
    for _ in 0..*cursor * 3 {
        out.ascii("x");
    }
    out.ascii("\"");
    *cursor += 1;
    true
}

static LIST: List<Sim> = List { head: "{\"of\": ", tail: "}", next };

fn elements(lens: impl Iterator<Item = usize>) -> String {
    let elements: Vec<String> = lens.map(|n| format!("\"{}\"", "x".repeat(n * 3))).collect();
    format!("{{\"of\": [{}]}}", elements.join(", "))
}

#[test]
fn a_list_is_the_same_through_every_window_that_holds_its_elements() {
    let longest = ", \"".len() + 8 * 3 + 1;
    let (mut sim, state) = (Sim::new(1), Box::new(State::new()));
    for room in longest..300 {
        let mut rows = Rows::new(&LIST);
        let (text, windows) = through(room, |out| rows.fill(&mut sim, &state, out));
        assert_eq!(text, elements(0..9), "{room}");
        assert!(windows >= text.len().div_ceil(room), "{room}");
    }
}

#[test]
fn an_element_that_fits_no_window_is_left_out() {
    let (mut sim, state) = (Sim::new(1), Box::new(State::new()));
    let mut rows = Rows::new(&LIST);
    let room = ", \"".len() + 5 * 3 + 1;
    let (text, _) = through(room, |out| rows.fill(&mut sim, &state, out));
    assert_eq!(text, elements(0..6));
}

fn read(_: &mut Sim, _: &mut State<Sim>, handle: i64, into: &mut [u8]) -> Result<usize, Errno> {
    let len = into.len().min(handle as usize);
    into[..len].fill(b'y');
    Ok(len)
}

fn read_at_most_1(
    _: &mut Sim,
    _: &mut State<Sim>,
    _: i64,
    into: &mut [u8],
) -> Result<usize, Errno> {
    into[0] = b'y';
    Ok(1)
}

#[test]
fn bytes_are_the_same_through_every_window() {
    let (mut sim, mut state) = (Sim::new(1), Box::new(State::new()));
    for room in [1024, 1025, 1026, 1027, 1028, 1087, 1088, 1089, 1100, 2000, 4096] {
        for count in [0, 1, 2, 3, 700, 767, 768, 769, 1000, 1536, 3000] {
            for piece in [1, 2, 3, 500, 100_000] {
                let mut bytes = Bytes::new(read, piece, count);
                let (text, _) =
                    through(room, |out| bytes.fill(&mut sim, &mut state, out).expect("bytes"));
                let data = BASE64.encode(vec![b'y'; count as usize]);
                let expected =
                    format!("{{\"buf-b64\": \"{data}\", \"count\": {count}, \"eof\": false}}");
                assert_eq!(text, expected, "{count} by {piece} in {room}");
            }
        }
    }
}

#[test]
fn the_end_of_bytes_waits_for_room() {
    let (mut sim, mut state) = (Sim::new(1), Box::new(State::new()));
    for taken in 0..100 {
        let mut bytes = Bytes::new(read_at_most_1, 0, 0);
        let mut buffer = [0; 100];
        let mut out = Writer::after(&mut buffer, taken);
        let whole = bytes.fill(&mut sim, &mut state, &mut out).expect("nothing fails");
        let room = 100 - taken - "{\"buf-b64\": \"".len().min(100 - taken);
        assert_eq!(whole, room >= 64, "{room} bytes left");
    }
}

fn echoed(room: usize, frame: &str) -> (String, usize) {
    let mut echo = Echo::new(0..frame.len());
    through(room, |out| echo.fill(frame.as_bytes(), out))
}

#[test]
fn an_id_is_the_same_through_every_window() {
    let id = "{'a':[1,-2.5e3,true,null], \"b\\u00e4\\ud83d\\ude00\" : \"x\\ty\u{e4}\\/'\\\"\" }";
    let expected = ", \"id\": {\"a\": [1, -2.5e3, true, null], \"b\\u00E4\\uD83D\\uDE00\": \
        \"x\\ty\\u00E4/'\\\"\"}}\n";
    for room in 16..200 {
        assert_eq!(echoed(room, id).0, expected, "{room}");
    }
    for room in 16..40 {
        assert_eq!(echoed(room, "").0, "}\n");
        assert_eq!(echoed(room, "' \\n ,:\"'").0, ", \"id\": \" \\n ,:\\\"\"}\n");
    }
}

#[test]
fn an_echo_waits_for_the_room_of_its_longest_step() {
    for (frame, steps) in [("", 1), ("1", 3)] {
        for taken in 0..30 {
            let mut echo = Echo::new(0..frame.len());
            let mut buffer = [0; 30];
            let mut out = Writer::after(&mut buffer, taken);
            let whole = echo.fill(frame.as_bytes(), &mut out);
            let before: &[usize] = if steps == 1 { &[0] } else { &[0, 8, 9] };
            let expected = before.iter().all(|before| 30 - taken >= before + 16);
            assert_eq!(whole, expected, "{frame} after {taken}");
        }
    }
}

#[test]
fn a_window_gives_out_what_was_kept() {
    let mut window: Window<8> = Window::default();
    assert!(window.pending().is_empty());
    let mut out = window.writer();
    out.ascii("abcdef");
    let len = out.len();
    window.keep(len);
    assert_eq!(window.pending(), b"abcdef");
    window.sent(2);
    assert_eq!(window.pending(), b"cdef");
    let mut out = window.writer();
    out.ascii("gh");
    let len = out.len();
    window.keep(len);
    assert_eq!(window.pending(), b"cdefgh");
    window.sent(99);
    assert!(window.pending().is_empty());
    assert_eq!(window.writer().free().len(), 8);
    window.keep(99);
    assert_eq!(window.pending().len(), 8);
    window.clear();
    assert!(window.pending().is_empty());
}

#[test]
fn a_reply_that_fits_no_window_is_an_error() {
    let mut sim = Sim::new(1);
    let mut agent: Box<Agent<Sim, 4096, WINDOW_BYTES_MIN>> = Box::default();
    agent.start(&mut sim).expect("a start");
    assert!(agent.state().files.is_empty());
}
