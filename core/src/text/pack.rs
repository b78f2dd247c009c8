//! Packing, while the agent is compiled: a literal goes in, its packed bytes come out. Nothing of
//! this is in a binary.

use super::pairs::{PAIR_FIRST, PAIRS};
use super::phrase::{NEWLINE, Phrase};

/// Packs a literal: `phrase!("cannot open the log file")`.
#[macro_export]
macro_rules! phrase {
    ($plain:expr) => {
        const {
            const PACKED: $crate::text::Packed<{ $plain.len() }> =
                $crate::text::Packed::new($plain);
            const BYTES: [u8; PACKED.len()] = PACKED.bytes();
            $crate::text::Phrase::of(&BYTES)
        }
    };
}

/// Packs literals into one list, numbered from 0 on: `phrases!["zero", "one"]`, or with the numbers
/// of those that there are: `phrases![1 => "one", 5 => "five"]`.
#[macro_export]
macro_rules! phrases {
    ($($number:literal => $plain:expr),+ $(,)?) => {
        const {
            const ROWS: &[(usize, $crate::text::Phrase)] = &[$(($number, $crate::phrase!($plain))),+];
            const BYTES: [u8; $crate::text::joined_len(ROWS)] = $crate::text::join(ROWS);
            $crate::text::Phrases::of(&BYTES)
        }
    };
    ($($plain:expr),+ $(,)?) => {
        $crate::phrases![$(0 => $plain),+]
    };
}

/// A literal while it is packed.
pub struct Packed<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Packed<N> {
    /// Packs a text of `N` characters: pair after pair, in the order of the table.
    pub const fn new(plain: &str) -> Self {
        let plain = plain.as_bytes();
        let mut bytes = [0; N];
        let mut len = 0;
        while len < N {
            bytes[len] = match plain[len] {
                b'\n' => NEWLINE,
                byte @ b' '..=b'~' if byte != NEWLINE => byte,
                _ => panic!("a text is printable ASCII without a backquote"),
            };
            len += 1;
        }
        let mut pair = 0;
        while pair < PAIRS.len() {
            let [first, second] = PAIRS[pair].to_le_bytes();
            let (mut from, mut to) = (0, 0);
            while from < len {
                let found = from + 1 < len && bytes[from] == first && bytes[from + 1] == second;
                bytes[to] = if found { PAIR_FIRST.wrapping_add(pair as u8) } else { bytes[from] };
                from += if found { 2 } else { 1 };
                to += 1;
            }
            len = to;
            pair += 1;
        }
        Packed { bytes, len }
    }

    /// How long it has become.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it is nothing.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it has become.
    pub const fn as_bytes(&self) -> &[u8] {
        self.bytes.split_at(self.len).0
    }

    /// The same, as what it takes no longer: `LEN` is [`Packed::len`].
    pub const fn bytes<const LEN: usize>(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes.copy_from_slice(self.as_bytes());
        bytes
    }
}

/// How long [`join`] makes these rows.
pub const fn joined_len(rows: &[(usize, Phrase)]) -> usize {
    let (mut len, mut number, mut row) = (0, 0, 0);
    while row < rows.len() {
        while number < rows[row].0 {
            (len, number) = (len + 1, number + 1);
        }
        len += rows[row].1.0.len() + 1;
        (number, row) = (number + 1, row + 1);
    }
    len
}

/// Puts phrases together, each with a zero at its end. One whose number is higher than how many
/// stand before it comes after as many empty ones as are missing.
pub const fn join<const LEN: usize>(rows: &[(usize, Phrase)]) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    let (mut to, mut number, mut row) = (0, 0, 0);
    while row < rows.len() {
        while number < rows[row].0 {
            (to, number) = (to + 1, number + 1);
        }
        let packed = rows[row].1.0;
        let mut from = 0;
        while from < packed.len() {
            bytes[to] = packed[from];
            (from, to) = (from + 1, to + 1);
        }
        to += 1;
        (number, row) = (number + 1, row + 1);
    }
    bytes
}

/// Whether two texts are the same.
pub const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// How much room a byte takes in [`super::phrase::Characters`] until all its characters are out,
/// when so much is known of the bytes that stand for pairs.
const fn room(known: &[u32; PAIRS.len()], byte: u8) -> u32 {
    let pair = byte.wrapping_sub(PAIR_FIRST) as usize;
    if pair < PAIRS.len() { known[pair] } else { 1 }
}

const _: () = {
    let mut known = [0; PAIRS.len()];
    let mut pair = 0;
    while pair < PAIRS.len() {
        let [first, second] = PAIRS[pair].to_le_bytes();
        // A pair is made of pairs before it: nothing is known of others, and nothing stands for
        // itself.
        let (first, second) = (room(&known, first), room(&known, second));
        assert!(first > 0 && second > 0 || PAIRS[pair] == 0);
        // While the first half is taken apart the second waits.
        known[pair] = if first + 1 > second { first + 1 } else { second };
        assert!(known[pair] <= u64::BITS / 8);
        pair += 1;
    }
};
