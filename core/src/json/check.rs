//! Whether one whole frame is valid JSON of QEMU's dialect: the frame in, its outermost members or
//! what is wrong out.
//!
//! After this check the rest of the core walks the text without doubting it. Iterative: the kind of
//! each open bracket is one bit, the keys of open objects are positions in one fixed table.

use super::lexer::{Found, Lexer, Token};
use super::text::{Characters, escape, plain_prefix, utf8};
use crate::error::{Error, Raised, Slot};
use crate::limits::{DEPTH_MAX, MEMBERS_MAX};
use crate::text::Text;
use core::ops::Range;
use heapless::Vec;

const _: () = assert!(DEPTH_MAX <= u64::BITS as usize);

/// What may stand next: any of these.
mod expect {
    pub const VALUE: u8 = 1;
    pub const KEY: u8 = 2;
    pub const COLON: u8 = 4;
    pub const COMMA: u8 = 8;
    /// The bracket that closes the innermost array or object.
    pub const CLOSE: u8 = 16;
    /// Nothing: the text is whole.
    pub const END: u8 = 0;
}

/// One member of an object: its key between the quotes, and where its value is in the frame.
#[derive(Clone, Copy)]
pub struct Member<'f> {
    /// The key as written.
    pub key: &'f [u8],
    /// Stands for the key as it is meant: two members that share it share their key.
    hash: u64,
    value_start: u32,
    value_end: u32,
}

impl Member<'_> {
    /// Where its value is in the frame.
    pub fn value(&self) -> Range<usize> {
        self.value_start as usize..self.value_end as usize
    }
}

/// Members of objects, in the order of the text.
pub type Members<'f> = Vec<Member<'f>, MEMBERS_MAX>;

/// Checks the one value in `frame`; leaves its members in `members` if it is an object. What is
/// wrong is put into `slot`.
pub fn check<'f>(
    frame: &'f [u8],
    members: &mut Members<'f>,
    slot: &Slot<'f>,
) -> Result<(), Raised> {
    let mut lexer = Lexer::new();
    let mut at = 0;
    let outer = [0; DEPTH_MAX];
    let mut grammar =
        Grammar { frame, slot, expect: expect::VALUE, depth: 0, objects: 0, members, outer };
    loop {
        let token = match lexer.next(frame, &mut at) {
            Found::Token(token) => Some(token),
            Found::End => lexer.finish(),
            // The framer cuts no frame with either in it.
            Found::Stray | Found::Sentinel => None,
        };
        match token {
            Some(token) => grammar.token(token, &lexer, at)?,
            None if grammar.expect == expect::END => return Ok(()),
            None => return grammar.wrong(VALUE),
        }
    }
}

const VALUE: Text = text!("expecting value");

struct Grammar<'f, 's> {
    frame: &'f [u8],
    slot: &'s Slot<'f>,
    expect: u8,
    depth: usize,
    /// Whether each open bracket is an object's, the innermost in the lowest bit.
    objects: u64,
    /// Those of all open objects, outer ones first, and at the end those of the outermost.
    members: &'s mut Members<'f>,
    /// How many of `members` belong to objects further out, a depth.
    outer: [u8; DEPTH_MAX],
}

const _: () = assert!(MEMBERS_MAX <= u8::MAX as usize);

impl<'f, 's> Grammar<'f, 's> {
    fn token(&mut self, token: Token, lexer: &Lexer, end: usize) -> Result<(), Raised> {
        let text = self.frame.get(lexer.start..end).unwrap_or(&[]);
        let expected = |what: u8| self.expect & what != 0;
        match token {
            Token::ObjectClose if expected(expect::CLOSE) && self.in_object() => self.close(end),
            Token::ArrayClose if expected(expect::CLOSE) && !self.in_object() => self.close(end),
            Token::Colon if expected(expect::COLON) => self.expect = expect::VALUE,
            Token::Comma if expected(expect::COMMA) => {
                self.expect = if self.in_object() { expect::KEY } else { expect::VALUE };
            }
            Token::String if expected(expect::KEY) => {
                self.string(text, lexer.special)?;
                self.key(inside(text))?;
                self.expect = expect::COLON;
            }
            _ if expected(expect::VALUE) => self.value(token, text, lexer, end)?,
            _ if expected(expect::KEY) => return self.wrong(text!("expecting key")),
            _ if expected(expect::COLON) => return self.wrong(text!("expecting ':'")),
            _ if !expected(expect::COMMA) => return self.wrong(VALUE),
            _ if self.in_object() => return self.wrong(text!("expected ',' or '}'")),
            _ => return self.wrong(text!("expected ',' or ']'")),
        }
        Ok(())
    }

    #[inline(never)]
    fn value(
        &mut self,
        token: Token,
        text: &'f [u8],
        lexer: &Lexer,
        end: usize,
    ) -> Result<(), Raised> {
        if let Some(member) = self.member() {
            member.value_start = lexer.start as u32;
        }
        match token {
            Token::ObjectOpen => return self.open(true),
            Token::ArrayOpen => return self.open(false),
            Token::Keyword if !matches!(text, b"true" | b"false" | b"null") => {
                return Err(self.slot.raise(&Error::JsonKeyword(text)));
            }
            Token::String => self.string(text, lexer.special)?,
            Token::Number | Token::Keyword => {}
            Token::ObjectClose | Token::ArrayClose | Token::Colon | Token::Comma => {
                return self.wrong(VALUE);
            }
        }
        self.after_value(end);
        Ok(())
    }

    fn open(&mut self, object: bool) -> Result<(), Raised> {
        match self.outer.get_mut(self.depth) {
            Some(outer) => *outer = self.members.len() as u8,
            None => return Err(self.slot.raise(&Error::too_deep())),
        }
        self.objects = (self.objects << 1) + u64::from(object);
        self.depth += 1;
        self.expect = expect::CLOSE + if object { expect::KEY } else { expect::VALUE };
        Ok(())
    }

    fn close(&mut self, end: usize) {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        if self.depth > 0 {
            let outer = self.outer.get(self.depth).copied().unwrap_or(0);
            self.members.truncate(usize::from(outer));
        }
        self.after_value(end);
    }

    fn after_value(&mut self, end: usize) {
        let inside = expect::COMMA + expect::CLOSE;
        self.expect = if self.depth == 0 { expect::END } else { inside };
        if let Some(member) = self.member() {
            member.value_end = end as u32;
        }
    }

    /// The member whose value is being read, inside an object.
    fn member(&mut self) -> Option<&mut Member<'f>> {
        if self.in_object() { self.members.last_mut() } else { None }
    }

    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn key(&mut self, key: &'f [u8]) -> Result<(), Raised> {
        let outer = self.outer.get(self.depth.saturating_sub(1)).copied().unwrap_or(0);
        let hash = hash(key);
        if self.members.iter().skip(usize::from(outer)).any(|other| other.hash == hash) {
            return self.wrong(text!("duplicate key"));
        }
        match self.members.push(Member { key, hash, value_start: 0, value_end: 0 }) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.slot.raise(&Error::too_many_members())),
        }
    }

    #[cold]
    fn wrong(&self, what: Text) -> Result<(), Raised> {
        Err(self.slot.raise(&Error::Json(what)))
    }

    /// Checks the escapes and the UTF-8 of a string token.
    fn string(&self, token: &'f [u8], special: bool) -> Result<(), Raised> {
        if !special {
            return Ok(());
        }
        let quote = token.first().copied().unwrap_or(b'"');
        let mut rest = inside(token);
        loop {
            rest = rest.get(plain_prefix(rest, quote)..).unwrap_or(&[]);
            let len = match rest.first() {
                None => return Ok(()),
                Some(b'\\') => match escape(rest) {
                    (Some(_), len) => len,
                    (None, 0) => return self.wrong(text!("invalid escape sequence in string")),
                    (None, len) => {
                        let shown = rest.get(..len).unwrap_or(rest);
                        return Err(self.slot.raise(&Error::JsonCharacter(shown)));
                    }
                },
                Some(_) => match utf8(rest) {
                    (Some(_), len) => len,
                    (None, _) => return self.wrong(text!("invalid UTF-8 sequence in string")),
                },
            };
            rest = rest.get(len..).unwrap_or(&[]);
        }
    }
}

/// The text between the quotes of a string token.
fn inside(token: &[u8]) -> &[u8] {
    match token {
        [_, inside @ .., _] => inside,
        _ => &[],
    }
}

/// A number for the characters of a key, escapes resolved (FNV-1a). Keys are read once so, however
/// many there are and however late they differ. Who makes two keys with the same number is told
/// that they are one.
fn hash(key: &[u8]) -> u64 {
    let mix = |hash: u64, character| (hash ^ u64::from(character)).wrapping_mul(0x100_0000_01B3);
    Characters(key).fold(0xCBF2_9CE4_8422_2325, mix)
}
