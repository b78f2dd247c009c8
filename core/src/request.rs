//! The envelope of a request: a checked frame in, the places of `execute`, `arguments` and `id` in it out,
//! or what is wrong, in the reference's order. Source: qemu, docs/interop/qmp-spec, "Issuing Commands".

use crate::error::{Error, Raised, Slot};
use crate::json::lexer::{Found, Lexer, Token};
use crate::json::text::is_named;
use core::ops::Range;

/// The members of a request, as places in its frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The value of `id`, whatever it is. Replies repeat it, error replies too.
    pub id: Option<Range<usize>>,
    /// The command and its arguments.
    pub parts: Result<Parts, Raised>,
}

/// What a well-formed request asks for.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    /// The name of the command, between its quotes.
    pub execute: Range<usize>,
    /// The text of the object; empty when there is none.
    pub arguments: Range<usize>,
}

/// Finds the members of the request in `frame`, which [`crate::json::check`] has passed. What is wrong is
/// put into `slot`.
pub fn envelope<'f>(frame: &'f [u8], slot: &Slot<'f>) -> Envelope {
    let mut members = Members { frame, lexer: Lexer::new(), at: 0 };
    if members.token() != Some(Token::ObjectOpen) {
        return Envelope { id: None, parts: Err(slot.raise(&Error::NotAnObject)) };
    }
    let (mut id, mut execute, mut arguments, mut wrong) = (None, None, 0..0, None);
    while let Some((key, value)) = members.next() {
        let first = frame.get(value.start);
        let fault = if is_named(key, "id") {
            id = Some(value);
            None
        } else if is_named(key, "execute") {
            execute = Some(value.start + 1..value.end.saturating_sub(1));
            let quoted = matches!(first, Some(b'"' | b'\''));
            (!quoted).then_some(Error::MemberType("execute", "a string"))
        } else if is_named(key, "arguments") {
            arguments = value;
            (first != Some(&b'{')).then_some(Error::MemberType("arguments", "an object"))
        } else {
            Some(Error::MemberUnexpected(key))
        };
        wrong = wrong.or(fault);
    }
    let parts = match (wrong, execute) {
        (Some(error), _) => Err(slot.raise(&error)),
        (None, None) => Err(slot.raise(&Error::MemberMissing)),
        (None, Some(execute)) => Ok(Parts { execute, arguments }),
    };
    Envelope { id, parts }
}

/// The members of the outermost object.
struct Members<'f> {
    frame: &'f [u8],
    lexer: Lexer,
    at: usize,
}

impl<'f> Members<'f> {
    fn token(&mut self) -> Option<Token> {
        match self.lexer.next(self.frame, &mut self.at) {
            Found::Token(token) => Some(token),
            _ => None,
        }
    }

    /// The next key, between its quotes, and where its value is.
    fn next(&mut self) -> Option<(&'f [u8], Range<usize>)> {
        let mut token = self.token()?;
        if token == Token::Comma {
            token = self.token()?;
        }
        if token != Token::String {
            return None;
        }
        let key = self.frame.get(self.lexer.start + 1..self.at.saturating_sub(1))?;
        self.token()?;
        let mut depth = 0u32;
        let mut start = None;
        loop {
            match self.token()? {
                Token::ObjectOpen | Token::ArrayOpen => depth += 1,
                Token::ObjectClose | Token::ArrayClose => depth = depth.saturating_sub(1),
                _ => {}
            }
            let start = *start.get_or_insert(self.lexer.start);
            if depth == 0 {
                return Some((key, start..self.at));
            }
        }
    }
}
