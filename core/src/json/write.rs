//! Typed values in, JSON text out: serde's `Serializer` on top of [`Writer`], in QEMU's spacing.
//!
//! It covers what QGA returns: integers, booleans, strings, lists, structs, unit variants. Members
//! are written in the order of the struct.

use super::unused;
use crate::error::Raised;
use crate::formats::fields::cut;
use crate::writer::Writer;
use serde::ser::{Impossible, Serialize, SerializeSeq, SerializeStruct, Serializer};

type Done = Result<(), Raised>;

macro_rules! refuse {
    ($($method:ident($($type:ty),*);)*) => {
        $(#[inline] fn $method(self, $(_: $type),*) -> Done { unused() })*
    };
}

macro_rules! numbers {
    ($($method:ident $type:ty as $wide:ty, $write:ident;)*) => {
        $(fn $method(self, number: $type) -> Done { self.$write(<$wide>::from(number)); Ok(()) })*
    };
}

impl Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = Raised;
    type SerializeSeq = Self;
    type SerializeStruct = Self;
    type SerializeTuple = Impossible<(), Raised>;
    type SerializeTupleStruct = Impossible<(), Raised>;
    type SerializeTupleVariant = Impossible<(), Raised>;
    type SerializeMap = Impossible<(), Raised>;
    type SerializeStructVariant = Impossible<(), Raised>;

    numbers! {
        serialize_i8 i8 as i64, integer;
        serialize_i16 i16 as i64, integer;
        serialize_i32 i32 as i64, integer;
        serialize_i64 i64 as i64, integer;
        serialize_u8 u8 as u64, unsigned;
        serialize_u16 u16 as u64, unsigned;
        serialize_u32 u32 as u64, unsigned;
        serialize_u64 u64 as u64, unsigned;
        serialize_bool bool as bool, boolean;
    }

    refuse! {
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_unit_struct(&'static str);
    }

    fn serialize_str(self, text: &str) -> Done {
        self.string(text.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, text: &[u8]) -> Done {
        self.string(text);
        Ok(())
    }

    /// A command that returns nothing returns `{}`.
    fn serialize_unit(self) -> Done {
        self.ascii("{}");
        Ok(())
    }

    /// The one error that there is: the member is left out.
    fn serialize_none(self) -> Done {
        Err(Raised)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Done {
        unused()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Raised> {
        self.ascii("[");
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Raised> {
        self.ascii("{");
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Raised> {
        unused()
    }

    #[inline]
    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Raised> {
        unused()
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Raised> {
        unused()
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Raised> {
        unused()
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Raised> {
        unused()
    }

    #[inline]
    fn collect_str<T: ?Sized + core::fmt::Display>(self, _: &T) -> Done {
        unused()
    }
}

impl Writer<'_> {
    /// What stands between the elements of an array or object: nothing after its bracket.
    fn separate(&mut self) {
        if !matches!(self.written().last(), Some(b'[' | b'{')) {
            self.ascii(", ");
        }
    }

    /// The name of a member, after what separates it from the one before.
    pub fn key(&mut self, key: &str) {
        self.name(key.as_bytes());
    }

    #[inline(never)]
    fn name(&mut self, name: &[u8]) {
        self.separate();
        self.ascii("\"");
        self.raw(name);
        self.ascii("\": ");
    }
}

impl Writer<'_> {
    /// Members that are numbers, by their names, which blanks divide: a number that there is none
    /// of is left out.
    #[inline(never)]
    pub fn numbers(&mut self, names: &str, numbers: &[Option<u64>]) {
        self.members(names, &mut numbers.iter().copied());
    }

    /// As [`Writer::numbers`], of 32 bits, and all of them there.
    #[inline(never)]
    pub fn words(&mut self, names: &str, numbers: &[u32]) {
        self.members(names, &mut numbers.iter().map(|number| Some(u64::from(*number))));
    }

    #[inline(never)]
    fn members(&mut self, names: &str, numbers: &mut dyn Iterator<Item = Option<u64>>) {
        let mut names = names.as_bytes();
        for number in numbers {
            let name = cut(&mut names, b' ');
            if let Some(number) = number {
                self.name(name);
                self.unsigned(number);
            }
        }
    }
}

impl SerializeSeq for &mut Writer<'_> {
    type Ok = ();
    type Error = Raised;

    fn serialize_element<T: ?Sized + Serialize>(&mut self, value: &T) -> Done {
        self.separate();
        value.serialize(&mut **self)
    }

    fn end(self) -> Done {
        self.ascii("]");
        Ok(())
    }
}

impl SerializeStruct for &mut Writer<'_> {
    type Ok = ();
    type Error = Raised;

    fn serialize_field<T: ?Sized + Serialize>(&mut self, key: &'static str, value: &T) -> Done {
        let before = self.len();
        self.key(key);
        if value.serialize(&mut **self).is_err() {
            self.take_back(before);
        }
        Ok(())
    }

    fn end(self) -> Done {
        self.ascii("}");
        Ok(())
    }
}
