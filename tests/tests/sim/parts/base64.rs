//! Base64 against the crate `base64`, at every length around a block.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD as BASE64;
use qga_core::internals::base64::{decode_in_place, encode_in_place, raw_room};
use qga_core::internals::bulk::{BYTES_BLOCK, TEXT_BLOCK, decode_block, encode_block};

/// Bytes in which no piece is like another.
fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Lengths around nothing, one block and two.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=20)
        .chain(BYTES_BLOCK - 9..=BYTES_BLOCK + 9)
        .chain(2 * BYTES_BLOCK - 4..2 * BYTES_BLOCK + 5)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut text = text.as_bytes().to_vec();
    decode_in_place(&mut text).map(|bytes| bytes.to_vec())
}

#[test]
fn every_length_is_encoded_in_a_buffer_that_just_fits() {
    for len in lengths() {
        let bytes = bytes(len);
        for more in [0, 1, 2, 3, 4, 7, 2000] {
            let room = len.div_ceil(3) * 4 + more;
            let start = room - raw_room(room);
            let mut buffer = vec![0xEE; room];
            buffer[start..start + len].copy_from_slice(&bytes);
            let written = encode_in_place(&mut buffer, start..start + len);
            let text = String::from_utf8(buffer[..written].to_vec()).expect("ASCII");
            assert_eq!(text, BASE64.encode(&bytes), "{len} bytes in {room}");
        }
    }
}

#[test]
fn every_length_is_decoded_however_it_is_broken_into_lines() {
    for len in lengths() {
        let bytes = bytes(len);
        let text = BASE64.encode(&bytes);
        let bare = text.trim_end_matches('=');
        for text in [text.as_str(), bare] {
            assert_eq!(decoded(text).as_ref(), Some(&bytes), "{len}: {text}");
            for line in [1, 4, 76, TEXT_BLOCK - 1, TEXT_BLOCK, TEXT_BLOCK + 1] {
                let lines: Vec<&str> = text
                    .as_bytes()
                    .chunks(line)
                    .map(|line| std::str::from_utf8(line).unwrap())
                    .collect();
                for end in ["\n", "\r\n", "\\n", "\\r\\n"] {
                    let broken = lines.join(end);
                    assert_eq!(decoded(&broken).as_ref(), Some(&bytes), "{len} in lines of {line}");
                    let (before, after) = (format!("{end}{text}"), format!("{text}{end}"));
                    assert_eq!(decoded(&before).as_ref(), Some(&bytes), "{before}");
                    assert_eq!(decoded(&after).as_ref(), Some(&bytes), "{after}");
                }
            }
        }
    }
}

#[test]
fn padding_fits_or_is_refused() {
    let block = "A".repeat(TEXT_BLOCK);
    for before in ["", &block, "\\n", &format!("{block}\\n")] {
        for (end, len) in [
            ("", Some(0)),
            ("=", None),
            ("==", None),
            ("===", None),
            ("====", None),
            ("Q", None),
            ("Q=", None),
            ("Q==", None),
            ("Q===", None),
            ("QQ", Some(1)),
            ("QQ=", None),
            ("QQ==", Some(1)),
            ("QQ=\n=", Some(1)),
            ("QQ==\n", Some(1)),
            ("QQ===", None),
            ("QQ==Q", None),
            ("QQ=Q", None),
            ("QQ== ", None),
            ("QQQ", Some(2)),
            ("QQQ=", Some(2)),
            ("QQQ==", None),
            ("QQQ=QQQQ", None),
            ("QQQQ", Some(3)),
            ("QQQQ=", None),
            ("QQQQ==", None),
            ("QQQQQ", None),
            ("QQQQQQ", Some(4)),
        ] {
            let text = format!("{before}{end}");
            let before = before.matches('A').count() / 4 * 3;
            assert_eq!(
                decoded(&text).map(|bytes| bytes.len()),
                len.map(|len| before + len),
                "{end}"
            );
        }
    }
}

#[test]
fn every_byte_at_every_place_is_a_digit_or_is_refused() {
    let alphabet = alphabet::STANDARD.as_str().as_bytes();
    let plain = [b'A'; TEXT_BLOCK];
    let mut bytes = [0; BYTES_BLOCK];
    assert_eq!(decode_block(&plain, &mut bytes), Some(()));
    for place in [0, 1, 2, 3, 4, 5, 6, 7, 8, TEXT_BLOCK - 1] {
        for byte in 0..=255 {
            let mut text = plain;
            text[place] = byte;
            let digit = alphabet.iter().position(|&letter| letter == byte);
            assert_eq!(
                decode_block(&text, &mut bytes).is_some(),
                digit.is_some(),
                "{byte} at {place}"
            );
            let Some(digit) = digit else { continue };
            let four = &bytes[place / 4 * 3..][..3];
            let bits = u32::from_be_bytes([0, four[0], four[1], four[2]]);
            assert_eq!(bits, (digit as u32) << (18 - 6 * (place % 4)), "{byte} at {place}");
            let mut again = [0; TEXT_BLOCK];
            encode_block(&bytes, &mut again);
            assert_eq!(again, text);
        }
    }
}

#[test]
fn a_wrong_byte_anywhere_is_refused() {
    for len in [1, 2, 3, 30, BYTES_BLOCK - 1, BYTES_BLOCK, BYTES_BLOCK + 3] {
        let text = BASE64.encode(bytes(len));
        let text = text.trim_end_matches('=');
        for at in 0..text.len() {
            let mut wrong = text.as_bytes().to_vec();
            wrong[at] = b'-';
            assert_eq!(decode_in_place(&mut wrong), None, "{len}: at {at}");
        }
    }
}
