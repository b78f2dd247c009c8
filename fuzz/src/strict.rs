//! A second opinion on JSON: serde_json's, made as strict as QEMU's dialect where that is stricter,
//! and knowing where it is not.

use qga_core::internals::json::text::{character, decode_in_place};
use qga_core::limits::{DEPTH_MAX, MEMBERS_MAX};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The members of an object, in order, their values as written.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The members of an object.
pub fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Members>(text).ok().map(|members| members.0)
}

/// The values of a stream that is nothing but strict JSON and whitespace.
pub fn stream(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let values: Result<Vec<&RawValue>, _> =
        serde_json::Deserializer::from_str(text).into_iter().collect();
    Some(values.ok()?.into_iter().map(|value| value.get().as_bytes()).collect())
}

/// Whether a guest-sync stands inside a value, and is not all of it.
pub fn holds_sync(bytes: &[u8]) -> bool {
    fn any(value: &Value, outermost: bool) -> bool {
        let names = ["guest-sync", "guest-sync-delimited"];
        let named = value.get("execute").and_then(Value::as_str);
        let is_one = !outermost && named.is_some_and(|name| names.contains(&name));
        is_one
            || match value {
                Value::Array(values) => values.iter().any(|value| any(value, false)),
                Value::Object(members) => members.values().any(|value| any(value, false)),
                _ => false,
            }
    }
    serde_json::from_slice(bytes).is_ok_and(|value| any(&value, true))
}

/// What serde_json says of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opinion {
    /// It is JSON, and QEMU's dialect takes it too.
    Accepted,
    /// It is JSON, but QEMU's dialect or a limit of ours refuses it.
    OtherDialect,
    /// It is not JSON.
    Refused,
}

/// Judges a text that should be one value.
pub fn judge(bytes: &[u8]) -> Opinion {
    let Ok(text) = std::str::from_utf8(bytes) else { return Opinion::Refused };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(raw) => walk(raw.get(), 0, 0),
        Err(_) => Opinion::Refused,
    }
}

/// Judges a value at some depth, with so many keys in the objects around it.
fn walk(text: &str, depth: usize, keys: usize) -> Opinion {
    match text.as_bytes().first() {
        Some(b'{') => {
            let Some(members) = members(text) else { return Opinion::Refused };
            let mut worst = limit(depth < DEPTH_MAX);
            for (index, (name, value)) in members.iter().enumerate() {
                let again = members[..index].iter().any(|(earlier, _)| earlier == name);
                let keys = keys + index + 1;
                worst = worse(worst, limit(!again && keys <= MEMBERS_MAX && plain(name)));
                worst = worse(worst, walk(value.get(), depth + 1, keys));
            }
            worst
        }
        Some(b'[') => {
            let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(text) else {
                return Opinion::Refused;
            };
            let judged = elements.iter().map(|value| walk(value.get(), depth + 1, keys));
            judged.fold(limit(depth < DEPTH_MAX), worse)
        }
        Some(b'"') => match serde_json::from_str::<String>(text) {
            Ok(string) => {
                check_decoding(text, &string);
                limit(plain(&string))
            }
            Err(_) => Opinion::Refused,
        },
        // QEMU's numbers have no exponent right after a zero.
        Some(b'0'..=b'9' | b'-') => {
            let digits = text.trim_start_matches('-').as_bytes();
            limit(!matches!(digits, [b'0', b'e' | b'E', ..]))
        }
        _ => Opinion::Accepted,
    }
}

fn limit(kept: bool) -> Opinion {
    if kept { Opinion::Accepted } else { Opinion::OtherDialect }
}

fn worse(a: Opinion, b: Opinion) -> Opinion {
    let rank = |opinion| match opinion {
        Opinion::Accepted => 0,
        Opinion::OtherDialect => 1,
        Opinion::Refused => 2,
    };
    if rank(a) >= rank(b) { a } else { b }
}

/// Whether all characters may stand in a string of QEMU's dialect.
pub fn plain(text: &str) -> bool {
    text.chars().all(|each| character(u32::from(each)).is_some())
}

/// Our decoding of a string is serde_json's, but that a NUL is held as C0 80.
fn check_decoding(text: &str, decoded: &str) {
    if !plain(decoded) {
        return;
    }
    let mut inside = text.as_bytes()[1..text.len() - 1].to_vec();
    let mut expected = Vec::with_capacity(decoded.len());
    for byte in decoded.bytes() {
        match byte {
            0 => expected.extend([0xC0, 0x80]),
            other => expected.push(other),
        }
    }
    assert_eq!(decode_in_place(&mut inside), expected, "decoding of {text}");
}
