//! What a client may expect of guest-file-*: the open files as the replies have told of them, and
//! base64 of its own. The bytes themselves are looked up in the guest.

use qga_sim::Sim;
use serde_json::Value;
use std::collections::BTreeMap;

/// An open file, as far as its replies tell.
#[derive(Clone, Debug)]
pub struct OpenFile {
    /// Its path.
    pub path: &'static str,
    /// The mode it was opened with.
    pub mode: &'static str,
    /// Where it stands.
    pub position: u64,
}

/// The open files by handle.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The files that the client opened.
    pub files: BTreeMap<i64, OpenFile>,
    /// Every handle ever given out is below this.
    pub next_handle: i64,
}

impl Model {
    /// A new handle: never one that was given out before.
    pub fn opened(&mut self, handle: i64, path: &'static str, mode: &'static str) {
        assert!(handle >= self.next_handle, "handle {handle} was given out before");
        self.next_handle = handle + 1;
        self.files.insert(handle, OpenFile { path, mode, position: 0 });
    }

    /// Checks the reply to a read of `count` bytes against what the guest holds.
    pub fn read(&mut self, sim: &Sim, handle: i64, count: usize, value: &Value) {
        let bytes = decode(value["buf-b64"].as_str().expect("buf-b64"));
        assert_eq!(value["count"].as_u64(), Some(bytes.len() as u64), "{value}");
        assert!(bytes.len() <= count, "more than was asked for: {value}");
        let file = self.files.get_mut(&handle).expect("a read of an open handle");
        let Some(content) = sim.with(|world| world.files.bytes(file.path)) else { return };
        let start = usize::try_from(file.position).unwrap_or(usize::MAX).min(content.len());
        let there = &content[start..content.len().min(start.saturating_add(count))];
        assert!(there.starts_with(&bytes), "not what is in the file: {value}");
        let end = bytes.len() == there.len() && there.len() < count;
        if value["eof"] == true {
            assert!(end, "an end that is none: {value}");
        }
        file.position += bytes.len() as u64;
    }

    /// Checks the reply to a write of `bytes` against what the guest holds.
    pub fn wrote(&mut self, sim: &Sim, handle: i64, bytes: &[u8], value: &Value) {
        let count = value["count"].as_u64().expect("count") as usize;
        assert!(count <= bytes.len(), "more than was sent: {value}");
        let file = self.files.get_mut(&handle).expect("a write to an open handle");
        let Some(content) = sim.with(|world| world.files.bytes(file.path)) else { return };
        if count == 0 {
            return;
        }
        let end = match file.mode.starts_with('a') {
            true => content.len(),
            false => file.position as usize + count,
        };
        assert_eq!(content.get(end - count..end), Some(&bytes[..count]), "not what was sent");
        file.position = end as u64;
    }

    /// Takes the position over that a seek has replied.
    pub fn sought(&mut self, handle: i64, value: &Value) {
        let position = value["position"].as_u64().expect("a position");
        self.files.get_mut(&handle).expect("a seek in an open handle").position = position;
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64, padded.
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
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
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let digits = four.iter().take_while(|&&letter| letter != b'=');
        let digits: Vec<u32> = digits.map(|letter| digit(*letter)).collect();
        let bits =
            digits.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - digits.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..digits.len()]);
    }
    bytes
}

fn digit(letter: u8) -> u32 {
    ALPHABET.iter().position(|&known| known == letter).expect("a digit of base64") as u32
}
