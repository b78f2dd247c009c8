//! The agent's own words: packed when they are compiled, read character by character.

use fastrand::Rng;
use qga_core::text::{Packed, Phrase, Text};
use qga_core::{Errno, phrase, phrases, text};

const CHARACTERS: usize = 48;

/// What a text of so many characters reads as when it was packed, and how many bytes it was then.
fn through(plain: &str) -> (String, usize) {
    let packed = Packed::<CHARACTERS>::new(plain);
    let bytes: &'static [u8] = packed.as_bytes().to_vec().leak();
    (Phrase::of(bytes).to_string(), bytes.len())
}

#[test]
fn what_is_packed_reads_as_before() {
    let errnos: Vec<String> = (1..134).map(|number| Errno::new(number).to_string()).collect();
    let all: String = errnos.join("\n").chars().filter(|letter| *letter != '`').collect();
    let mut random = Rng::with_seed(1);
    for round in 0..2000 {
        // Pieces of texts, cut anywhere, and other letters between them.
        let mut plain = String::new();
        while plain.len() < CHARACTERS {
            let start = random.usize(..all.len() - CHARACTERS);
            plain.push_str(&all[start..start + random.usize(1..CHARACTERS)]);
            plain.push(char::from(random.u8(b' '..=b'_')));
        }
        plain.truncate(CHARACTERS);
        let (read, bytes) = through(&plain);
        assert_eq!(read, plain, "round {round}");
        assert!(bytes <= CHARACTERS);
    }
}

#[test]
fn a_text_becomes_shorter() {
    let plain = "Invalid or incomplete multibyte or wide characte";
    assert!(through(plain).1 < 30, "{plain}");
}

#[test]
#[should_panic = "printable ASCII"]
fn what_cannot_be_packed_is_refused() {
    through(&"\u{7F}".repeat(CHARACTERS));
}

#[test]
fn phrases_have_numbers() {
    let counted = phrases!["none", "one\nline", "", "three"];
    for (number, plain) in ["none", "one\nline", "", "three", "", ""].iter().enumerate() {
        assert_eq!(counted.nth(number).to_string(), *plain);
        assert_eq!(counted.nth(number).is_empty(), plain.is_empty());
    }
    let named = phrases![2 => "two", 5 => "five"];
    let read: Vec<String> = (0..7).map(|number| named.nth(number).to_string()).collect();
    assert_eq!(read, ["", "", "two", "", "", "five", ""]);
}

#[test]
fn a_text_is_found_by_what_it_says() {
    assert_eq!(text!("failed to read file").to_string(), "failed to read file");
    assert_ne!(text!("failed to read file"), text!("failed to thaw"));
    assert_eq!(format!("{:?}", text!("levels")), "\"levels\"");
    assert_eq!((Text::NONE.to_string(), Phrase::NONE.to_string()), (String::new(), String::new()));
}

#[test]
fn what_nobody_has_packed_can_be_read() {
    assert_eq!(Phrase::plain("guest-ping").to_string(), "guest-ping");
    assert_eq!(phrase!("guest-ping").to_string(), "guest-ping");
}
