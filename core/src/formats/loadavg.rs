//! `/proc/loadavg` of proc(5): the line in, the loads of the last 1, 5 and 15 minutes out, as they are written.

use super::fields::Fields;

/// The three loads, each a text of digits, a point and digits: a JSON number.
#[inline(never)]
pub fn loads(line: &[u8]) -> Option<[&[u8]; 3]> {
    let mut fields = Fields::new(line);
    let mut loads = [&[][..]; 3];
    for load in &mut loads {
        *load = fields.next()?;
        if !is_number(load) {
            return None;
        }
    }
    Some(loads)
}

/// Digits, a point and digits. JSON has no leading zeroes but the one before the point.
fn is_number(text: &[u8]) -> bool {
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let mut digits = || {
        let part = parts.next().unwrap_or(&[]);
        (!part.is_empty() && part.iter().all(u8::is_ascii_digit)).then_some(part)
    };
    let whole = digits();
    let fraction = digits();
    whole.is_some_and(|whole| whole.len() == 1 || whole.first() != Some(&b'0'))
        && fraction.is_some()
}
