//! `/proc/loadavg` of proc(5): the line in, the loads of the last 1, 5 and 15 minutes out, as they
//! are written.

use super::fields::{Fields, cut};
use crate::bytes::decimal;

/// The three loads, each a text of digits, a point and digits: a JSON number.
#[inline(never)]
pub fn loads(line: &[u8]) -> Option<[&[u8]; 3]> {
    let mut fields = Fields::new(line);
    let mut loads = [&[][..]; 3];
    for load in &mut loads {
        *load = fields.word();
        let mut fraction = *load;
        let whole = cut(&mut fraction, b'.');
        // JSON has no leading zeroes but the one before the point.
        let leads = matches!(whole, [b'0', _, ..]);
        if leads || decimal(whole).is_none() || decimal(fraction).is_none() {
            return None;
        }
    }
    Some(loads)
}
