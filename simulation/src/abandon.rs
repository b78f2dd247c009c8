//! The act of a client that leaves half a request and hangs up without anybody's telling the agent:
//! the half goes in, and a guest-sync after it; its answer comes out. Invariant: at most one error
//! for the half comes before it.

use crate::channel::{Rest, exchange};
use crate::client::Client;
use crate::record::Record;
use crate::reply::{self, Answer};
use crate::source::Source;

/// Half a request, and then a guest-sync.
pub fn abandon<S: Source>(client: &mut Client<S>, record: &mut Record) {
    client.begin();
    let clean = client.request.len();
    match client.source.byte() % 5 {
        0 => client.append("guest-ping", format_args!("")),
        1 => client
            .append("guest-file-open", format_args!("\"path\": \"/a{{b}}\\\\\", \"mode\": \"w\"")),
        2 => client.append("guest-sync", format_args!("\"id\": -1")),
        3 => client.append("guest-exec", format_args!("\"arg\": [\"x\", [true, {{}}], 1.5e3]")),
        _ => {
            client.request.extend_from_slice(b"# garbage {\"execute\": ");
            client.append("guest-ping", format_args!(""))
        }
    };
    // All but the last bracket at most.
    let most = client.request.len() - clean - 2;
    let len = usize::from(client.source.byte()) % most + 1;
    client.request.truncate(clean + len);
    // After this anything may be the request's `id`, a guest-sync too.
    while client.request.ends_with(b"\"id\":") || client.request.ends_with(b"\"id\": ") {
        client.request.pop();
    }
    if exchange(client, record) != Rest::Idle {
        return;
    }
    let errors = reply::judge_lines(&client.output);
    assert!(errors <= 1, "to half a request: {}", client.output.escape_ascii());
    let number = client.source.number();
    client.begin();
    let id = client.append("guest-sync", format_args!("\"id\": {number}"));
    if exchange(client, record) != Rest::Idle {
        return;
    }
    let lines = reply::judge_lines(&client.output);
    let shown = || client.output.escape_ascii().to_string();
    assert!((1..=2 - errors).contains(&lines), "replies: {}", shown());
    let ends = client.output.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
    let at = if lines == 2 { ends.unwrap_or(0) } else { 0 };
    match reply::read(&client.output, at..client.output.len(), id) {
        Answer::Value(at) => assert_eq!(reply::number(client.text(at)), number),
        other => panic!("{other:?}: {}", shown()),
    }
}
