//! The envelope of a request: the members of a checked frame in, the places of `execute`,
//! `arguments` and `id` in it out, or what is wrong. Source: qemu, docs/interop/qmp-spec, "Issuing
//! Commands".

use crate::error::{Error, Raised, Slot};
use crate::json::check::Member;
use crate::json::text::is_named;
use core::ops::Range;

/// The members of a request, as places in its frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The value of `id`, whatever it is; empty when there is none. Replies repeat it, error
    /// replies too.
    pub id: Range<usize>,
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

/// The members of a request, the most frequent first, and after them what makes an object without
/// `execute` a reply.
const NAMES: [&str; 5] = ["execute", "arguments", "id", "return", "error"];

/// Finds the parts of the request in `frame` among its `members`. What is wrong is put into `slot`;
/// a reply puts nothing there: where a line echoes, it is our own.
pub fn envelope<'f>(frame: &'f [u8], members: &[Member<'f>], slot: &Slot<'f>) -> Envelope {
    if frame.first() != Some(&b'{') {
        let error = Error::NotAnObject;
        return Envelope { id: 0..0, parts: Err(slot.raise(&error)) };
    }
    // An empty one stands for a member that is missing.
    let mut places = [const { 0..0 }; 3];
    let (mut unexpected, mut is_reply) = (None, false);
    for member in members {
        let known = NAMES.iter().position(|known| is_named(member.key, known));
        match known.and_then(|index| places.get_mut(index)) {
            Some(place) => *place = member.value(),
            None => {
                unexpected = unexpected.or(Some(member.key));
                is_reply |= known.is_some();
            }
        }
    }
    let [execute, arguments, id] = places;
    if is_reply && execute.is_empty() {
        return Envelope { id: 0..0, parts: Err(Raised) };
    }
    let parts = parts(frame, execute, arguments, unexpected);
    Envelope { id, parts: parts.map_err(|error| slot.raise(&error)) }
}

fn parts<'f>(
    frame: &'f [u8],
    execute: Range<usize>,
    arguments: Range<usize>,
    unexpected: Option<&'f [u8]>,
) -> Result<Parts, Error<'f>> {
    let first = |place: &Range<usize>| frame.get(place.start).copied();
    if !execute.is_empty() && !matches!(first(&execute), Some(b'"' | b'\'')) {
        return Err(Error::MemberType("execute", text!("a string")));
    }
    if !arguments.is_empty() && first(&arguments) != Some(b'{') {
        return Err(Error::MemberType("arguments", text!("an object")));
    }
    if let Some(name) = unexpected {
        return Err(Error::MemberUnexpected(name));
    }
    if execute.is_empty() {
        return Err(Error::MemberMissing);
    }
    Ok(Parts { execute: execute.start + 1..execute.end - 1, arguments })
}
