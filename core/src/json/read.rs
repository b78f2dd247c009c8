//! Typed arguments out of a checked JSON text: serde's `Deserializer` over the frame itself.
//!
//! In: the text of an object that [`super::check`] has passed. Out: a struct whose strings borrow
//! from the frame, where their escapes (and base64) were decoded in place. Members are visited in
//! the order of the struct, not of the text, so that errors come in the schema's order: each
//! declared member is missing, wrong or right, and only then is an undeclared one unexpected. That
//! needs no memory but one slot for each declared member.
//!
//! Every enumeration in QGA arguments is an alternate, a word or something else, so
//! `deserialize_enum` offers the type what it finds: a word by its place (`visit_u64`), a number
//! (`visit_i64`), a truth (`visit_bool`).

use super::lexer::next_value;
use super::lists::{judge_strings, judge_switches};
use super::text::{decode_in_place, is_named};
use super::unused;
use crate::base64;
use crate::bytes::decimal;
use crate::error::{Error, Parameter, Raised, Slot};
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

/// Most members that an argument struct declares: those of guest-exec.
const FIELDS_MAX: usize = 7;

/// Reads `arguments`, the text of an object; an empty text stands for `{}`. What is wrong is put
/// into `slot`.
pub fn from_text<'de, T: Deserialize<'de>>(
    arguments: &'de mut [u8],
    slot: &Slot<'de>,
) -> Result<T, Raised> {
    T::deserialize(&mut Value::whole(arguments, slot))
}

/// Base64 in a JSON string, decoded where it stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base64<'de> {
    /// The decoded bytes.
    Bytes(&'de [u8]),
    /// Not base64. A command says so in its turn, after the errors that come before it.
    Invalid,
}

impl<'de: 'a, 'a> Deserialize<'de> for Base64<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Decoded<'a>(core::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Decoded<'a> {
            type Value = Base64<'a>;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("base64")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Base64<'a>, E> {
                Ok(Base64::Bytes(bytes))
            }
            fn visit_unit<E>(self) -> Result<Base64<'a>, E> {
                Ok(Base64::Invalid)
            }
        }
        deserializer.deserialize_newtype_struct(BASE64, Decoded(core::marker::PhantomData))
    }
}

/// The newtype by which [`Base64`] asks [`Value`] to decode in place, which serde has no word for.
const BASE64: &str = "Base64";

/// Cuts the next value off `rest`, the inside of an array or object, commas and colons skipped.
fn take<'de>(rest: &mut &'de mut [u8]) -> Option<&'de mut [u8]> {
    let place = next_value(rest);
    if place.is_empty() {
        return None;
    }
    let (head, tail) = core::mem::take(rest).split_at_mut_checked(place.end)?;
    *rest = tail;
    head.get_mut(place.start..)
}

/// One value of the text, or the place where a declared member is missing.
struct Value<'de, 'e> {
    text: Option<&'de mut [u8]>,
    at: Parameter,
    slot: &'e Slot<'de>,
}

impl<'de, 'e> Value<'de, 'e> {
    fn whole(text: &'de mut [u8], slot: &'e Slot<'de>) -> Self {
        Value { text: Some(text), at: Parameter::default(), slot }
    }

    fn text(&mut self) -> Result<&'de mut [u8], Raised> {
        self.text.take().ok_or_else(|| self.missing())
    }

    #[cold]
    fn missing(&self) -> Raised {
        self.slot.raise(&Error::Missing(self.at))
    }

    #[cold]
    fn wrong_type(&self, expected: &'static str) -> Raised {
        self.slot.raise(&Error::WrongType(self.at, expected))
    }

    /// The text after the first byte, if that is `open`.
    fn inside(&mut self, open: u8, expected: &'static str) -> Result<&'de mut [u8], Raised> {
        match self.text()?.split_first_mut() {
            Some((first, rest)) if *first == open => Ok(rest),
            _ => Err(self.wrong_type(expected)),
        }
    }

    fn string(&mut self) -> Result<&'de mut [u8], Raised> {
        self.quoted().map(decode_in_place)
    }

    /// A string as written, without its quotes.
    fn quoted(&mut self) -> Result<&'de mut [u8], Raised> {
        match self.text()? {
            [b'"' | b'\'', inside @ .., _] => Ok(inside),
            _ => Err(self.wrong_type("string")),
        }
    }

    /// A whole number: its sign and size.
    fn integer(&mut self) -> Result<(bool, u64), Raised> {
        let text = &*self.text()?;
        let digits = text.strip_prefix(b"-");
        let size = decimal(digits.unwrap_or(text));
        size.map(|size| (digits.is_some(), size)).ok_or_else(|| self.wrong_type("integer"))
    }

    fn signed(&mut self) -> Result<i64, Raised> {
        let (negative, size) = self.integer()?;
        let number = if negative { 0i64.checked_sub_unsigned(size) } else { size.try_into().ok() };
        number.ok_or_else(|| self.wrong_type("integer"))
    }

    fn boolean(&mut self) -> Result<bool, Raised> {
        match &*self.text()? {
            b"true" => Ok(true),
            b"false" => Ok(false),
            _ => Err(self.wrong_type("boolean")),
        }
    }

    /// Which of `words` it is, or its number, or its truth.
    fn alternate(
        &mut self,
        name: &'static str,
        words: &'static [&'static str],
    ) -> Result<Alternate, Raised> {
        match self.text.as_deref().and_then(<[u8]>::first) {
            Some(b'0'..=b'9' | b'-') => self.signed().map(Alternate::Number),
            Some(b't' | b'f') => self.boolean().map(Alternate::Truth),
            Some(b'"' | b'\'') => {
                let word: &'de [u8] = self.string()?;
                let found = words.iter().position(|known| known.as_bytes() == word);
                let error = Error::BadValue(self.at, word);
                found.map(|at| Alternate::Word(at as u64)).ok_or_else(|| self.slot.raise(&error))
            }
            Some(_) => Err(self.wrong_type(name)),
            None => Err(self.missing()),
        }
    }

    /// None of an object's members yet.
    #[inline(never)]
    fn no_members(&self, fields: &'static [&'static str]) -> ObjectAccess<'de> {
        let texts = Default::default();
        ObjectAccess { texts, fields, next: 0, unexpected: None, at: self.at }
    }

    /// The object's members, the declared ones in the order of `fields`.
    fn members(&mut self, members: &mut ObjectAccess<'de>) -> Result<(), Raised> {
        if let Some([]) = self.text {
            return Ok(());
        }
        let mut inside = self.inside(b'{', "object")?;
        while let (Some([_, key @ .., _]), Some(value)) = (take(&mut inside), take(&mut inside)) {
            let declared = members.fields.iter().position(|field| is_named(key, field));
            match declared.and_then(|index| members.texts.get_mut(index)) {
                Some(text) => *text = Some(value),
                None => members.unexpected = members.unexpected.or(Some(key)),
            }
        }
        Ok(())
    }
}

impl<'de> Deserializer<'de> for &mut Value<'de, '_> {
    type Error = Raised;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Raised> {
        unused()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Raised> {
        visitor.visit_bool(self.boolean()?)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Raised> {
        visitor.visit_i64(self.signed()?)
    }

    /// A negative number stands for its two's complement, as in the reference.
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Raised> {
        let (negative, size) = self.integer()?;
        if negative && size > 1 << 63 {
            return Err(self.wrong_type("integer"));
        }
        visitor.visit_u64(if negative { size.wrapping_neg() } else { size })
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Raised> {
        visitor.visit_borrowed_bytes(self.string()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Raised> {
        if self.text.is_some() { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Raised> {
        if name != BASE64 {
            return visitor.visit_newtype_struct(self);
        }
        match base64::decode_in_place(self.quoted()?) {
            Some(bytes) => visitor.visit_borrowed_bytes(bytes),
            None => visitor.visit_unit(),
        }
    }

    /// The text of a list of strings, for [`super::lists::Strings`]: serde has no word for it, and
    /// what no command of a guest asks for is in no binary.
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Raised> {
        let inside = self.inside(b'[', "array")?;
        visitor.visit_borrowed_bytes(judge_strings(inside, self.at.name, self.slot)?)
    }

    /// The same of a list of [`super::lists::Switches`], of this kind.
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        kind: usize,
        visitor: V,
    ) -> Result<V::Value, Raised> {
        let inside = self.inside(b'[', "array")?;
        visitor.visit_borrowed_bytes(judge_switches(inside, kind, self.at.name, self.slot)?)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Raised> {
        let rest = self.inside(b'[', "array")?;
        visitor.visit_seq(Elements { rest, list: self.at.name, index: 0, slot: self.slot })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Raised> {
        if fields.len() > FIELDS_MAX {
            unused();
        }
        let mut members = self.no_members(fields);
        self.members(&mut members)?;
        let value = visitor.visit_seq(Each(&mut members, self.slot))?;
        members.end(self.slot)?;
        Ok(value)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Raised> {
        let found = match self.alternate(name, words)? {
            Alternate::Word(number) => visitor.visit_u64(number),
            Alternate::Number(number) => visitor.visit_i64(number),
            Alternate::Truth(truth) => visitor.visit_bool(truth),
        };
        // The type takes no value of this kind.
        found.map_err(|Raised| self.wrong_type(name))
    }

    forward_to_deserialize_any! {
        i8 i16 i32 u8 u16 u32 f32 f64 char str string unit unit_struct tuple
        map identifier ignored_any
    }
}

/// The members of an object.
struct ObjectAccess<'de> {
    /// The declared ones, each at its place.
    texts: [Option<&'de mut [u8]>; FIELDS_MAX],
    fields: &'static [&'static str],
    /// How many have been visited.
    next: usize,
    /// The first that is not declared.
    unexpected: Option<&'de [u8]>,
    at: Parameter,
}

impl<'de> ObjectAccess<'de> {
    /// The next declared member; where one is missing, and after the last one, a value without
    /// text.
    fn next<'e>(&mut self, slot: &'e Slot<'de>) -> Value<'de, 'e> {
        let text = self.texts.get_mut(self.next).and_then(Option::take);
        let name = self.fields.get(self.next).unwrap_or(&"");
        self.next += 1;
        Value { text, at: Parameter { name, ..self.at }, slot }
    }

    /// An error if there were others than the declared ones.
    fn end(&self, slot: &Slot<'de>) -> Result<(), Raised> {
        match self.unexpected {
            Some(name) => Err(slot.raise(&Error::Unexpected(self.at, name))),
            None => Ok(()),
        }
    }
}

/// Visits the declared members, in the order of the struct.
struct Each<'m, 'de, 'e>(&'m mut ObjectAccess<'de>, &'e Slot<'de>);

impl<'de> SeqAccess<'de> for Each<'_, 'de, '_> {
    type Error = Raised;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Raised> {
        seed.deserialize(&mut self.0.next(self.1)).map(Some)
    }
}

/// The elements of an array.
struct Elements<'de, 'e> {
    rest: &'de mut [u8],
    list: &'static &'static str,
    index: u32,
    slot: &'e Slot<'de>,
}

impl<'de> SeqAccess<'de> for Elements<'de, '_> {
    type Error = Raised;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Raised> {
        let Some(text) = take(&mut self.rest) else { return Ok(None) };
        let at = Parameter { list: Some(self.list), index: self.index, name: &"" };
        self.index += 1;
        seed.deserialize(&mut Value { text: Some(text), at, slot: self.slot }).map(Some)
    }
}

/// What an alternate may be.
enum Alternate {
    /// One of its words, by its place among them: `visit_u64`.
    Word(u64),
    /// A number: `visit_i64`.
    Number(i64),
    /// `true` or `false`: `visit_bool`.
    Truth(bool),
}
