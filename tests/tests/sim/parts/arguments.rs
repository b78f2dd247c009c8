//! Typed arguments of every shape that a schema can have, also those that no command has yet.

use qga_core::error::Slot;
use qga_core::internals::command::file::Whence;
use qga_core::internals::json::check::{Members, check};
use qga_core::internals::json::lists::{Strings, Switch, Switches};
use qga_core::internals::json::read::{Base64, from_text};
use serde::Deserialize;
use std::fmt::Debug;

/// Reads checked text as arguments: the value in words, or the error's.
fn read<T: for<'de> Deserialize<'de> + Debug>(text: &str) -> Result<T, String> {
    let mut frame = text.as_bytes().to_vec();
    let slot = Slot::new();
    assert!(check(&frame.clone(), &mut Members::new(), &Slot::new()).is_ok(), "{text}");
    let value = from_text::<T>(&mut frame, &slot);
    value.map_err(|_| slot.get().to_string())
}

#[derive(Deserialize, Debug, PartialEq)]
struct Numbers {
    signed: i64,
    unsigned: u64,
    truth: bool,
    maybe: Option<i64>,
}

#[test]
fn numbers_and_truths() {
    let text = |signed: &str, unsigned: &str, truth: &str| {
        format!("{{\"truth\": {truth}, \"signed\": {signed}, \"unsigned\": {unsigned}}}")
    };
    fn wrong<T>(name: &str, kind: &str) -> Result<T, String> {
        Err(format!("Invalid parameter type for '{name}', expected: {kind}"))
    }
    for (signed, expected) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("-5", Some(-5)),
        ("9223372036854775807", Some(i64::MAX)),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("1.0", None),
        ("1e3", None),
        ("\"1\"", None),
        ("true", None),
        ("[1]", None),
        ("null", None),
    ] {
        let found = read::<Numbers>(&text(signed, "1", "true")).map(|numbers| numbers.signed);
        assert_eq!(found, expected.map_or(wrong("signed", "integer"), Ok), "{signed}");
    }
    for (unsigned, expected) in [
        ("18446744073709551615", Some(u64::MAX)),
        ("18446744073709551616", None),
        ("-1", Some(u64::MAX)),
        ("-9223372036854775807", Some(1 << 63 | 1)),
        ("-9223372036854775808", Some(1 << 63)),
        ("-9223372036854775809", None),
        ("-18446744073709551615", None),
    ] {
        let found = read::<Numbers>(&text("1", unsigned, "true")).map(|numbers| numbers.unsigned);
        assert_eq!(found, expected.map_or(wrong("unsigned", "integer"), Ok), "{unsigned}");
    }
    for (truth, expected) in [
        ("true", Some(true)),
        ("false", Some(false)),
        ("null", None),
        ("1", None),
        ("\"true\"", None),
    ] {
        let found = read::<Numbers>(&text("1", "2", truth)).map(|numbers| numbers.truth);
        assert_eq!(found, expected.map_or(wrong("truth", "boolean"), Ok), "{truth}");
    }
}

#[test]
fn members_in_the_order_of_the_struct() {
    let whole = Numbers { signed: 1, unsigned: 2, truth: true, maybe: Some(3) };
    let text = "{\"maybe\":3,\"t\\u0072uth\":true , \"unsigned\":2,\t\"signed\":1}";
    assert_eq!(read::<Numbers>(text), Ok(whole));
    for (text, error) in [
        ("{}", "Parameter 'signed' is missing"),
        ("", "Parameter 'signed' is missing"),
        ("{\"unsigned\": \"x\"}", "Parameter 'signed' is missing"),
        ("{\"signed\": 1}", "Parameter 'unsigned' is missing"),
        ("{\"signed\": 1, \"unsigned\": 2}", "Parameter 'truth' is missing"),
        (
            "{\"signed\": 1, \"unsigned\": 2, \"truth\": true, \"x\": 1, \"y\": 2}",
            "Parameter 'x' is unexpected",
        ),
        (
            "{\"x\": {\"signed\": 1}, \"signed\": 1, \"unsigned\": 2, \"truth\": 3}",
            "Invalid parameter type for 'truth', expected: boolean",
        ),
        (
            "{\"signed\": 1, \"unsigned\": 2, \"truth\": true, \"maybe\": \"x\"}",
            "Invalid parameter type for 'maybe', expected: integer",
        ),
    ] {
        let mut frame = text.as_bytes().to_vec();
        let slot = Slot::new();
        assert!(from_text::<Numbers>(&mut frame, &slot).is_err(), "{text}");
        assert_eq!(slot.get().to_string(), error, "{text}");
    }
}

#[derive(Deserialize, Debug, PartialEq)]
struct Inner {
    id: i64,
    online: Option<bool>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Lists {
    numbers: Option<Vec<i64>>,
    rows: Option<Vec<Inner>>,
    lists: Option<Vec<Vec<u64>>>,
    inner: Option<Inner>,
}

#[test]
fn lists_and_what_is_in_them() {
    let none = || Lists { numbers: None, rows: None, lists: None, inner: None };
    let inner = |id, online| Inner { id, online };
    for (text, expected) in [
        ("{}", none()),
        ("{\"numbers\": []}", Lists { numbers: Some(vec![]), ..none() }),
        ("{\"numbers\": [ 1,-2 , 3]}", Lists { numbers: Some(vec![1, -2, 3]), ..none() }),
        (
            "{\"lists\": [[], [1], [2,3]]}",
            Lists { lists: Some(vec![vec![], vec![1], vec![2, 3]]), ..none() },
        ),
        (
            "{\"rows\": [{\"online\": true, \"id\": 1}, {\"id\": 2}]}",
            Lists { rows: Some(vec![inner(1, Some(true)), inner(2, None)]), ..none() },
        ),
        ("{\"inner\": {\"id\": 5}}", Lists { inner: Some(inner(5, None)), ..none() }),
    ] {
        assert_eq!(read::<Lists>(text), Ok(expected), "{text}");
    }
    for (text, error) in [
        ("{\"numbers\": 1}", "Invalid parameter type for 'numbers', expected: array"),
        ("{\"numbers\": {}}", "Invalid parameter type for 'numbers', expected: array"),
        ("{\"numbers\": [1, true]}", "Invalid parameter type for 'numbers[1]', expected: integer"),
        ("{\"rows\": [{\"id\": 1}, {\"id\": 2}, {}]}", "Parameter 'rows[2].id' is missing"),
        ("{\"rows\": [[]]}", "Invalid parameter type for 'rows[0]', expected: object"),
        (
            "{\"rows\": [{\"id\": 1, \"online\": 2}]}",
            "Invalid parameter type for 'rows[0].online', expected: boolean",
        ),
        ("{\"rows\": [{\"id\": 1, \"x\": 2}]}", "Parameter 'rows[0].x' is unexpected"),
        ("{\"inner\": 7}", "Invalid parameter type for 'inner', expected: object"),
    ] {
        assert_eq!(read::<Lists>(text), Err(error.to_owned()), "{text}");
    }
}

/// Text and base64, copied so that they outlive the frame.
#[derive(Debug, PartialEq)]
struct Texts {
    text: Vec<u8>,
    data: Option<Vec<u8>>,
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Borrowed<'a> {
            text: &'a [u8],
            #[serde(borrow)]
            data: Base64<'a>,
        }
        let Borrowed { text, data } = Borrowed::deserialize(deserializer)?;
        let data = match data {
            Base64::Bytes(bytes) => Some(bytes.to_vec()),
            Base64::Invalid => None,
        };
        Ok(Texts { text: text.to_vec(), data })
    }
}

#[test]
fn strings_and_base64_are_decoded_where_they_stand() {
    let texts = |text: &[u8], data: Option<&[u8]>| {
        Ok(Texts { text: text.to_vec(), data: data.map(<[u8]>::to_vec) })
    };
    for (text, expected) in [
        ("{\"text\": \"a\\n\\u00e4\", \"data\": \"aGk=\"}", texts(b"a\n\xC3\xA4", Some(b"hi"))),
        ("{'text': '', 'data': ''}", texts(b"", Some(b""))),
        ("{\"text\": \"x\", \"data\": \"a\\u0047k=\"}", texts(b"x", Some(b"hi"))),
        ("{\"text\": \"x\", \"data\": \"*\"}", texts(b"x", None)),
    ] {
        assert_eq!(read::<Texts>(text), expected, "{text}");
    }
    for (text, name) in [
        ("{\"text\": 1, \"data\": \"\"}", "text"),
        ("{\"text\": null, \"data\": \"\"}", "text"),
        ("{\"text\": \"\", \"data\": []}", "data"),
        ("{\"text\": \"\", \"data\": 12}", "data"),
    ] {
        let expected = format!("Invalid parameter type for '{name}', expected: string");
        assert_eq!(read::<Texts>(text), Err(expected), "{text}");
    }
}

#[derive(Deserialize, Debug, PartialEq)]
struct Wrapped(i64);

#[derive(Deserialize, Debug, PartialEq)]
struct Outer {
    wrapped: Wrapped,
}

#[test]
fn a_newtype_is_what_is_in_it() {
    assert_eq!(read::<Outer>("{\"wrapped\": 7}"), Ok(Outer { wrapped: Wrapped(7) }));
}

#[derive(Deserialize, Debug)]
struct Loose {
    #[allow(dead_code)]
    number: f64,
}

#[derive(Deserialize, Debug)]
#[allow(dead_code)]
struct Eight {
    a: i64,
    b: i64,
    c: i64,
    d: i64,
    e: i64,
    f: i64,
    g: i64,
    h: i64,
}

/// A link error in the product: odd_types.rs.
#[test]
fn what_no_schema_takes_panics() {
    assert!(std::panic::catch_unwind(|| read::<Loose>("{\"number\": 1.5}")).is_err());
    assert!(std::panic::catch_unwind(|| read::<Eight>("{}")).is_err());
}

/// What other deserializers say was expected; the core's own never asks.
#[test]
fn types_name_themselves() {
    let whence = serde_json::from_str::<Whence>("{\"set\": 1}").err().expect("no whence");
    assert!(whence.to_string().contains("expected GuestFileWhence"), "{whence}");
    let base64 = serde_json::from_str::<Base64<'_>>("1").expect_err("no base64");
    assert!(base64.to_string().contains("expected base64"), "{base64}");
}

#[derive(Deserialize)]
struct Long<'a> {
    #[serde(borrow)]
    arg: Option<Strings<'a>>,
    #[serde(borrow)]
    cpus: Option<Switches<'a, 0>>,
    #[serde(borrow)]
    blocks: Option<Switches<'a, 1>>,
}

/// What the lists of an object hold, or what is wrong with one.
type Found = (Vec<Vec<u8>>, Vec<Switch>, Vec<Switch>);

fn long(text: &str) -> Result<Found, String> {
    let mut frame = text.as_bytes().to_vec();
    let slot = Slot::new();
    assert!(check(&frame.clone(), &mut Members::new(), &Slot::new()).is_ok(), "{text}");
    let read = from_text::<Long<'_>>(&mut frame, &slot);
    let Long { arg, cpus, blocks } = read.map_err(|_| slot.get().to_string())?;
    if let Some(arg) = arg {
        let bytes: usize = arg.iter().map(|string| string.count() + 1).sum();
        assert_eq!(bytes, arg.bytes_each_ended());
    }
    Ok((
        arg.map_or(Vec::new(), |list| list.iter().map(Iterator::collect).collect()),
        cpus.map_or(Vec::new(), |list| list.iter().collect()),
        blocks.map_or(Vec::new(), |list| list.iter().collect()),
    ))
}

#[test]
fn long_lists_give_what_decoding_in_place_gives() {
    let strings = |text: &str| long(&format!("{{\"arg\": {text}}}")).map(|(arg, ..)| arg);
    let bytes = |words: &[&[u8]]| Ok(words.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
    assert_eq!(strings("[]"), bytes(&[]));
    assert_eq!(strings("[ ]"), bytes(&[]));
    assert_eq!(strings(r#"["", 'a"b' ,"c"]"#), bytes(&[b"", b"a\"b", b"c"]));
    assert_eq!(strings(r#"["a\u0000b\n\"]", "\ud83d\ude00\u00e4"]"#), {
        bytes(&[b"a\xC0\x80b\n\"]", "\u{1F600}\u{E4}".as_bytes()])
    });
    assert_eq!(strings("[\"\u{20AC}\", \"[,]\"]"), bytes(&["\u{20AC}".as_bytes(), b"[,]"]));
}

#[test]
fn switches_are_numbers_that_are_on_or_off() {
    let found = long(
        r#"{"cpus": [{"online": true, "logical-id": 3}, {"logical-id": 0, "online": false,
            "can-offline": true}], "blocks": [{"phys-index": 18446744073709551615,
            "online": true}]}"#,
    );
    let (_, cpus, blocks) = found.expect("lists");
    let switch = |number, online| Switch { number, online };
    assert_eq!(cpus, [switch(3, true), switch(0, false)]);
    assert_eq!(blocks, [switch(u64::MAX, true)]);
}

#[test]
fn what_is_wrong_in_a_long_list_is_named() {
    for (text, expected) in [
        (r#"{"arg": 1}"#, "Invalid parameter type for 'arg', expected: array"),
        (r#"{"arg": ["a", 1]}"#, "Invalid parameter type for 'arg[1]', expected: string"),
        (r#"{"arg": [null]}"#, "Invalid parameter type for 'arg[0]', expected: string"),
        (r#"{"cpus": [1]}"#, "Invalid parameter type for 'cpus[0]', expected: object"),
        (r#"{"cpus": [{"online": true}]}"#, "Parameter 'cpus[0].logical-id' is missing"),
        (r#"{"cpus": [{"logical-id": 0}]}"#, "Parameter 'cpus[0].online' is missing"),
        (
            r#"{"cpus": [{"logical-id": 0, "online": true}, {"logical-id": "0", "online": true}]}"#,
            "Invalid parameter type for 'cpus[1].logical-id', expected: integer",
        ),
        (
            r#"{"cpus": [{"logical-id": 0, "online": 1}]}"#,
            "Invalid parameter type for 'cpus[0].online', expected: boolean",
        ),
        (
            r#"{"cpus": [{"logical-id": 0, "online": true, "can-offline": 1}]}"#,
            "Invalid parameter type for 'cpus[0].can-offline', expected: boolean",
        ),
        (
            r#"{"cpus": [{"logical-id": 0, "online": true, "foo": 1}]}"#,
            "Parameter 'cpus[0].foo' is unexpected",
        ),
        (
            r#"{"blocks": [{"logical-id": 0, "online": true}]}"#,
            "Parameter 'blocks[0].phys-index' is missing",
        ),
    ] {
        assert_eq!(long(text).expect_err(text), expected);
    }
}
