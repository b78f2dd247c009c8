//! Files of tzfile(5): damaged and odd ones, and which file TZ names. Whole files are held against
//! the C library in tests/tests/zones.rs.

use super::tables::written;
use qga_core::formats::zone::{Local, local, path};

#[test]
fn the_file_that_tz_names() {
    for (value, expected) in [
        (None, "/etc/localtime"),
        (Some(""), ""),
        (Some(":"), ""),
        (Some("Europe/Berlin"), "/usr/share/zoneinfo/Europe/Berlin"),
        (Some(":Europe/Berlin"), "/usr/share/zoneinfo/Europe/Berlin"),
        (Some(":/etc/localtime"), "/etc/localtime"),
        (Some("/a/b"), "/a/b"),
        (Some("EST5EDT"), "/usr/share/zoneinfo/EST5EDT"),
    ] {
        assert_eq!(written(|writer| path(value.map(str::as_bytes), writer)), expected);
    }
}

/// Kinds of time, changes to them and a rule, as a file of a version.
pub fn file(version: u8, kinds: &[(i32, &str)], changes: &[(i64, u8)], footer: &str) -> Vec<u8> {
    let mut file = Vec::new();
    let blocks = if version == 0 { &[4][..] } else { &[4, 8] };
    for &time_bytes in blocks {
        file.extend_from_slice(b"TZif");
        file.push(version);
        file.extend([0; 15]);
        let names: String = kinds.iter().map(|(_, name)| format!("{name}\0")).collect();
        for count in [0, 0, 0, changes.len(), kinds.len(), names.len()] {
            file.extend((count as u32).to_be_bytes());
        }
        for (at, _) in changes {
            file.extend(&at.to_be_bytes()[8 - time_bytes..]);
        }
        file.extend(changes.iter().map(|(_, kind)| kind));
        let mut name_at = 0;
        for (offset, name) in kinds {
            file.extend(offset.to_be_bytes());
            file.extend([0, name_at]);
            name_at += name.len() as u8 + 1;
        }
        file.extend(names.bytes());
    }
    if version > 0 {
        file.extend(format!("\n{footer}\n").bytes());
    }
    file
}

/// What a file says of a moment.
fn at(file: &[u8], at_s: i64) -> Option<(i32, String)> {
    let Local { offset_s, name } = local(file, at_s)?;
    Some((offset_s, String::from_utf8(name.to_vec()).expect("a name")))
}

const KINDS: [(i32, &str); 3] = [(3208, "LMT"), (3600, "CET"), (7200, "CEST")];
const CHANGES: [(i64, u8); 4] =
    [(-2_000_000_000, 1), (-1_000_000_000, 2), (0, 1), (1_000_000_000, 2)];

#[test]
fn before_between_and_after_the_changes() {
    let some = |offset, name: &str| Some((offset, name.to_owned()));
    for version in [0, b'2', b'3', b'4'] {
        let file = file(version, &KINDS, &CHANGES, "<+05>-5");
        assert_eq!(at(&file, i64::MIN), some(3208, "LMT"));
        assert_eq!(at(&file, -2_000_000_001), some(3208, "LMT"));
        assert_eq!(at(&file, -2_000_000_000), some(3600, "CET"));
        assert_eq!(at(&file, -1_000_000_000), some(7200, "CEST"));
        assert_eq!(at(&file, -1), some(7200, "CEST"));
        assert_eq!(at(&file, 999_999_999), some(3600, "CET"));
        let last = if version == 0 { some(7200, "CEST") } else { some(18_000, "+05") };
        assert_eq!(at(&file, 1_000_000_000), last);
        assert_eq!(at(&file, i64::MAX), last);
    }
    // Without a rule, and with one that is none, the last kind stays.
    for footer in ["", "nonsense", "CET-1CEST,M13.1.0,M1.1.0"] {
        let file = file(b'2', &KINDS, &CHANGES, footer);
        assert_eq!(at(&file, i64::MAX), some(7200, "CEST"));
    }
    // Without changes there is the rule, or the first kind.
    assert_eq!(at(&file(b'2', &KINDS, &[], "<+05>-5"), 0), some(18_000, "+05"));
    assert_eq!(at(&file(b'2', &KINDS, &[], ""), 0), some(3208, "LMT"));
    assert_eq!(at(&file(0, &KINDS, &[], ""), 0), some(3208, "LMT"));
}

#[test]
fn damaged_files() {
    let whole = file(b'2', &KINDS, &CHANGES, "CET-1CEST,M3.5.0,M10.5.0/3");
    let block = whole.len() - "\nCET-1CEST,M3.5.0,M10.5.0/3\n".len();
    for len in 0..whole.len() {
        // A file without its rule is one that has none.
        assert_eq!(at(&whole[..len], 0).is_some(), len >= block, "{len}");
    }
    for place in 0..whole.len() {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut file = whole.clone();
            file[place] = value;
            for at_s in [i64::MIN, -1_500_000_000, 0, 2_000_000_000, i64::MAX] {
                let _ = local(&file, at_s);
            }
        }
    }
    assert_eq!(at(b"", 0), None);
    assert_eq!(at(&file(b'2', &[], &[], ""), 0), None);
    // A change to a kind that is not there.
    assert_eq!(at(&file(b'2', &KINDS, &[(0, 3), (5, 1)], ""), 1), None);
}
