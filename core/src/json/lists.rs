//! Lists in arguments that may have any number of elements: the text of an array in, checked
//! element by element; out, the elements one at a time, read again from that text whenever somebody
//! wants them. So a list takes no memory but the frame that it came in.

use super::lexer::next_value;
use super::text::{Characters, encode, is_named};
use crate::bytes::decimal;
use crate::error::{Error, Parameter, Raised, Slot};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

/// The members of an element of [`Switches`], of each kind: the number's name first.
pub const SWITCHES: [&[&str; 3]; 2] =
    [&["logical-id", "online", "can-offline"], &["phys-index", "online", "can-offline"]];

/// Strings, any number of them: the inside of an array as written.
#[derive(Clone, Copy, Debug)]
pub struct Strings<'a>(&'a [u8]);

/// Numbered things and whether each is to be on: CPUs, memory blocks. `KIND` is the place of their
/// members' names in [`SWITCHES`].
#[derive(Clone, Copy, Debug)]
pub struct Switches<'a, const KIND: usize>(&'a [u8]);

/// A number, and whether what has it is to be on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Switch {
    /// Of a CPU, a memory block.
    pub number: u64,
    /// It is to be on.
    pub online: bool,
}

impl<'a> Strings<'a> {
    /// None.
    pub const NONE: Self = Strings(b"]");

    /// The strings, in their order.
    pub fn iter(self) -> impl Iterator<Item = Decoded<'a>> {
        let mut rest = self.0;
        core::iter::from_fn(move || Decoded::of(take(&mut rest)?))
    }

    /// At least as many bytes as they have, one more counted for each; known without reading them.
    pub fn bytes_max(self) -> usize {
        self.0.len()
    }

    /// At least as many as there are: each takes two quotes and what stands before the next one.
    pub fn count_max(self) -> usize {
        self.0.len() / 3 + 1
    }

    /// How many bytes they have, one more counted for each.
    pub fn bytes_each_ended(self) -> usize {
        self.iter().map(|string| string.count() + 1).sum()
    }
}

impl<'a, const KIND: usize> Switches<'a, KIND> {
    /// They, in their order.
    pub fn iter(self) -> impl Iterator<Item = Switch> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let members = Members::of(take(&mut rest)?, SWITCHES.get(KIND)?);
            Some(Switch { number: whole(members.texts[0]?)?, online: members.texts[1]? == b"true" })
        })
    }
}

/// The bytes of a string, as [`super::text::decode_in_place`] would leave them: none of them is 0.
#[derive(Clone)]
pub struct Decoded<'a> {
    characters: Characters<'a>,
    /// What is left of the present character, the next byte lowest.
    rest: u32,
}

impl<'a> Decoded<'a> {
    /// Those of a string as written, its quotes included.
    fn of(text: &'a [u8]) -> Option<Self> {
        match text {
            [b'"' | b'\'', inside @ .., _] => {
                Some(Decoded { characters: Characters(inside), rest: 0 })
            }
            _ => None,
        }
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.rest == 0 {
            let mut bytes = [0; 4];
            encode(self.characters.next()?, &mut bytes, 0);
            self.rest = u32::from_le_bytes(bytes);
        }
        let byte = self.rest as u8;
        self.rest >>= 8;
        Some(byte)
    }
}

/// Looks at each element of a list; `inside` is the text after the bracket. Errors: one is no
/// string.
#[inline(never)]
pub fn judge_strings<'de>(
    inside: &'de [u8],
    list: &'static &'static str,
    slot: &Slot<'de>,
) -> Result<&'de [u8], Raised> {
    let mut rest = inside;
    let mut at = Parameter { list: Some(list), index: 0, name: &"" };
    while let Some(text) = take(&mut rest) {
        if Decoded::of(text).is_none() {
            return Err(slot.raise(&Error::WrongType(at, "string")));
        }
        at.index += 1;
    }
    Ok(inside)
}

/// The same of a list of switches. Errors: one is not what has the members of its kind.
#[inline(never)]
pub fn judge_switches<'de>(
    inside: &'de [u8],
    kind: usize,
    list: &'static &'static str,
    slot: &Slot<'de>,
) -> Result<&'de [u8], Raised> {
    let mut rest = inside;
    let mut at = Parameter { list: Some(list), index: 0, name: &"" };
    while let (Some(text), Some(names)) = (take(&mut rest), SWITCHES.get(kind)) {
        judge_switch(text, names, at, slot)?;
        at.index += 1;
    }
    Ok(inside)
}

/// One that has a number and is on or off.
fn judge_switch<'de>(
    text: &'de [u8],
    names: &'static [&'static str; 3],
    at: Parameter,
    slot: &Slot<'de>,
) -> Result<(), Raised> {
    if text.first() != Some(&b'{') {
        return Err(slot.raise(&Error::WrongType(at, "object")));
    }
    let members = Members::of(text, names);
    for (place, (name, text)) in names.iter().zip(members.texts).enumerate() {
        let at = Parameter { name, ..at };
        let (right, expected) = match (place, text) {
            (2, None) => continue,
            (_, None) => return Err(slot.raise(&Error::Missing(at))),
            (0, Some(text)) => (whole(text).is_some(), "integer"),
            (_, Some(text)) => (text == b"true" || text == b"false", "boolean"),
        };
        if !right {
            return Err(slot.raise(&Error::WrongType(at, expected)));
        }
    }
    match members.unexpected {
        Some(name) => Err(slot.raise(&Error::Unexpected(at, name))),
        None => Ok(()),
    }
}

/// A whole number; a negative one stands for its two's complement.
fn whole(text: &[u8]) -> Option<u64> {
    match text.strip_prefix(b"-") {
        None => decimal(text),
        Some(digits) => decimal(digits).filter(|&size| size <= 1 << 63).map(u64::wrapping_neg),
    }
}

/// The members of an object, those with these names each at its place.
struct Members<'a> {
    texts: [Option<&'a [u8]>; 3],
    /// The first that has another name.
    unexpected: Option<&'a [u8]>,
}

impl<'a> Members<'a> {
    #[inline(never)]
    fn of(text: &'a [u8], names: &[&str; 3]) -> Self {
        let mut members = Members { texts: [None; 3], unexpected: None };
        let mut rest = text.get(1..).unwrap_or(&[]);
        while let (Some([_, key @ .., _]), Some(value)) = (take(&mut rest), take(&mut rest)) {
            let place = names.iter().position(|name| is_named(key, name));
            match place.and_then(|place| members.texts.get_mut(place)) {
                Some(text) => *text = Some(value),
                None => members.unexpected = members.unexpected.or(Some(key)),
            }
        }
        members
    }
}

/// Cuts the next value off `rest`, the inside of an array or object, commas and colons skipped.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let place = next_value(rest);
    if place.is_empty() {
        return None;
    }
    let (head, tail) = rest.split_at_checked(place.end)?;
    *rest = tail;
    head.get(place.start..)
}

/// Takes the text that was judged.
struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = &'de [u8];

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("array")
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<&'de [u8], E> {
        Ok(bytes)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Strings<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(Text).map(Strings)
    }
}

impl<'de: 'a, 'a, const KIND: usize> Deserialize<'de> for Switches<'a, KIND> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple_struct("Switches", KIND, Text).map(Switches)
    }
}
