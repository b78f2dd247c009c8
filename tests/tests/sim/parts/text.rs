//! The characters of JSON strings, against the standard library's UTF-8.

use qga_core::internals::json::text::{
    Characters, character, decode_in_place, escape, is_named, plain_prefix, utf8,
};

/// The 66 code points that are no characters, by the Unicode standard's own list.
fn is_noncharacter(code: u32) -> bool {
    (0xFDD0..=0xFDEF).contains(&code) || matches!(code & 0xFFFF, 0xFFFE | 0xFFFF)
}

fn expected_character(code: u32) -> bool {
    char::from_u32(code).is_some() && !is_noncharacter(code)
}

#[test]
fn every_code_point_is_a_character_or_not() {
    for code in (0..=0x12_0000).chain([u32::MAX]) {
        let expected = char::from_u32(code).filter(|_| expected_character(code));
        assert_eq!(character(code), expected, "{code:x}");
    }
}

/// What [`utf8`] must say: of a sequence that is cut or broken the part up to the break.
fn expected_utf8(bytes: &[u8]) -> (Option<char>, usize) {
    let extra = match bytes.first() {
        None => return (None, 0),
        Some(0x00..=0x7F) => return (Some(char::from(bytes[0])), 1),
        Some(0xC0..=0xDF) => 1,
        Some(0xE0..=0xEF) => 2,
        Some(0xF0..=0xF7) => 3,
        Some(_) => return (None, 1),
    };
    let follow = bytes[1..].iter().take(extra).take_while(|byte| (0x80..0xC0).contains(*byte));
    let len = 1 + follow.count();
    if bytes.starts_with(&[0xC0, 0x80]) {
        return (Some('\0'), 2);
    }
    let text = std::str::from_utf8(&bytes[..len]).ok().filter(|_| len == 1 + extra);
    let code = text.and_then(|text| text.chars().next());
    (code.filter(|&code| !is_noncharacter(code.into())), len)
}

#[test]
fn every_sequence_of_bytes_is_read_as_utf8() {
    assert_eq!(utf8(b""), (None, 0));
    for first in 0..=255 {
        assert_eq!(utf8(&[first]), expected_utf8(&[first]), "{first:x}");
        for second in 0..=255 {
            let two = [first, second];
            assert_eq!(utf8(&two), expected_utf8(&two), "{two:x?}");
            if first >= 0xE0 {
                for third in 0..=255 {
                    let three = [first, second, third];
                    assert_eq!(utf8(&three), expected_utf8(&three), "{three:x?}");
                }
            }
        }
    }
    let edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xAF, 0xBE, 0xBF, 0xC0, 0xFF];
    for first in 0xF0..=0xFF {
        for second in 0x70..=0xC1 {
            for third in edges {
                for fourth in edges {
                    let four = [first, second, third, fourth, b'x'];
                    assert_eq!(utf8(&four), expected_utf8(&four), "{four:x?}");
                }
            }
        }
    }
}

#[test]
fn every_letter_behind_a_backslash() {
    for letter in 0..=255u8 {
        let expected = match letter {
            b'b' => (Some('\x08'), 2),
            b'f' => (Some('\x0C'), 2),
            b'n' => (Some('\n'), 2),
            b'r' => (Some('\r'), 2),
            b't' => (Some('\t'), 2),
            b'"' | b'\'' | b'\\' | b'/' => (Some(char::from(letter)), 2),
            b'u' => (None, 6),
            _ => (None, 0),
        };
        assert_eq!(escape(&[b'\\', letter, b'0', b'0', b'0']), expected, "{letter}");
    }
    assert_eq!(escape(b"\\"), (None, 0));
}

#[test]
fn every_number_of_an_escape() {
    for code in 0..=0xFFFF {
        let expected = match expected_character(code) {
            true => (char::from_u32(code), 6),
            false => (None, 6),
        };
        assert_eq!(escape(format!("\\u{code:04x}").as_bytes()), expected, "{code:x}");
        assert_eq!(escape(format!("\\u{code:04X}\\u0041").as_bytes()), expected, "{code:x}");
    }
    for wrong in ["\\u", "\\u004", "\\u00g0", "\\ug000", "\\u000 "] {
        assert_eq!(escape(wrong.as_bytes()), (None, 6), "{wrong}");
    }
}

#[test]
fn pairs_of_surrogates() {
    for high in 0xD800..=0xDBFFu32 {
        for low in [0xDBFF, 0xDC00, 0xDC01, 0xDDEF, 0xDFFD, 0xDFFE, 0xDFFF, 0xE000] {
            let text = format!("\\u{high:x}\\u{low:x}!");
            let units = [high as u16, low as u16];
            let code = String::from_utf16(&units).ok().and_then(|text| text.chars().next());
            let expected = match code {
                None => (None, 6),
                Some(code) if is_noncharacter(code.into()) => (None, 12),
                code => (code, 12),
            };
            assert_eq!(escape(text.as_bytes()), expected, "{text}");
        }
    }
    for wrong in ["\\ud800", "\\ud800\\n", "\\ud800\\udc0", "\\ud800-udc00", "\\udc00\\ud800"] {
        assert_eq!(escape(wrong.as_bytes()), (None, 6), "{wrong}");
    }
}

#[test]
fn every_length_of_a_character_is_decoded_where_it_stands() {
    for code in
        [0, 1, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD, 0x1_0000, 0xF_FFFD, 0x10_FFFD]
    {
        let character = char::from_u32(code).expect("a character");
        let mut units = [0; 2];
        let escapes =
            character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"));
        let mut text = format!("a{}\\n\\\\b", escapes.collect::<String>()).into_bytes();
        let expected = match code {
            0 => b"a\xC0\x80\n\\b".to_vec(),
            _ => format!("a{character}\n\\b").into_bytes(),
        };
        assert_eq!(decode_in_place(&mut text), expected, "{code:x}");
    }
    let mut plain = b"plain \xC3\xA4".to_vec();
    assert_eq!(decode_in_place(&mut plain), b"plain \xC3\xA4");
}

#[test]
fn a_name_is_known_however_it_is_written() {
    for (key, is) in [
        ("id", true),
        ("i\\u0064", true),
        ("\\u0069\\u0064", true),
        ("i", false),
        ("ie", false),
        ("idd", false),
        ("i\\u0065", false),
        ("i\\u0064d", false),
        ("i\\u00640", false),
        ("abcdefgh", false),
        ("", false),
    ] {
        assert_eq!(is_named(key.as_bytes(), "id"), is, "{key}");
    }
}

#[test]
fn what_is_invalid_comes_as_the_replacement_character() {
    let all: Vec<u32> = Characters(b"a\\q\\u00e4\xFFb\xE2\x82\\n\xC3\xA4\\").collect();
    let expected = [0x61, 0xFFFD, 0x71, 0xE4, 0xFFFD, 0x62, 0xFFFD, 10, 0xE4, 0xFFFD];
    assert_eq!(all, expected);
}

#[test]
fn plain_text_ends_at_the_first_byte_that_is_not() {
    for quote in [b'"', b'\''] {
        for len in 0..=24 {
            let plain = vec![b'x'; len];
            assert_eq!(plain_prefix(&plain, quote), len);
            for at in 0..len {
                for byte in 0..=255 {
                    let mut text = plain.clone();
                    text[at] = byte;
                    let is_plain = (b' '..0x80).contains(&byte) && byte != quote && byte != b'\\';
                    let expected = if is_plain { len } else { at };
                    assert_eq!(plain_prefix(&text, quote), expected, "{byte:x} at {at} of {len}");
                }
            }
        }
    }
}
