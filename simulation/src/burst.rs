//! The act that asks for several things at once: requests in one piece in, their replies out.
//! Invariant: there are as many replies as requests, in the same order.

use crate::channel::{Rest, exchange};
use crate::client::Client;
use crate::record::Record;
use crate::reply::{self, Answer};
use crate::source::Source;

/// Sends several requests at once, and reads the replies.
pub fn burst<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let status = client.status_word();
    client.begin();
    let count = usize::from(client.source.byte() % 4) + 2;
    let mut asked = [(0, 0, 0); 5];
    for slot in &mut asked[..count] {
        let (what, number) = (client.source.byte() % 4, client.source.number());
        let id = match what {
            0 => client.append("guest-sync", format_args!("\"id\": {number}")),
            1 => client.append("guest-fsfreeze-status", format_args!("")),
            2 => client.append("guest-ping", format_args!("")),
            _ => client.append("guest-nope", format_args!("")),
        };
        *slot = (what, number, id);
    }
    if exchange(client, record) != Rest::Idle {
        return;
    }
    let mut at = 0;
    for &(what, number, id) in &asked[..count] {
        let rest = &client.output[at..];
        let len = rest.iter().position(|&byte| byte == b'\n').expect("a reply for each") + 1;
        let answer = reply::read(&client.output, at..at + len, id);
        let value = match &answer {
            Answer::Value(at) => client.text(at.clone()),
            _ => b"",
        };
        match what {
            0 => assert_eq!(reply::number(value), number),
            // The time of a freeze may have come between two of them.
            1 if value == status.as_bytes() => {}
            1 => assert_eq!(value, client.status_word().as_bytes()),
            2 => assert_eq!(value, b"{}"),
            _ => assert_eq!(answer, Answer::Error { not_found: true }),
        }
        at += len;
    }
    assert_eq!(at, client.output.len(), "more replies than requests");
}
