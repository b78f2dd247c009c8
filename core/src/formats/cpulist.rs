//! Lists of numbers as sysfs writes them, `0-3,8,10-11`: text in, one number after the other out.

use crate::bytes::decimal;

/// The smallest number of the list that is `from` or above. What is neither a number nor a range is passed over.
#[inline(never)]
pub fn next(list: &[u8], from: u64) -> Option<u64> {
    let mut smallest = None;
    for part in list.trim_ascii().split(|&byte| byte == b',') {
        let mut ends = part.splitn(2, |&byte| byte == b'-').map(decimal);
        let Some(Some(first)) = ends.next() else { continue };
        let Some(last) = ends.next().unwrap_or(Some(first)) else { continue };
        let next = first.max(from);
        if next <= last && smallest.is_none_or(|smallest| next < smallest) {
            smallest = Some(next);
        }
    }
    smallest
}

/// All numbers of the list, each once, in their order.
pub fn numbers(list: &[u8]) -> impl Iterator<Item = u64> {
    let after = |number: &u64| next(list, number.checked_add(1)?);
    core::iter::successors(next(list, 0), after)
}
