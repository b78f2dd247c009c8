//! The grammar of a whole frame: every short text against serde_json's opinion of it, each error by
//! its words, and QEMU's dialect where it differs.

use qga_core::error::Slot;
use qga_core::internals::json::check::{Members, check};
use qga_core::limits::{DEPTH_MAX, MEMBERS_MAX};

/// What the check says of a text: nothing, or the error's words.
fn checked(text: &[u8]) -> Result<(), String> {
    let slot = Slot::new();
    check(text, &mut Members::new(), &slot).map_err(|_| slot.get().to_string())
}

#[test]
fn every_short_text_is_json_or_not() {
    const PIECES: [&str; 13] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "1",
        "-1",
        "true",
        " ",
        "nul",
        "\"\\n\\u0041\u{e4}\"",
    ];
    let mut texts = vec![String::new()];
    let (mut seen, mut accepted) = (0, 0);
    for _ in 0..5 {
        let longer = texts.iter().flat_map(|text| PIECES.map(|piece| format!("{text}{piece}")));
        texts = longer.collect();
        for text in &texts {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
            assert_eq!(checked(text.as_bytes()).is_ok(), is_json, "{text}");
            seen += 1;
            accepted += usize::from(is_json);
        }
    }
    assert!(seen > 300_000 && accepted > 250, "{accepted} of {seen}");
}

#[test]
fn each_error_by_its_words() {
    for (text, error) in [
        ("", "expecting value"),
        ("[1", "expecting value"),
        ("{\"a\": ", "expecting value"),
        ("]", "expecting value"),
        (",", "expecting value"),
        ("[,]", "expecting value"),
        ("[1,]", "expecting value"),
        ("{\"a\": }", "expecting value"),
        ("1 1", "expecting value"),
        ("{} {}", "expecting value"),
        ("[] ]", "expecting value"),
        ("{1: 2}", "expecting key"),
        ("{\"a\": 1,}", "expecting key"),
        ("{]", "expecting key"),
        ("{\"a\" 1}", "expecting ':'"),
        ("{\"a\"}", "expecting ':'"),
        ("[1 1]", "expected ',' or ']'"),
        ("[1}", "expected ',' or ']'"),
        ("[{} 1]", "expected ',' or ']'"),
        ("{\"a\": 1 \"b\": 2}", "expected ',' or '}'"),
        ("{\"a\": [] 1}", "expected ',' or '}'"),
        ("{\"a\": 1]", "expected ',' or '}'"),
        ("{\"a\": 1, \"a\": 2}", "duplicate key"),
        ("[{\"a\": 1, \"\\u0061\": 2}]", "duplicate key"),
        ("[tru]", "invalid keyword 'tru'"),
        ("{\"a\": nulll}", "invalid keyword 'nulll'"),
        ("\"\\q\"", "invalid escape sequence in string"),
        ("'\\q'", "invalid escape sequence in string"),
        ("'plain and then \\q'", "invalid escape sequence in string"),
        ("{'\\q': 1}", "invalid escape sequence in string"),
        ("\"\\ud800\"", "\\\\ud800 is not a valid Unicode character"),
        ("'\\uFFFF'", "\\\\uFFFF is not a valid Unicode character"),
        ("\"\\ud83f\\udfff\"", "\\\\ud83f\\\\udfff is not a valid Unicode character"),
        ("\"\\u12\"", "\\\\u12 is not a valid Unicode character"),
    ] {
        assert_eq!(checked(text.as_bytes()), Err(format!("JSON parse error, {error}")), "{text}");
    }
    for text in
        [&b"\"\xF5\""[..], b"'\xC3'", b"'ab\xE2\x82'", b"\"\xED\xA0\x80\"", b"\"\xEF\xBF\xBF\""]
    {
        let error = "JSON parse error, invalid UTF-8 sequence in string";
        assert_eq!(checked(text), Err(error.into()), "{}", text.escape_ascii());
    }
}

#[test]
fn what_is_right() {
    for text in [
        "'it\\'s'",
        "{'a': {'a': 1}, 'b': {'a': [{'a': 2}, {'a': 3}]}}",
        "[\"\\\\\", \"\\/\", '\"', \"'\"]",
        "\t{\r\n\"\" : -0.5e+3 }",
        "\"\\ud83d\\ude00 \u{1f600} \u{e4}\"",
        "[[], {}, [[1]], {\"a\": []}]",
        "false",
    ] {
        assert_eq!(checked(text.as_bytes()), Ok(()), "{text}");
    }
    assert_eq!(checked(b"\"\xC0\x80\""), Ok(()));
}

#[test]
fn members_are_found_with_their_values() {
    let text = "{\"a\": [1, {\"x\": 2}], 'b' : {\"y\": {}}, \"c\":3 }";
    let mut members = Members::new();
    check(text.as_bytes(), &mut members, &Slot::new()).expect("an object");
    let found: Vec<(&str, &str)> = members
        .iter()
        .map(|member| (std::str::from_utf8(member.key).expect("text"), &text[member.value()]))
        .collect();
    assert_eq!(found, [("a", "[1, {\"x\": 2}]"), ("b", "{\"y\": {}}"), ("c", "3")]);
}

#[test]
fn limits_of_depth_and_members() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(checked(deep(DEPTH_MAX).as_bytes()), Ok(()));
    let error = "JSON nesting depth limit exceeded: at most 64 levels";
    assert_eq!(checked(deep(DEPTH_MAX + 1).as_bytes()), Err(error.into()));
    let wide = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"{n}\": {n}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(checked(wide(MEMBERS_MAX).as_bytes()), Ok(()));
    let error = "JSON member count limit exceeded: at most 128 members";
    assert_eq!(checked(wide(MEMBERS_MAX + 1).as_bytes()), Err(error.into()));
    // Members of objects that are closed do not count.
    let inner = wide(MEMBERS_MAX - 2);
    assert_eq!(
        checked(format!("{{\"a\": {inner}, \"b\": [{inner}, {inner}]}}").as_bytes()),
        Ok(())
    );
}
