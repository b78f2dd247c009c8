//! A time with its fraction, without floating point: microseconds in, seconds as a decimal number
//! out.

use crate::writer::Writer;

/// Seconds with as many decimals as it takes, six at most, and without a point where there are
/// none: a JSON number.
#[inline(never)]
pub fn write(microseconds: u64, text: &mut Writer<'_>) {
    text.unsigned(microseconds / 1_000_000);
    let mut fraction = microseconds % 1_000_000;
    let mut unit = 100_000;
    let mut point = ".";
    while fraction > 0 && unit > 0 {
        text.ascii(point);
        text.unsigned(fraction / unit);
        (point, fraction, unit) = ("", fraction % unit, unit / 10);
    }
}
