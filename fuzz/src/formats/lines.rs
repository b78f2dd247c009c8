//! Lines of tables of the kernel, cut into words by the standard library.

use qga_core::formats::diskstats::{Disk, STATS};
use qga_core::formats::stat::Cpu;
use qga_core::formats::{cpulist, loadavg, route};
use std::str::FromStr;

fn words(line: &[u8]) -> Vec<&[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
}

/// Digits alone; the standard library would take a sign as well.
fn number<N: FromStr>(word: &[u8]) -> Option<N> {
    let text = std::str::from_utf8(word).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The numbers at the beginning of some words, at most so many.
fn leading(words: &[&[u8]], most: usize) -> Vec<u64> {
    words.iter().take(most).map_while(|word| number(word)).collect()
}

pub fn loads(line: &[u8]) {
    let words = words(line);
    let is_number = |word: &&[u8]| {
        let is_short = word.split(|&byte| byte == b'.').all(|part| number::<u64>(part).is_some());
        let of_json: Result<f64, _> = serde_json::from_slice(word);
        is_short && word.contains(&b'.') && of_json.is_ok()
    };
    let expected = words.get(..3).filter(|loads| loads.iter().all(is_number));
    let found = loadavg::loads(line);
    assert_eq!(found.as_ref().map(|loads| &loads[..]), expected);
}

pub fn cpu(line: &[u8]) {
    let expected = || {
        let words = words(line);
        let digits = words.first()?.strip_prefix(b"cpu")?;
        let of_one = if digits.is_empty() { None } else { Some(number(digits)?) };
        let times = leading(&words[1..], 10);
        let later = |at: usize| times.get(4 + at).copied();
        Some(Cpu {
            number: of_one,
            times: *times.first_chunk()?,
            later: std::array::from_fn(later),
        })
    };
    assert_eq!(Cpu::parse(line), expected());
}

pub fn disk(line: &[u8]) {
    let expected = || {
        let words = words(line);
        let (major, minor, name) =
            (number(words.first()?)?, number(words.get(1)?)?, *words.get(2)?);
        let values = leading(&words[3..], STATS);
        let mut stats = [None; STATS];
        match values.len() {
            0..4 => return None,
            4 => (0..4).for_each(|at| stats[2 * at] = Some(values[at])),
            _ => stats.iter_mut().zip(&values).for_each(|(stat, value)| *stat = Some(*value)),
        }
        Some(Disk { major, minor, name, stats })
    };
    assert_eq!(Disk::parse(line), expected());
}

/// A number of 32 bits, or one that was written with a sign that it does not have.
fn unsigned(word: &[u8], base: u32) -> Option<u32> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    if digits.is_empty() || !digits.iter().all(|&byte| char::from(byte).is_digit(base)) {
        return None;
    }
    let number = u32::from_str_radix(std::str::from_utf8(digits).ok()?, base).ok()?;
    Some(if digits.len() < word.len() { number.wrapping_neg() } else { number })
}

pub fn route(line: &[u8]) {
    let expected = || {
        let words = words(line);
        let hex = |at: usize| unsigned(words.get(at)?, 16);
        let decimal = |at: usize| unsigned(words.get(at)?, 10);
        Some(route::V4 {
            interface: words.first()?,
            destination: hex(1)?.to_ne_bytes(),
            gateway: hex(2)?.to_ne_bytes(),
            flags: hex(3)?,
            references: decimal(4)?,
            uses: decimal(5)?,
            metric: decimal(6)?,
            mask: hex(7)?.to_ne_bytes(),
            mtu: decimal(8)?,
            window: decimal(9)?,
            irtt: decimal(10)?,
        })
    };
    assert_eq!(route::V4::parse(line), expected());
}

pub fn route_v6(line: &[u8]) {
    let expected = || {
        let words = words(line);
        let hex = |at: usize| unsigned(words.get(at)?, 16);
        let address = |at: usize| {
            let text = words.get(at).filter(|text| text.len() == 32)?;
            if !text.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            let number = u128::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()?;
            Some(number.to_be_bytes())
        };
        Some(route::V6 {
            destination: address(0)?,
            destination_bits: hex(1)?,
            source: address(2)?,
            source_bits: hex(3)?,
            next_hop: address(4)?,
            metric: hex(5)?,
            references: hex(6)?,
            uses: hex(7)?,
            flags: hex(8)?,
            interface: words.get(9)?,
        })
    };
    assert_eq!(route::V6::parse(line), expected());
}

pub fn numbers(list: &[u8]) {
    let range = |part: &[u8]| {
        let mut ends = part.splitn(2, |&byte| byte == b'-');
        let first: u64 = number(ends.next()?)?;
        let last = ends.next().filter(|last| !last.is_empty()).map_or(Some(first), number)?;
        (first <= last && first < u64::MAX).then_some((first, last))
    };
    let ranges: Vec<(u64, u64)> =
        list.trim_ascii().split(|&byte| byte == b',').filter_map(range).collect();
    let mut from = 0;
    for found in cpulist::numbers(list).take(100) {
        let expected = ranges.iter().filter(|(_, last)| *last >= from);
        let expected = expected.map(|(first, _)| *first.max(&from)).min();
        assert_eq!(Some(found), expected);
        let Some(next) = found.checked_add(1) else { return };
        from = next;
    }
    if from < 100 {
        let rest = ranges.iter().any(|(first, last)| *last >= from && *first < u64::MAX);
        assert!(!rest || cpulist::next(list, from).is_some(), "the list ends too early");
    }
}
