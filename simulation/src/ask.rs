//! One command: its name and its arguments in, its reply out, or nothing where there was nobody to
//! give one. Invariant: there is one reply to it and nothing else.

use crate::channel::{Rest, exchange};
use crate::client::Client;
use crate::record::Record;
use crate::reply::{self, Answer};
use crate::source::Source;
use std::fmt::Arguments;
use std::ops::Range;

/// Sends a request for a command and reads its reply.
pub fn ask<S: Source>(
    client: &mut Client<S>,
    record: &mut Record,
    command: &str,
    arguments: Arguments<'_>,
) -> Answer {
    client.begin();
    let id = client.append(command, arguments);
    if exchange(client, record) != Rest::Idle {
        return Answer::None;
    }
    let lines = client.output.iter().filter(|&&byte| byte == b'\n').count();
    assert_eq!(lines, 1, "replies to one request: {}", client.output.escape_ascii());
    reply::read(&client.output, 0..client.output.len(), id)
}

/// Asks for a command that always works; what it returns, unless there is nobody who could.
pub fn must<S: Source>(
    client: &mut Client<S>,
    record: &mut Record,
    command: &str,
    arguments: Arguments<'_>,
) -> Option<Range<usize>> {
    match ask(client, record, command, arguments) {
        Answer::Value(at) => Some(at),
        Answer::None => None,
        Answer::Error { .. } => panic!("{command}: {}", client.output.escape_ascii()),
    }
}
