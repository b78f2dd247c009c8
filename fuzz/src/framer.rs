//! The framer: a stream of bytes and a way of cutting it in, the same frames and faults out
//! whatever the cut.
//!
//! The first byte chooses the cuts, the rest is the stream. Held against it: the stream in one
//! piece, the stream byte by byte, what serde_json finds in it if all of it is strict JSON, and the
//! promise that after a 0xFF the next request is found.

use crate::strict::{self, Opinion};
use qga_core::error::Slot;
use qga_core::internals::frame::{Framer, Scan};
use qga_core::internals::json::check::{Members, check};
use qga_core::internals::request::envelope;
use qga_core::limits::SYNC_BYTES_MAX;
use qga_sim::Random;

/// Small enough that a fuzzer finds its end.
const FRAME_BYTES: usize = 1024;
const PING: &[u8] = b"{\"execute\":\"guest-ping\"}";

/// What a framer found.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Event {
    Frame(Vec<u8>),
    /// A malformed request, and the text that it is answered with.
    Bad(String),
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let whole = events(stream, |left| left);
    let mut random = Random::new(u64::from(cut));
    let most = 1 + u64::from(cut % 32);
    let cut_up = events(stream, |_| 1 + random.below(most) as usize);
    assert_eq!(whole, cut_up, "the cut decides what is found");
    check_places(stream, &whole);
    check_recovery(stream, &whole);
    check_strict(stream, &whole);
}

/// Feeds a stream in pieces; `len` says how long the next one is, given how much is left.
fn events(stream: &[u8], mut len: impl FnMut(usize) -> usize) -> Vec<Event> {
    let mut framer = Framer::<FRAME_BYTES>::new();
    let (mut rest, mut found) = (stream, Vec::new());
    while !rest.is_empty() {
        let piece = len(rest.len()).clamp(1, rest.len());
        let (mut piece, after) = rest.split_at(piece);
        rest = after;
        while !piece.is_empty() {
            piece = feed(&mut framer, piece);
            while let Some(event) = next(&mut framer) {
                found.push(event);
            }
        }
    }
    found
}

fn feed<'p>(framer: &mut Framer<FRAME_BYTES>, piece: &'p [u8]) -> &'p [u8] {
    let space = framer.space();
    assert!(!space.is_empty() && space.len() <= FRAME_BYTES, "room for {} bytes", space.len());
    let len = space.len().min(piece.len());
    let (head, tail) = piece.split_at(len);
    space[..len].copy_from_slice(head);
    framer.received(len);
    tail
}

fn next(framer: &mut Framer<FRAME_BYTES>) -> Option<Event> {
    loop {
        let found = framer.scan();
        let place = framer.place();
        match found {
            Scan::More => return None,
            Scan::Frame => {
                assert!(!place.is_empty(), "an empty frame");
                return Some(Event::Frame(framer.part(place).to_vec()));
            }
            Scan::Bad(fault) => return Some(Event::Bad(framer.error(fault).to_string())),
            Scan::Sync => {
                let text = framer.part(place);
                assert!(
                    text.starts_with(b"{") && text.ends_with(b"}") && text.len() <= SYNC_BYTES_MAX
                );
                if is_sync(text) {
                    framer.resume();
                }
            }
        }
    }
}

/// Whether a text is a guest-sync, which is answered wherever a malformed request has it.
fn is_sync(text: &[u8]) -> bool {
    let (mut members, slot) = (Members::new(), Slot::new());
    if check(text, &mut members, &slot).is_err() {
        return false;
    }
    let parts = envelope(text, &members, &slot).parts;
    parts.is_ok_and(|parts| matches!(&text[parts.execute], b"guest-sync" | b"guest-sync-delimited"))
}

/// Byte by byte the same is found, and two faults in a row are two malformed requests: between a
/// stray and whatever comes next a line ends or a 0xFF resets the reader.
fn check_places(stream: &[u8], whole: &[Event]) {
    let mut framer = Framer::<FRAME_BYTES>::new();
    let mut found: Vec<(usize, Event)> = Vec::new();
    for (at, byte) in stream.iter().enumerate() {
        feed(&mut framer, std::slice::from_ref(byte));
        while let Some(event) = next(&mut framer) {
            found.push((at, event));
        }
    }
    assert!(found.iter().map(|(_, event)| event).eq(whole), "byte by byte something else is found");
    for pair in found.windows(2) {
        let [(first, Event::Bad(text)), second] = pair else { continue };
        // A guest-sync may stand on a line that is skipped.
        let sync = matches!(second, (_, Event::Frame(frame)) if is_sync(frame));
        if text.contains("stray") && !sync {
            let between = &stream[*first..=second.0];
            let ends = |byte: &u8| *byte == 0xFF || *byte < 0x20 && *byte != b'\t';
            assert!(between.iter().any(ends), "two answers to one malformed line: {found:?}");
        }
    }
}

/// After a 0xFF the next request is found, and nothing is said of what was partial before it.
fn check_recovery(stream: &[u8], whole: &[Event]) {
    let longer = [stream, b"\xFF", PING, b"\n"].concat();
    let found = events(&longer, |left| left);
    let (last, before) = found.split_last().expect("the ping");
    assert_eq!(*last, Event::Frame(PING.to_vec()), "the ping after 0xFF");
    assert_eq!(before, whole, "0xFF itself was answered");
}

/// Where all of the stream is strict JSON within the limits, the frames are its values; but for a
/// guest-sync in a value that is no request, which is taken for that of a new client.
fn check_strict(stream: &[u8], whole: &[Event]) {
    let Some(values) = strict::stream(stream) else { return };
    // A number ends only with the byte after it.
    let bracketed = |value: &[u8]| matches!(value.first(), Some(b'{' | b'[' | b'"'));
    let fits = |value: &[u8]| value.len() <= FRAME_BYTES && bracketed(value);
    let plain = |value: &[u8]| fits(value) && !strict::holds_sync(value);
    if values.iter().all(|value| plain(value) && strict::judge(value) == Opinion::Accepted) {
        let values = values.into_iter().map(|value| Event::Frame(value.to_vec()));
        assert!(values.eq(whole.iter().cloned()), "not the values that serde_json finds");
    }
}
