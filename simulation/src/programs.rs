//! The acts of programs: one that ends at once, and one that prints for ever and may run for so
//! long. Invariant: when an act is over no program of it runs any more.

use crate::ask::ask;
use crate::client::Client;
use crate::guest::TICK_MS;
use crate::record::Record;
use crate::reply::Answer;
use crate::source::Source;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qga_core::limits::EXEC_ENTRIES_MAX;
use qga_core::platform::Clock as _;
use serde_json::Value;
use std::fmt::Arguments;

/// How often one that runs is asked for.
const ROUNDS_MAX: usize = 40;

/// Starts a program; its number, if there is one.
fn start<S: Source>(
    client: &mut Client<S>,
    record: &mut Record,
    arguments: Arguments<'_>,
) -> Option<i64> {
    let (frozen, calls) = (client.is_frozen(), client.calls());
    let waits = client.is_busy();
    match ask(client, record, "guest-exec", arguments) {
        Answer::Value(at) => {
            assert!(!frozen, "a program is started while frozen");
            let value = String::from_utf8_lossy(client.text(at)).into_owned();
            let pid = value.strip_prefix("{\"pid\": ").and_then(|it| it.strip_suffix('}'));
            Some(pid.and_then(|pid| pid.parse().ok()).expect("a number"))
        }
        Answer::Error { not_found } => {
            assert_eq!(not_found, frozen, "guest-exec");
            assert!(frozen || waits || client.failed_since(calls), "no program without a reason");
            None
        }
        Answer::None => None,
    }
}

/// A program, to its end if the client asks for that: what it prints comes back whole, and nothing
/// that it was given to be told early or to end in time changes a word of that.
pub fn run<S: Source>(client: &mut Client<S>, record: &mut Record) {
    let choice = client.source.byte();
    if choice >> 1 & 3 == 3 {
        return follow(client, record, choice >> 3);
    }
    let calls = client.calls();
    let capture = choice.is_multiple_of(2);
    let more = ["", ", \"stream-output\": true", ", \"timeout\": 1"];
    let more = more[usize::from(choice >> 1 & 3)];
    let arguments = format_args!("\"path\": \"p\", \"capture-output\": {capture}{more}");
    let Some(pid) = start(client, record, arguments) else { return };
    if client.source.byte().is_multiple_of(4) {
        return;
    }
    let arguments = format_args!("\"pid\": {pid}");
    if let Answer::Value(at) = ask(client, record, "guest-exec-status", arguments)
        && !client.failed_since(calls)
    {
        let value = String::from_utf8_lossy(client.text(at)).into_owned();
        let printed = value.contains("\"out-data\": \"cHJpbnRlZA==\"");
        assert!(value.contains("\"exitcode\": 7") && printed == capture, "{value}");
        assert!(!value.contains("timed-out"), "{value}");
    }
}

/// One that never ends: all that it prints comes once, in its order, and it ends in time.
fn follow<S: Source>(client: &mut Client<S>, record: &mut Record, choice: u8) {
    let (seconds, wait_ms) = (1 + u64::from(choice & 3), 100 + u64::from(choice >> 2) * 200);
    let (calls, started_ms) = (client.calls(), client.session.sim.now_ms());
    let arguments = format_args!(
        "\"path\": \"ticks\", \"capture-output\": \"stdout\", \"stream-output\": true, \
         \"timeout\": {seconds}"
    );
    let pid = start(client, record, arguments);
    let (mut printed, mut late) = (Vec::new(), 0);
    for _ in 0..ROUNDS_MAX {
        let Some(pid) = pid else { break };
        let asked_ms = client.session.sim.now_ms();
        let status = format_args!("\"pid\": {pid}");
        let Answer::Value(at) = ask(client, record, "guest-exec-status", status) else { break };
        let value: Value = serde_json::from_slice(client.text(at)).expect("JSON");
        let sure = !client.failed_since(calls);
        if let Some(part) = value["out-data"].as_str() {
            printed.extend(BASE64.decode(part).expect("base64"));
        }
        let ran_ms = client.session.sim.now_ms() - started_ms;
        if sure {
            judge(&value, &printed, ran_ms);
        }
        if value["exited"] == true {
            let in_time = value["signal"] == 9 && value["timed-out"] == true;
            assert!(!sure || in_time && ran_ms >= seconds * 1000, "after {ran_ms} ms: {value}");
            break;
        }
        // Its end may be news for the next step only.
        late += usize::from(asked_ms - started_ms >= seconds * 1000);
        assert!(!sure || late <= 1, "it runs for {ran_ms} ms, and was to run for {seconds} s");
        client.session.sim.with(|world| world.time.advance(wait_ms));
    }
    if client.is_frozen() || client.session.is_over() {
        return;
    }
    let (agent, sim) = client.session.parts();
    sim.with(|world| (0..EXEC_ENTRIES_MAX).for_each(|slot| world.exec.kill(slot, 9)));
    agent.step(sim);
}

/// What must be true of what was printed so far: nothing is missing, twice or too early.
fn judge(value: &Value, printed: &[u8], ran_ms: u64) {
    assert_ne!(value["out-truncated"], true, "{value}");
    for (at, tick) in printed.iter().enumerate() {
        assert_eq!(usize::from(*tick), at % 256, "ticks come in order: {printed:?}");
        assert!(at as u64 * TICK_MS <= ran_ms, "tick {at} after {ran_ms} ms");
    }
}
