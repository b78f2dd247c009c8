//! Lists of numbers as sysfs writes them, `0-3,8,10-11`: text in, one number after the other out.

use super::fields::cut;
use crate::bytes::{decimal, trimmed};

/// The smallest number of the list that is `from` or above. What is neither a number nor a range is
/// passed over, and so is the largest of 64 bits, which numbers nothing.
#[inline(never)]
pub fn next(list: &[u8], from: u64) -> Option<u64> {
    let mut smallest = u64::MAX;
    let mut rest = trimmed(list);
    while !rest.is_empty() {
        let mut last = cut(&mut rest, b',');
        let first = cut(&mut last, b'-');
        if last.is_empty() {
            last = first;
        }
        if let (Some(first), Some(last)) = (decimal(first), decimal(last)) {
            let next = first.max(from);
            if next <= last {
                smallest = smallest.min(next);
            }
        }
    }
    (smallest < u64::MAX).then_some(smallest)
}

/// All numbers of the list, each once, in their order.
pub fn numbers(list: &[u8]) -> impl Iterator<Item = u64> {
    let after = |number: &u64| next(list, number.checked_add(1)?);
    core::iter::successors(next(list, 0), after)
}
