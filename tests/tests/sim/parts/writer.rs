//! The writer: numbers, characters and lists against the standard library's, and what happens where
//! its room ends.

use qga_core::writer::Writer;
use serde::Serialize;

/// What `write` writes into `room` bytes, and whether something did not fit.
fn written(room: usize, write: impl FnOnce(&mut Writer<'_>)) -> (String, bool) {
    let mut bytes = vec![0; room];
    let mut out = Writer::new(&mut bytes);
    write(&mut out);
    (String::from_utf8(out.written().to_vec()).expect("ASCII"), out.is_full())
}

#[test]
fn numbers_are_decimal() {
    for number in [0, 1, 9, 10, 99, 100, 12_345, i64::MAX] {
        let text = number.to_string();
        assert_eq!(written(20, |out| out.integer(number)), (text.clone(), false));
        assert_eq!(written(20, |out| out.unsigned(number as u64)), (text.clone(), false));
        assert_eq!(written(20, |out| out.integer(-number)), ((-number).to_string(), false));
        assert_eq!(written(text.len() - 1, |out| out.integer(number)), (String::new(), true));
    }
    assert_eq!(written(20, |out| out.integer(i64::MIN)).0, i64::MIN.to_string());
    assert_eq!(written(20, |out| out.unsigned(u64::MAX)).0, u64::MAX.to_string());
}

#[test]
fn every_character_is_ascii_and_reads_back() {
    for code in (0..0x11_0000).step_by(37).chain(0..0x300).chain([0xFFFF, 0x1_0000, 0x10_FFFF]) {
        let (text, full) = written(12, |out| out.character(code));
        assert!(text.is_ascii() && !full, "{code:x}: {text}");
        if let Some(character) = char::from_u32(code) {
            let back: String = serde_json::from_str(&format!("\"{text}\"")).expect("JSON");
            assert_eq!(back, character.to_string(), "{code:x}");
        }
    }
    for (code, text) in [
        (8, "\\b"),
        (9, "\\t"),
        (10, "\\n"),
        (12, "\\f"),
        (13, "\\r"),
        (0x1F, "\\u001F"),
        (0x20, " "),
        (0x22, "\\\""),
        (0x5C, "\\\\"),
        (0x7E, "~"),
        (0x7F, "\\u007F"),
        (0xFFFF, "\\uFFFF"),
        (0x1_0000, "\\uD800\\uDC00"),
        (0x10_FFFF, "\\uDBFF\\uDFFF"),
    ] {
        assert_eq!(written(12, |out| out.character(code)).0, text, "{code:x}");
    }
}

#[test]
fn what_does_not_fit_is_left_out_and_said_once() {
    let (text, full) = written(5, |out| {
        out.ascii("abc");
        out.ascii("def");
        assert!(out.is_full());
        out.ascii("g");
    });
    assert_eq!((text.as_str(), full), ("abcg", true));
    assert_eq!(written(6, |out| out.ascii("abcdef")), ("abcdef".into(), false));
}

#[test]
fn a_writer_goes_on_behind_what_is_there() {
    let mut bytes = *b"abcdef";
    let mut out = Writer::after(&mut bytes, 2);
    assert_eq!((out.len(), out.is_empty(), out.free().len()), (2, false, 4));
    out.ascii("XY");
    out.free()[0] = b'Z';
    out.advance(1);
    assert_eq!(out.written(), b"abXYZ");
    out.ascii("too long");
    assert!(out.is_full());
    out.rewind(9);
    assert_eq!((out.len(), out.is_full()), (5, false));
    out.rewind(1);
    assert_eq!(out.written(), b"a");
    out.advance(99);
    assert_eq!(out.len(), 6);
    assert_eq!(Writer::after(&mut bytes, 99).len(), 6);
    assert!(Writer::new(&mut bytes).is_empty());
}

#[derive(Serialize)]
struct Newtype(u8);

#[derive(Serialize)]
enum Word {
    Up,
    Carries(u8),
    Pair(u8, u8),
    Named { x: u8 },
}

#[derive(Serialize)]
struct Row {
    name: &'static str,
    list: Vec<i64>,
    rows: Vec<Inner>,
    some: Option<bool>,
    newtype: Newtype,
    word: Word,
    nothing: (),
}

#[derive(Serialize)]
struct Inner {
    a: i8,
    b: u64,
    c: u16,
    d: i16,
    e: i32,
    f: u32,
}

#[test]
fn values_are_written_with_the_references_spaces() {
    let row = Row {
        name: "n\u{e4}\0",
        list: vec![],
        rows: vec![
            Inner { a: -1, b: u64::MAX, c: 2, d: -3, e: -4, f: 5 },
            Inner { a: 1, b: 0, c: 0, d: 0, e: 0, f: 0 },
        ],
        some: Some(false),
        newtype: Newtype(7),
        word: Word::Up,
        nothing: (),
    };
    let (text, full) = written(400, |out| row.serialize(out).expect("a value of a schema"));
    assert!(!full);
    assert_eq!(
        text,
        "{\"name\": \"n\\u00E4\\u0000\", \"list\": [], \"rows\": [{\"a\": -1, \"b\": \
         18446744073709551615, \"c\": 2, \"d\": -3, \"e\": -4, \"f\": 5}, {\"a\": 1, \"b\": 0, \"c\": 0, \
         \"d\": 0, \"e\": 0, \"f\": 0}], \"some\": false, \"newtype\": 7, \"word\": \"Up\", \"nothing\": {}}"
    );
    let list = written(40, |out| vec![1u8, 2, 3].serialize(out).expect("a list"));
    assert_eq!(list.0, "[1, 2, 3]");
    let lists = written(40, |out| vec![vec![1u8], vec![2, 3]].serialize(out).expect("a list"));
    assert_eq!(lists.0, "[[1], [2, 3]]");
}

/// Bytes as serde's own newtype for them gives them.
struct Bytes(&'static [u8]);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[test]
fn bytes_are_a_string() {
    let (text, _) = written(40, |out| Bytes(b"a\"\xFF").serialize(out).expect("bytes"));
    assert_eq!(text, "\"a\\\"\\uFFFD\"");
}

struct Displayed;

impl Serialize for Displayed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str("x")
    }
}

#[derive(Serialize)]
struct Pair(u8, u8);

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Sparse {
    first: Option<i64>,
    second: i64,
    third: Option<&'static str>,
    fourth: Option<Box<Sparse>>,
}

#[test]
fn a_member_that_is_none_is_left_out() {
    let sparse = |first, third, fourth| Sparse { first, second: 2, third, fourth };
    let text = |value: &Sparse, room| written(room, |out| value.serialize(out).expect("written"));
    let all = sparse(Some(1), Some("x"), Some(Box::new(sparse(None, Some("y"), None))));
    let expected =
        r#"{"first": 1, "second": 2, "third": "x", "fourth": {"second": 2, "third": "y"}}"#;
    assert_eq!(text(&all, 200), (expected.to_owned(), false));
    assert_eq!(text(&sparse(None, None, None), 200), (r#"{"second": 2}"#.to_owned(), false));
    for room in 0..expected.len() {
        assert!(text(&all, room).1, "said not to be full with {room} bytes");
    }
    // What did not fit before the member is not forgotten with it.
    assert!(text(&sparse(None, None, None), 12).1);
}

/// A link error in the product: odd_types.rs.
#[test]
fn what_no_schema_returns_panics() {
    fn refused(value: impl Serialize + std::panic::RefUnwindSafe) {
        let written = std::panic::catch_unwind(|| {
            let _ = value.serialize(&mut Writer::new(&mut [0; 40]));
        });
        assert!(written.is_err());
    }
    refused(1.5f32);
    refused(1.5f64);
    refused('x');
    refused(Unit);
    refused((1, 2));
    refused(Pair(1, 2));
    refused(Word::Carries(1));
    refused(Word::Pair(1, 2));
    refused(Word::Named { x: 1 });
    refused(std::collections::BTreeMap::from([(1, 2)]));
    refused(Displayed);
}
