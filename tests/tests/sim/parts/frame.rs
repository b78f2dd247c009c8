//! The framer's buffer: what is moved, what a reset drops, what may be given back.

use qga_core::internals::frame::{Fault, Framer, Scan};
use qga_core::limits::{DEPTH_MAX, FRAME_KEEP_BYTES, SYNC_BYTES_MAX};
use std::ops::Range;

const ROOM: usize = 4 * FRAME_KEEP_BYTES;
const KEPT: usize = SYNC_BYTES_MAX;

/// A fault, and for what is no token its place.
type Bad = (Fault, Range<usize>);

const TOO_DEEP: Bad = (Fault::TooDeep, 0..0);
const TOO_LONG: Bad = (Fault::TooLong, 0..0);

/// Puts bytes in, as many as there is room for at a time; all that was found.
fn feed<const N: usize>(framer: &mut Framer<N>, mut bytes: &[u8]) -> Vec<Result<Vec<u8>, Bad>> {
    let mut found = Vec::new();
    loop {
        match framer.scan() {
            Scan::Frame => found.push(Ok(framer.part(framer.place()).to_vec())),
            Scan::Bad(Fault::Stray) => found.push(Err((Fault::Stray, framer.place()))),
            Scan::Bad(fault) => found.push(Err((fault, 0..0))),
            Scan::Sync => {
                if is_sync(framer.part(framer.place())) {
                    framer.resume();
                }
            }
            Scan::More if bytes.is_empty() => return found,
            Scan::More => {
                let space = framer.space();
                let len = space.len().min(bytes.len());
                space[..len].copy_from_slice(&bytes[..len]);
                framer.received(len);
                bytes = &bytes[len..];
            }
        }
    }
}

/// What the agent's table decides there.
fn is_sync(text: &[u8]) -> bool {
    let request = serde_json::from_slice::<serde_json::Value>(text);
    let name = request.as_ref().ok().and_then(|request| request["execute"].as_str());
    matches!(name, Some("guest-sync" | "guest-sync-delimited"))
}

fn frames<const N: usize>(framer: &mut Framer<N>, bytes: &[u8]) -> Vec<String> {
    let found = feed(framer, bytes).into_iter();
    found.map(|frame| String::from_utf8(frame.expect("a frame")).expect("text")).collect()
}

#[test]
fn a_new_one_is_empty_and_has_all_its_room() {
    let mut framer: Framer<ROOM> = Framer::default();
    assert!(framer.is_empty());
    assert_eq!(framer.scan(), Scan::More);
    assert_eq!(framer.space().len(), ROOM);
    assert_eq!(frames(&mut framer, b"{\"a\":1} {"), ["{\"a\":1}"]);
    assert!(!framer.is_empty());
    assert_eq!(frames(&mut framer, b"}"), ["{}"]);
    assert!(framer.is_empty());
}

#[test]
fn what_is_left_moves_to_the_front_whatever_its_length() {
    for len in [0, 1, 62, 63, 64, 65, 127, 128, 129, 500] {
        let lengths = [1, 3, 63, 200, KEPT - 2, KEPT - 1, KEPT, KEPT + 62];
        for before in
            lengths.into_iter().chain([3, 2, 1, 0].map(|less| 2 * KEPT - less)).chain([4 * KEPT])
        {
            let mut framer: Framer<4096> = Framer::new();
            let head = format!("[{}]", " ".repeat(before));
            let text: String = ('a'..='z').cycle().take(len).collect();
            let (half, rest) = (format!("{{\"x\": \"{text}"), "\"}");
            assert_eq!(frames(&mut framer, format!("{head}{half}").as_bytes()), [head.as_str()]);
            // What was there before is kept as far as a guest-sync could reach, and moved only when
            // it is as much again.
            let kept = if head.len() > 2 * KEPT { KEPT } else { head.len() };
            let room = 4096 - half.len() - kept;
            assert_eq!(framer.space().len(), room, "{len} after {before}");
            assert_eq!(frames(&mut framer, rest.as_bytes()), [format!("{half}{rest}")]);
        }
    }
}

#[test]
fn a_reset_drops_what_is_half_there() {
    for half in ["{\"a\": [[{", "{\"a", "[1, 2", "tru", "{\"execute\": \"x\\", "12"] {
        let mut framer: Framer<1024> = Framer::new();
        assert_eq!(frames(&mut framer, half.as_bytes()), [""; 0]);
        framer.reset();
        assert!(framer.is_empty());
        assert_eq!(frames(&mut framer, b"{\"b\": 1}"), ["{\"b\": 1}"], "{half}");
    }
    // Also what was being skipped or swallowed.
    let deep = "[".repeat(DEPTH_MAX + 1);
    for bad in ["&", deep.as_str(), "&\n x"] {
        let mut framer: Framer<1024> = Framer::new();
        assert!(feed(&mut framer, bad.as_bytes()).iter().any(Result::is_err), "{bad}");
        framer.reset();
        assert_eq!(frames(&mut framer, b"{\"b\": 1}"), ["{\"b\": 1}"], "{bad}");
    }
}

#[test]
fn nesting_up_to_the_limit() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let text = |depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        let mut framer: Framer<2048> = Framer::new();
        assert_eq!(frames(&mut framer, text(DEPTH_MAX).as_bytes()), [text(DEPTH_MAX)]);
        let found = feed(&mut framer, text(DEPTH_MAX + 1).as_bytes());
        assert_eq!(found, [Err(TOO_DEEP)]);
        assert_eq!(frames(&mut framer, b"[1]"), ["[1]"]);
    }
}

#[test]
fn a_frame_that_just_fits_and_one_byte_more() {
    const N: usize = 256;
    for more in 0..3 {
        let mut framer: Framer<N> = Framer::new();
        let text = format!("[\"{}\"]", "x".repeat(N - 5 + more));
        let found = feed(&mut framer, text.as_bytes());
        match more {
            0 | 1 => assert_eq!(found, [Ok(text.into_bytes())]),
            // The buffer is full before the frame is whole.
            _ => assert_eq!(found, [Err(TOO_LONG)]),
        }
        assert_eq!(frames(&mut framer, b"[1]"), ["[1]"], "{more}");
    }
}

#[test]
fn memory_of_a_large_request_is_given_back_once_it_is_empty() {
    let mut framer: Framer<ROOM> = Framer::new();
    assert!(framer.reclaim().is_none());
    let large = format!("[\"{}\"]", "x".repeat(2 * FRAME_KEEP_BYTES));
    let bytes = format!("{large} [");
    assert_eq!(frames(&mut framer, bytes.as_bytes()), [large.as_str()]);
    assert!(framer.reclaim().is_none(), "half a request is in it");
    assert_eq!(frames(&mut framer, b"1]"), ["[1]"]);
    let free = framer.reclaim().expect("memory to give back");
    assert_eq!(free.len(), ROOM - FRAME_KEEP_BYTES);
    // What they hold does not matter any more.
    free.fill(b'}');
    assert!(framer.reclaim().is_none(), "given back twice");
    assert_eq!(framer.space().len(), ROOM - KEPT - "[1]".len());
    assert_eq!(frames(&mut framer, b"[2]"), ["[2]"]);
}

#[test]
fn what_is_always_kept_is_not_given_back() {
    assert_eq!(FRAME_KEEP_BYTES, 16_384, "requests of ordinary size cost no page fault");
    for (len, back) in [
        (FRAME_KEEP_BYTES - 1, 0),
        (FRAME_KEEP_BYTES, 0),
        (FRAME_KEEP_BYTES + 1, ROOM - FRAME_KEEP_BYTES),
    ] {
        let mut framer: Framer<ROOM> = Framer::new();
        let text = format!("[\"{}\"]", "x".repeat(len - 4));
        assert_eq!(frames(&mut framer, text.as_bytes()), [text]);
        assert_eq!(framer.reclaim().map_or(0, |free| free.len()), back, "{len}");
    }
}

#[test]
fn a_bracket_too_many_ends_what_can_never_balance() {
    for text in ["}", "]", "[}", "{]", "[[}", "{{]", "[{[}]}}", "{[[{}}}"] {
        for last in 1..=text.len() {
            let mut framer: Framer<64> = Framer::new();
            let (mut braces, mut brackets) = (0, 0);
            let ends = text.bytes().position(|byte| {
                match byte {
                    b'{' => braces += 1,
                    b'}' => braces -= 1,
                    b'[' => brackets += 1,
                    _ => brackets -= 1,
                }
                braces < 0 || brackets < 0 || braces + brackets == 0
            });
            let end = ends.expect("an end") + 1;
            let found = frames(&mut framer, &text.as_bytes()[..last]);
            let first = found.first().map(String::as_str);
            assert_eq!(first, (end <= last).then_some(&text[..end]), "{}", &text[..last]);
        }
    }
}

#[test]
fn behind_a_line_that_was_cut_short_only_a_brace_begins_anew() {
    for (next, is_new) in [
        ("{\"a\": 1}", true),
        (" {\"a\": 1}", true),
        ("\t \t{\"a\": 1}", true),
        ("\r\n \n{\"a\": 1}", true),
        ("\u{1}{\"a\": 1}", true),
        ("\n[{\"a\": 1}]", false),
        ("\r\nx", false),
        ("x{\"a\": 1}", false),
        ("x {\"a\": 1}", false),
        (" x{\"a\": 1}", false),
        ("[{\"a\": 1}]", false),
        ("\" {\"a\": 1}", false),
        ("x\u{1f}{\"a\": 1}", true),
        ("x\ty {\"a\": 1}", false),
    ] {
        let mut framer: Framer<256> = Framer::new();
        let found = feed(&mut framer, format!("{{\"b\": \"cut\n{next}").as_bytes());
        let mut expected = vec![Err((Fault::Stray, 6..11))];
        expected.extend(is_new.then(|| Ok(b"{\"a\": 1}".to_vec())));
        assert_eq!(found, expected, "{next:?}");
        assert_eq!(frames(&mut framer, b"\n[2]"), ["[2]"], "{next:?}");
    }
}

#[test]
fn what_is_no_token_is_skipped_to_the_end_of_its_line() {
    for (bytes, found) in [
        (&b"& [1] & {\"a\": 1}\n[2]"[..], "[2]"),
        (b"& \t[1]\r[2]", "[2]"),
        (b"&\xFF[2]", "[2]"),
        (b"& {\xFF[2]", "[2]"),
        (b"&\x00[2]", "[2]"),
    ] {
        let mut framer: Framer<256> = Framer::new();
        let all = feed(&mut framer, bytes);
        assert_eq!(all, [Err((Fault::Stray, 0..1)), Ok(found.as_bytes().to_vec())]);
    }
}
