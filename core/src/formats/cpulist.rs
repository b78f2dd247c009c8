//! Lists of numbers as sysfs writes them, `0-3,8,10-11`: text in, one number after the other out.

use super::fields::cut;
use crate::bytes::decimal;

/// The smallest number of the list that is `from` or above. What is neither a number nor a range is passed over.
#[inline(never)]
pub fn next(list: &[u8], from: u64) -> Option<u64> {
    let mut smallest = None;
    let mut rest = Some(list.trim_ascii());
    while let Some(list) = rest {
        let (part, after) = cut(list, b',');
        let (first, last) = cut(part, b'-');
        let (first, last) = (decimal(first), decimal(last.unwrap_or(first)));
        let next = first.map(|first| first.max(from));
        if next.is_some() && next <= last && (smallest.is_none() || next < smallest) {
            smallest = next;
        }
        rest = after;
    }
    smallest
}

/// All numbers of the list, each once, in their order.
pub fn numbers(list: &[u8]) -> impl Iterator<Item = u64> {
    let after = |number: &u64| next(list, number.checked_add(1)?);
    core::iter::successors(next(list, 0), after)
}
