//! What serde_json takes for a request of QMP's shape is taken by the agent, and any `id` comes
//! back as the same JSON value.

use crate::guest::{Cut, Large, guest, hold};
use qga_sim::{Random, Sim};
use qga_tests::conversations::load;
use serde_json::{Map, Value, json};

#[test]
fn what_serde_json_accepts_is_no_parse_error() {
    let mut accepted = 0;
    for conversation in load() {
        let mut session = Large::start(&guest(&conversation)).expect("a start");
        let outputs = hold(&mut session, &conversation, Cut::Whole);
        for (step, output) in conversation.steps.iter().zip(outputs) {
            let Ok(Value::Object(request)) = serde_json::from_slice(&step.send) else { continue };
            let name = &step.name;
            let output = String::from_utf8_lossy(&output).into_owned();
            // serde_json takes what QEMU's JSON does not: these stand in the data with our answer.
            let dialect = ["duplicate key", "expected ','", "limit exceeded"];
            let dialect = [&dialect[..], &["valid Unicode", "invalid UTF-8"]].concat();
            // And where a step's reply is not to this request alone, more was sent before it.
            let alone = output.lines().count() == 1;
            if !alone || dialect.iter().any(|text| output.contains(text)) {
                continue;
            }
            accepted += 1;
            assert!(!output.contains("JSON parse error"), "{name}: {output}");
            let known = request.keys().all(|key| ["execute", "arguments", "id"].contains(&&**key));
            let shape = known
                && request.get("execute").is_some_and(Value::is_string)
                && request.get("arguments").is_none_or(Value::is_object);
            assert_eq!(output.contains("QMP input"), !shape, "{name}: {output}");
        }
    }
    assert!(accepted > 300, "only {accepted} requests");
}

#[test]
fn any_id_comes_back() {
    let mut random = Random::new(7);
    let mut session = Large::start(&Sim::new(1)).expect("a start");
    for _ in 0..5000 {
        let id = value(&mut random, 4);
        let request = json!({"execute": "guest-sync", "arguments": {"id": 5}, "id": id});
        let pretty = random.below(2) == 0;
        let text = match pretty {
            true => serde_json::to_string_pretty(&request),
            false => serde_json::to_string(&request),
        };
        let text = text.expect("JSON");
        let output = session.send(format!("{text}\n").as_bytes());
        let reply: Value = serde_json::from_slice(&output).expect("a reply");
        assert_eq!(reply, json!({"return": 5, "id": id}), "{text}");
    }
}

/// Any JSON value, not too deep.
fn value(random: &mut Random, depth: u64) -> Value {
    let kinds = if depth == 0 { 5 } else { 7 };
    match random.below(kinds) {
        0 => Value::Null,
        1 => Value::Bool(random.below(2) == 0),
        2 => json!(random.number() as i64 >> random.below(64)),
        3 => json!(random.number() >> random.below(64)),
        4 => Value::String(text(random)),
        5 => (0..random.below(5)).map(|_| value(random, depth - 1)).collect(),
        _ => {
            let member = |random: &mut Random| (text(random), value(random, depth - 1));
            Value::Object((0..random.below(5)).map(|_| member(random)).collect::<Map<_, _>>())
        }
    }
}

/// Any text but QEMU's forbidden non-characters.
fn text(random: &mut Random) -> String {
    let allowed = |&code: &char| {
        let code = u32::from(code);
        code & 0xFFFE != 0xFFFE && !(0xFDD0..=0xFDEF).contains(&code)
    };
    (0..random.below(8))
        .filter_map(|_| {
            let planes = 0x11_0000 >> random.below(16);
            char::from_u32(random.below(planes) as u32)
        })
        .filter(allowed)
        .collect()
}

/// Closing brackets that nothing opened, after a request that was refused, are part of it.
#[test]
fn one_bad_request_earns_one_error() {
    let sim = Sim::new(1);
    let mut session = Large::start(&sim).expect("a start");
    for bad in ["{\"a\":[}]}", "{\"a\":1}]}", "[[]}", "{\"a\" 1}\n}\n]", "[1}}}]", "{]}]"] {
        let text = format!("{bad} {{\"execute\": \"guest-ping\"}}\n}}\n");
        let output = String::from_utf8(session.send(text.as_bytes())).expect("UTF-8");
        let lines: Vec<&str> = output.lines().collect();
        let [error, ping, stray] = lines[..] else { panic!("{bad}: {output}") };
        assert!(error.starts_with("{\"error\":"), "{bad}: {output}");
        assert_eq!(ping, "{\"return\": {}}", "{bad}");
        assert!(stray.contains("JSON parse error"), "after a good request: {bad}: {output}");
    }
}
