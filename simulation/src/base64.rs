//! Base64 of our own, slow and plain: the second opinion on the core's.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64, padded.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte));
        let bits = bits << (8 * (3 - three.len()));
        for digit in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize];
            text.push(if digit <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// The bytes of padded base64; panics where it is none.
pub fn decode(text: &str) -> Vec<u8> {
    assert_eq!(text.len() % 4, 0, "base64 that is not padded: {text}");
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.as_bytes().chunks(4) {
        let letters = four.iter().take_while(|&&letter| letter != b'=');
        let (mut bits, mut count) = (0u32, 0);
        for &letter in letters {
            bits = bits << 6 | digit(letter);
            count += 1;
        }
        let bits = bits << (6 * (4 - count));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..count]);
    }
    bytes
}

fn digit(letter: u8) -> u32 {
    let digit = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{:?} is no digit of base64", char::from(other)),
    };
    u32::from(digit)
}
