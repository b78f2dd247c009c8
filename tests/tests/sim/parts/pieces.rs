//! Replies in pieces: any list, any sizes of its elements and texts, through windows of any sizes,
//! one after the other: the same text as written at once. What a wrong piece would do to it is
//! found.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fastrand::Rng;
use qga_core::Errno;
use qga_core::internals::response::{Cursor, Failed, Piece, Stream, fill};
use qga_core::internals::state::State;
use qga_core::limits::PIECE_BYTES_MAX;
use qga_core::text;
use qga_core::writer::Writer;
use qga_sim::Sim;
use std::cell::RefCell;

/// Cases of an ordinary run.
const CASES: u64 = 1_000_000;

/// A reply: a list of objects, each with a text and a list of texts.
#[derive(Default)]
struct Reply(Vec<(Vec<u8>, Vec<Vec<u8>>)>);

thread_local! {
    /// What the pieces write; they are plain functions.
    static REPLY: RefCell<Reply> = RefCell::default();
}

impl Reply {
    /// Small ones mostly: a long text costs as much as a thousand short ones.
    fn random(rng: &mut Rng) -> Self {
        let text = |rng: &mut Rng| {
            let len = match rng.u8(..) {
                0 => rng.usize(..3 * PIECE_BYTES_MAX),
                1..=9 => rng.usize(..200),
                _ => rng.usize(..6),
            };
            let plain = rng.bool();
            (0..len).map(|_| if plain { rng.u8(b'a'..=b'z') } else { rng.u8(..) }).collect()
        };
        let elements = if rng.u8(..) == 0 { rng.usize(..100) } else { rng.usize(..4) };
        let element = |rng: &mut Rng| {
            let inner = rng.usize(..4);
            (text(rng), (0..inner).map(|_| text(rng)).collect())
        };
        Reply((0..elements).map(|_| element(rng)).collect())
    }

    /// All of it, written at once, without the code under test but for the characters of a text.
    fn expected(&self) -> Vec<u8> {
        let quoted = |text: &[u8]| {
            let mut bytes = vec![0; 6 * text.len() + 2];
            let mut out = Writer::new(&mut bytes);
            out.string(text);
            out.written().to_vec()
        };
        let element = |(text, inner): &(Vec<u8>, Vec<Vec<u8>>)| {
            let inner: Vec<_> = inner.iter().map(|text| quoted(text)).collect();
            [&b"{\"name\": "[..], &quoted(text), b", \"in\": [", &inner.join(&b", "[..]), b"]}"]
                .concat()
        };
        let elements: Vec<_> = self.0.iter().map(element).collect();
        [&b"["[..], &elements.join(&b", "[..]), b"]"].concat()
    }
}

type Written = Result<bool, Failed>;

/// The reply as a command writes it.
fn piece(_: &mut Sim, _: &mut State<Sim>, cursor: &mut Cursor, out: &mut Writer<'_>) -> Written {
    Ok(REPLY.with_borrow(|reply| step(reply, cursor, out)))
}

fn step(Reply(elements): &Reply, cursor: &mut Cursor, out: &mut Writer<'_>) -> bool {
    let element = elements.get(cursor.outer);
    match (cursor.part, element) {
        (0, _) => {
            cursor.open("[", out);
            cursor.part = 1;
        }
        (1, None) => {
            cursor.close("]", out);
            return false;
        }
        (1, Some(_)) => {
            cursor.element(out);
            cursor.open("{\"name\": ", out);
            cursor.part = 2;
        }
        (2, Some((text, _))) => {
            if cursor.string(text, out) {
                cursor.part = 3;
            }
        }
        (3, _) => {
            cursor.open(", \"in\": [", out);
            (cursor.part, cursor.inner) = (4, 0);
        }
        (4, Some((_, inner))) if cursor.inner < inner.len() => {
            cursor.element(out);
            cursor.part = 5;
        }
        (4, _) => {
            cursor.close("]}", out);
            (cursor.part, cursor.outer) = (1, cursor.outer + 1);
        }
        (5, Some((_, inner))) => {
            if cursor.string(&inner[cursor.inner], out) {
                (cursor.part, cursor.inner) = (4, cursor.inner + 1);
            }
        }
        other => panic!("part {} of nothing", other.0),
    }
    true
}

/// Forgets the comma between two elements.
fn no_comma(_: &mut Sim, _: &mut State<Sim>, cursor: &mut Cursor, out: &mut Writer<'_>) -> Written {
    Ok(REPLY.with_borrow(|reply| {
        if cursor.part == 1 && cursor.outer > 0 && cursor.outer < reply.0.len() {
            cursor.open("{\"name\": ", out);
            cursor.part = 2;
            return true;
        }
        step(reply, cursor, out)
    }))
}

/// Leaves an element out that has no texts inside.
fn no_empty(_: &mut Sim, _: &mut State<Sim>, cursor: &mut Cursor, out: &mut Writer<'_>) -> Written {
    Ok(REPLY.with_borrow(|reply| {
        if cursor.part == 1 && reply.0.get(cursor.outer).is_some_and(|(_, inner)| inner.is_empty())
        {
            cursor.outer += 1;
            return true;
        }
        step(reply, cursor, out)
    }))
}

/// What comes of the reply through windows of random sizes.
fn through(sim: &mut Sim, state: &mut State<Sim>, rng: &mut Rng, piece: Piece<Sim>) -> Vec<u8> {
    let mut cursor = Cursor::new();
    let mut text = Vec::new();
    let mut bytes = [0xEE; 3 * PIECE_BYTES_MAX];
    loop {
        let room = match rng.u8(..4) {
            0 => PIECE_BYTES_MAX,
            1 => rng.usize(PIECE_BYTES_MAX..PIECE_BYTES_MAX + 40),
            _ => rng.usize(PIECE_BYTES_MAX..bytes.len()),
        };
        let mut out = Writer::new(&mut bytes[..room]);
        let whole = fill(piece, sim, state, &mut cursor, &mut out).expect("nothing fails");
        text.extend_from_slice(out.written());
        if whole {
            return text;
        }
        assert!(!out.is_empty(), "no piece was written into {room} bytes");
    }
}

/// The first of so many cases in which `piece` writes something else.
fn first_wrong(piece: Piece<Sim>, seed: u64, cases: u64) -> Option<u64> {
    let (mut sim, mut state) = (Sim::new(1), Box::new(State::new()));
    let mut rng = Rng::with_seed(seed);
    (0..cases).find(|_| {
        let reply = Reply::random(&mut rng);
        let expected = reply.expected();
        REPLY.set(reply);
        through(&mut sim, &mut state, &mut rng, piece) != expected
    })
}

#[test]
fn a_list_is_the_same_through_all_windows() {
    let halves = [11, 12].map(|seed| {
        std::thread::spawn(move || first_wrong(piece, seed, CASES / 2).map(|case| (seed, case)))
    });
    for half in halves {
        assert_eq!(half.join().expect("no panic"), None, "(seed, case)");
    }
}

#[test]
fn a_lost_comma_and_a_lost_element_are_found() {
    assert!(first_wrong(no_comma, 1, 1000).is_some());
    assert!(first_wrong(no_empty, 1, 1000).is_some());
}

#[test]
fn a_piece_that_fits_no_window_is_an_error() {
    fn too_large(
        _: &mut Sim,
        _: &mut State<Sim>,
        cursor: &mut Cursor,
        out: &mut Writer<'_>,
    ) -> Written {
        cursor.outer += 1;
        out.ascii(&"x".repeat(PIECE_BYTES_MAX + cursor.outer));
        Ok(true)
    }
    let (mut sim, mut state) = (Sim::new(1), Box::new(State::new()));
    let mut bytes = [0; PIECE_BYTES_MAX];
    let mut out = Writer::new(&mut bytes);
    let result = fill(too_large, &mut sim, &mut state, &mut Cursor::default(), &mut out);
    assert_eq!(result, Err(Failed(text!("failed to write the reply"), Errno::OVERFLOW)));
}

#[test]
fn a_window_without_room_for_a_piece_waits() {
    let (mut sim, mut state) = (Sim::new(1), Box::new(State::new()));
    let mut bytes = [0; PIECE_BYTES_MAX];
    let mut out = Writer::after(&mut bytes, 1);
    let result = fill(piece, &mut sim, &mut state, &mut Cursor::new(), &mut out);
    assert_eq!(result, Ok(false));
    assert_eq!(out.len(), 1, "nothing was written");
}

/// Two texts in one piece: wherever the first one ends, the second begins once.
#[test]
fn a_text_begins_once_wherever_there_is_room() {
    for room in 0..60 {
        let (mut cursor, mut text, mut bytes) = (Cursor::new(), Vec::new(), [0; 60]);
        for free in [room, 60] {
            let mut out = Writer::new(&mut bytes[..free]);
            let whole = cursor.string(b"abcdefghijklmnop", &mut out);
            text.extend_from_slice(out.written());
            if whole {
                break;
            }
        }
        assert_eq!(text, b"\"abcdefghijklmnop\"", "{room}");
    }
}

/// All bytes of `stream` through windows of `room` bytes, read `at_once` at a time.
fn streamed(room: usize, count: u64, at_once: usize) -> (Vec<u8>, Stream) {
    let (mut stream, mut text, mut bytes) = (Stream::of(count), Vec::new(), vec![0; room]);
    while stream.goes_on() {
        let mut out = Writer::new(&mut bytes);
        let read = |into: &mut [u8]| {
            let len = into.len().min(at_once);
            into[..len].fill(b'y');
            Ok(len as u32)
        };
        stream.chunk(&mut out, &mut { read }).expect("nothing fails");
        text.extend_from_slice(out.written());
    }
    (text, stream)
}

#[test]
fn bytes_are_the_same_through_every_window() {
    for room in [1024, 1025, 1026, 1027, 1028, 1087, 1088, 1089, 1100, 2000, 4096] {
        for count in [0, 1, 2, 3, 700, 767, 768, 769, 1000, 1536, 3000] {
            for at_once in [1, 2, 3, 500, 100_000] {
                let (text, stream) = streamed(room, count, at_once);
                let expected = BASE64.encode(vec![b'y'; count as usize]);
                assert_eq!(text, expected.as_bytes(), "{count} by {at_once} in {room}");
                assert_eq!((stream.count, stream.eof), (count, false));
            }
        }
    }
}

#[test]
fn an_end_and_an_error_end_the_bytes() {
    let mut bytes = [0; 2048];
    let mut stream = Stream::of(10);
    let mut out = Writer::new(&mut bytes);
    assert_eq!(
        stream.chunk(&mut out, &mut |_| Err(Errno::IO)),
        Err(Errno::IO),
        "nothing was read yet"
    );
    let four = |into: &mut [u8]| {
        into[..4].fill(b'y');
        Ok(4)
    };
    stream.chunk(&mut out, &mut { four }).expect("4 bytes");
    assert!(stream.goes_on());
    stream.chunk(&mut out, &mut |_| Err(Errno::IO)).expect("what was read counts");
    assert!(!stream.goes_on() && !stream.eof && stream.count == 4);
    assert_eq!(out.written(), BASE64.encode("yyyy").as_bytes());
    let mut stream = Stream::default();
    assert!(!stream.goes_on());
    stream = Stream::of(1);
    stream.chunk(&mut out, &mut |_| Ok(0)).expect("the end");
    assert!(!stream.goes_on() && stream.eof);
}
