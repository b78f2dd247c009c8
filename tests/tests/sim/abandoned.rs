//! A client leaves half a request and hangs up, and nobody tells the agent: the next one's
//! guest-sync is answered all the same, without a 0xFF before it, after one error for the half.

use crate::guest::{Large, Small};
use qga_sim::Sim;

const PING: &str = "{\"execute\":\"guest-ping\"}";

/// guest-sync as clients write it: libvirt, Proxmox VE (members in any order), by hand.
const SYNCS: [&str; 5] = [
    "{\"execute\":\"guest-sync\", \"arguments\":{\"id\":1795361773520}}\n",
    "{\"arguments\":{\"id\":1795361773520},\"execute\":\"guest-sync\"}",
    "{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": 1795361773520}}\n",
    "{'execute':'guest-sync','arguments':{'id':1795361773520},'id':[{}]}\n",
    " \t{ \"id\" : \"x\",\"execute\" : \"guest-sync\" , \"arguments\" : { \"id\" : 1795361773520 } }\n",
];

/// What is left behind: every beginning of these.
const LEFT: [&str; 12] = [
    "{\"execute\":\"guest-ping\"}",
    "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"/a{b}\\\"c\",\"mode\":\"r\"}}",
    "{\"arguments\": {\"handle\" : 1000, \"count\":-12}, \"execute\": \"guest-file-read\"}",
    "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":17}}",
    "{\"execute\":\"guest-exec\",\"arguments\":{\"arg\":[\"x\",\"y\"],\"env\":[true,null]}}",
    "[[[[{\"a\":[{\"b\":{\"c\":{\"d\":1}}}]}]]]]",
    "@@@ garbage {\"execute\":\"guest-ping\"} {{{ }",
    "{\"return\":{}} \"\\u00",
    "nul{\"a\":-{}",
    "\"half a string",
    "[\"half a string",
    "{\"execute\":\"guest-ping\",\"id\":{\"a\":[1,\"x\"],\"b\":{}},\"x\":",
];

fn lines(output: &[u8]) -> Vec<String> {
    output.split_inclusive(|&byte| byte == b'\n').map(|l| l.escape_ascii().to_string()).collect()
}

/// Whether any object may come after this beginning, as the value of its `id` or inside of that.
fn is_in_id(half: &str) -> bool {
    let inside = half.rsplit_once("\"id\":").is_some_and(|(before, inside)| {
        // Whether it is the request's own.
        before.matches('{').count() == 1 + before.matches('}').count() && !inside.contains("},\"x")
    });
    let text = half.trim_end();
    let open = text.matches('"').count().is_multiple_of(2);
    inside && open && text.ends_with([':', ',', '['])
}

/// Whether a text in other quotes is content of the string that is open after this beginning.
fn is_in_string(half: &str, sync: &str) -> bool {
    let quotes = half.replace("\\\"", "").matches('"').count();
    quotes % 2 == 1 && sync.contains('\'')
}

/// All beginnings, those that only differ in what they would become left out.
fn halves() -> Vec<&'static str> {
    let cut = |left: &'static str| (1..left.len()).map(|end| &left[..end]);
    LEFT.iter().flat_map(|left| cut(left)).collect()
}

#[test]
fn the_next_sync_is_answered_whatever_was_left() {
    let mut session = Large::start(&Sim::new(1)).expect("a start");
    let mut asked = 0;
    for half in halves() {
        for sync in SYNCS {
            if is_in_id(half) || is_in_string(half, sync) {
                continue;
            }
            asked += 1;
            let mut output = session.send(half.as_bytes());
            let before = lines(&output).len();
            output.extend(session.send(sync.as_bytes()));
            output.extend(session.send(PING.as_bytes()));
            let got = lines(&output);
            let shown = format!("{half:?} and {sync:?}: {got:#?}");
            let ([.., sync, ping], errors) = (&got[..], got.len() - 2) else { panic!("{shown}") };
            assert!(sync.contains("{\\\"return\\\": 1795361773520"), "{shown}");
            assert_eq!(ping, "{\\\"return\\\": {}}\\n", "{shown}");
            // What is whole in the half has been answered; what is not whole earns one error.
            let is_request = half.starts_with('{') && !half.starts_with("{\"return");
            assert!(errors <= before + 1 || !is_request, "{shown}");
        }
    }
    assert!(asked > 2000, "{asked} halves");
}

#[test]
fn where_the_channel_cuts_it_does_not_matter() {
    let mut session = Small::start(&Sim::new(1)).expect("a start");
    for half in halves().into_iter().step_by(3) {
        for sync in SYNCS {
            let text = [half, sync, PING, "\n", half, "\n", sync, "\u{1}", PING, "\n"].concat();
            let whole = session.send(text.as_bytes());
            session.disconnect();
            for at in (1..text.len()).step_by(7) {
                let (first, second) = text.as_bytes().split_at(at);
                let mut output = session.send(first);
                output.extend(session.send(second));
                session.disconnect();
                assert_eq!(lines(&output), lines(&whole), "{text:?} cut at {at}");
            }
            assert_eq!(lines(&session.send_pieces(text.as_bytes(), 1)), lines(&whole), "{text:?}");
            session.disconnect();
        }
    }
}

/// After too many bytes or levels, too: what was refused is still followed to its end.
#[test]
fn inside_what_is_too_long_or_too_deep() {
    let mut session = Small::start(&Sim::new(1)).expect("a start");
    let long = format!("{{\"execute\":\"{}", "x".repeat(20_000));
    let many = format!("{{\"a\":[{}{{\"b\":", "1, ".repeat(9_000));
    let numbers = format!("{{\"id\":[{}1", "1, ".repeat(9_000));
    for left in [&*"[".repeat(100), &*"{\"a\":".repeat(100), &long, &many, &numbers] {
        for sync in [SYNCS[0], SYNCS[1], SYNCS[2], SYNCS[4]] {
            let text = [left, sync, PING].concat();
            let whole = session.send(text.as_bytes());
            let got = lines(&whole);
            let [error, answer, ping] = &got[..] else { panic!("{:.40} {sync}: {got:?}", left) };
            assert!(error.contains("limit exceeded"), "{error}");
            assert!(answer.contains("1795361773520"), "{answer}");
            assert_eq!(ping, "{\\\"return\\\": {}}\\n");
            for piece in [1, 7, 250, 4000] {
                assert_eq!(lines(&session.send_pieces(text.as_bytes(), piece)), got, "{piece}");
            }
        }
    }
}

/// An `id` may be anything, a guest-sync too; a string as well; neither is mistaken.
#[test]
fn what_may_stand_there_is_no_sync() {
    let mut session = Small::start(&Sim::new(1)).expect("a start");
    let sync = "{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 1}}";
    let quoted = format!("'{sync}'");
    let echoed = format!("\"{}\"", sync.replace('"', "\\\""));
    let list = format!("[1, {sync}, {{\"a\": {sync}}}]");
    for (id, echo) in [(sync, sync), (&list, &list), (&quoted, &echoed)] {
        for request in [
            format!("{{\"execute\": \"guest-ping\", \"id\": {id}}}"),
            format!("{{\"id\":\n{id}, \"execute\": \"guest-ping\"}}"),
            format!("{{\"i\\u0064\": {id}, 'execute': 'guest-ping'}}"),
        ] {
            let expected = [format!("{{\"return\": {{}}, \"id\": {echo}}}\n")];
            for at in 1..request.len() {
                let (first, second) = request.as_bytes().split_at(at);
                let output = [session.send(first), session.send(second)].concat();
                assert_eq!([String::from_utf8(output).expect("ASCII")], expected, "cut at {at}");
            }
        }
    }
}

/// Objects that only look like it are part of what they stand in, which earns one error.
#[test]
fn what_only_looks_like_a_sync_is_none() {
    let mut session = Small::start(&Sim::new(1)).expect("a start");
    for inner in [
        "{\"path\": \"guest-sync\"}",
        "{\"execute\": \"guest-ping\", \"id\": \"guest-sync\"}",
        "{\"execute\": \"guest-synced\"}",
        "{\"execute\": \"guest-sync\",}",
        "{\"execute\": \"guest-sync\", \"x\": 1}",
        "{ {\"execute\": \"guest-sync\"}",
    ] {
        for bad in [format!("{{\"a\" {inner}}}\n"), format!("# {inner}\n"), format!("[{inner}}}\n")]
        {
            let output = session.send(format!("{bad}{PING}\n").as_bytes());
            let got = lines(&output);
            // The last one is none of the two.
            let nested = inner.starts_with("{ {");
            assert!(got.len() == 2 || nested, "{bad}: {got:?}");
            assert_eq!(got.last().map(String::as_str), Some("{\\\"return\\\": {}}\\n"), "{bad}");
        }
    }
    let open =
        "{\"execute\":\"guest-file-open\",\"arguments\":{\"path\":\"guest-sync\",\"mode\":\"x\"}}";
    assert_eq!(lines(&session.send(open.as_bytes())).len(), 1);
}
