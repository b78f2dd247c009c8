//! Base64 both ways, held against the crate `base64`.
//!
//! The first byte chooses between decoding the rest, which is the inside of a JSON string, and
//! encoding it in pieces, as a file's windows are, and reading it back with line breaks anywhere.

use crate::input::Input;
use crate::strict;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::STANDARD as PADDED;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use qga_core::internals::base64::{decode_in_place, encode_in_place, raw_room};
use qga_sim::Random;

/// Bits after the last byte do not matter, as for every decoder that clients know.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() {
        mode @ ..128 => encode(input.rest, u64::from(mode)),
        _ => decode(input.rest),
    }
}

/// What the text stands for, by the other decoder: newlines count for nothing, the padding is whole
/// or not there at all.
fn expected(text: &str) -> Option<Vec<u8>> {
    let text: String = text.chars().filter(|character| !matches!(character, '\n' | '\r')).collect();
    let decode = |padding| {
        let config = LENIENT.with_decode_padding_mode(padding);
        GeneralPurpose::new(&STANDARD, config).decode(&text).ok()
    };
    decode(DecodePaddingMode::RequireCanonical).or_else(|| decode(DecodePaddingMode::RequireNone))
}

/// Where the bytes are the inside of a JSON string the two decoders agree; elsewhere ours survives.
fn decode(text: &[u8]) {
    let mut ours = text.to_vec();
    let found = decode_in_place(&mut ours).map(|bytes| bytes.to_vec());
    let quoted = [b"\"", text, b"\""].concat();
    // What the dialect does not have as a character never gets as far as this.
    if let Ok(string) = serde_json::from_slice::<String>(&quoted)
        && strict::plain(&string)
    {
        assert_eq!(found, expected(&string), "decoded from {string:?}");
    }
}

/// Pieces of any length, all but the last without padding, are together what the whole is; and the
/// text of the whole, broken into lines at any width, is the bytes again.
fn encode(bytes: &[u8], seed: u64) {
    let mut random = Random::new(seed);
    let whole = PADDED.encode(bytes);
    let mut text = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let most = 4 + random.below(if seed & 1 == 0 { 40 } else { 4000 }) as usize;
        let len = (raw_room(most) / 3 * 3).min(rest.len());
        let (piece, after) = rest.split_at(len);
        rest = after;
        // As in the agent: the bytes lie at the end of the room, or after its usual place.
        let mut room = vec![0xA5; most];
        let begin = most - len;
        room[begin..].copy_from_slice(piece);
        let written = encode_in_place(&mut room, begin..most);
        text.extend_from_slice(&room[..written]);
    }
    assert!(text == whole.as_bytes(), "encoded in pieces: {}", text.escape_ascii());
    let width = 1 + random.below(80) as usize;
    let mut lines = text.chunks(width).collect::<Vec<_>>().join(&b"\n"[..]);
    let decoded = decode_in_place(&mut lines);
    assert!(decoded.is_some_and(|decoded| decoded == bytes), "encoded and decoded");
}
