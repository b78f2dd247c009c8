//! Local time against the C library: every zone of tzdata, at moments from 1900 to 2100 and on both
//! sides of each change; and values of TZ that are rules.
//!
//! A program of its own, because the C library takes the zone from the environment, which all
//! threads share: it has this one test.

use qga_core::formats::posix_tz::rule;
use qga_core::formats::zone::{Local, local};
use qga_tests::skip;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::path::{Path, PathBuf};

unsafe extern "C" {
    fn tzset();
}

const DAY_S: i64 = 86_400;
/// From 1900 to 2100.
const FIRST_S: i64 = -25_567 * DAY_S;
const LAST_S: i64 = 47_482 * DAY_S;
/// Days and a bit, so that all hours come: two months, and less where short times of change are to
/// be met.
const ZONE_STEP_S: i64 = 61 * DAY_S + 5 * 3600 + 47 * 60 + 13;
const RULE_STEP_S: i64 = 5 * DAY_S + 5 * 3600 + 47 * 60 + 13;

const RULES: [&str; 22] = [
    "UTC0",
    "<+0545>-5:45",
    "LMT-0:53:28",
    "EST5EDT,M3.2.0,M11.1.0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "AEST-10AEDT,M10.1.0,M4.1.0/3",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "EET-2EEST,M3.4.4/50,M10.4.4/50",
    "IST-2IDT,M3.4.4/26,M10.5.0",
    "<-06>6<-05>,M9.1.6/22,M4.1.6/22",
    "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
    "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45",
    "AAA3BBB2:30:15,J60/1:02:03,J300",
    "AAA-3BBB,59,300/0",
    "AAA-3BBB,J59/23:59:59,299/12",
    "AAA0BBB,M2.3.3/0,M2.5.3/0",
    "AAA0BBB,M2.5.1/5,M6.3.6/-24",
    "AAA0BBB,100/167,200/-167",
    "AAA0BBB-14,M1.2.1,M12.2.1",
    "AAA12BBB11,M5.1.1/0,M8.5.0/3:30",
];

/// The zone of the C library from now on.
fn set(zone: &str) {
    // SAFETY: no other thread looks at the environment.
    unsafe { std::env::set_var("TZ", zone) };
    // SAFETY: it has no arguments.
    unsafe { tzset() };
}

/// Local time by the C library.
fn expected(at_s: i64) -> (i32, String) {
    // SAFETY: all zero is a valid tm; localtime_r fills it.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both point to what they are to point to.
    let filled = unsafe { libc::localtime_r(&at_s, &mut tm) };
    assert!(!filled.is_null());
    // SAFETY: the C library keeps the name, ended by a NUL, until the zone is another one.
    let name = unsafe { CStr::from_ptr(tm.tm_zone) };
    (tm.tm_gmtoff as i32, name.to_str().expect("a name").to_owned())
}

/// The moments to look at: regular ones, and both sides of each change that lies between two of
/// them, `near` seconds away. The changes are those that the C library shows, and those that `more`
/// says.
fn moments(step_s: i64, near: i64, more: &[i64]) -> Vec<i64> {
    let mut moments = Vec::new();
    let mut regular: Vec<i64> = (FIRST_S..LAST_S).step_by(step_s as usize).collect();
    regular.extend(more.iter().flat_map(|at| [at - near, at + near]));
    regular.sort_unstable();
    let mut before: Option<(i64, (i32, String))> = None;
    for at_s in regular {
        let now = expected(at_s);
        if let Some((mut low, before)) = before.filter(|(_, before)| *before != now) {
            let mut high = at_s;
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if expected(middle) == before {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            moments.extend([low + 1 - near, high - 1 + near]);
        }
        moments.push(at_s);
        before = Some((at_s, now));
    }
    moments
}

/// The changes of a file, read off the second block's times.
fn changes(file: &[u8]) -> Vec<i64> {
    let second = file.windows(4).skip(1).position(|four| four == b"TZif").expect("a block") + 1;
    let count = u32::from_be_bytes(file[second + 32..][..4].try_into().expect("four"));
    let times = file[second + 44..].chunks(8).take(count as usize);
    times.map(|time| i64::from_be_bytes(time.try_into().expect("eight"))).collect()
}

fn compare(what: &str, at_s: i64, found: Option<Local<'_>>) {
    let found = found.unwrap_or_else(|| panic!("{what} {at_s}: nothing"));
    let name = String::from_utf8_lossy(found.name).into_owned();
    assert_eq!((found.offset_s, name), expected(at_s), "{what} {at_s}");
}

/// All zones below a folder, each content once.
fn zones(folder: &Path, into: &mut BTreeMap<Vec<u8>, PathBuf>) {
    for entry in fs::read_dir(folder).expect("tzdata") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            zones(&path, into);
        } else if let Ok(file) = fs::read(&path)
            && file.starts_with(b"TZif")
        {
            let right = path.components().any(|part| part.as_os_str() == "right");
            // The same file is read in another way below `right/`.
            let key = [&[u8::from(right)], &file[..]].concat();
            into.entry(key).or_insert(path);
        }
    }
}

#[test]
fn every_zone_and_rule_as_the_c_library_has_it() {
    for text in RULES {
        set(text);
        // By rules the C library knows nothing before 1970.
        let mut moments = moments(RULE_STEP_S, 1, &[]);
        moments.retain(|&at_s| at_s > 365 * DAY_S);
        assert!(moments.len() > 5_000, "{text}: {}", moments.len());
        moments.iter().for_each(|&at_s| compare(text, at_s, rule(text.as_bytes(), at_s)));
    }
    let folder = Path::new("/usr/share/zoneinfo");
    let mut all = BTreeMap::new();
    if folder.join("Europe").is_dir() {
        zones(folder, &mut all);
    }
    if all.is_empty() {
        return skip("zones::every_zone_and_rule_as_the_c_library_has_it", "needs tzdata");
    }
    let mut count = 0;
    for (key, path) in &all {
        let (right, file) = key.split_first().expect("a key");
        set(&format!(":{}", path.display()));
        // Leap seconds, 27 up to 2017, are the C library's to take off.
        let near = if *right == 1 { 60 } else { 1 };
        for at_s in moments(ZONE_STEP_S, near, &changes(file)) {
            compare(&path.display().to_string(), at_s, local(file, at_s));
            count += 1;
        }
    }
    println!("{} zones, {count} moments", all.len());
    assert!(all.len() > 300 && count > 300_000, "{} zones, {count} moments", all.len());
}
