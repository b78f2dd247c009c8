//! The window, and the echo of an `id` where it ends: at every size the same bytes.

use qga_core::internals::response::{Echo, Window};
use qga_core::writer::Writer;

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
