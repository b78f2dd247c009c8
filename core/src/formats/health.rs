//! What an NVMe controller says of its health (NVM Express Base Specification, "SMART / Health
//! Information"): its page in, the members of GuestNVMeSmart (QGA schema, 7.1) out.

use super::fields::cut;
use crate::platform::HEALTH_BYTES;
use crate::writer::Writer;

/// The counters, of 16 bytes each, in their order.
const COUNTERS: &[u8] = b"data-units-read data-units-written host-read-commands \
    host-write-commands controller-busy-time power-cycles power-on-hours unsafe-shutdowns \
    media-errors number-of-error-log-entries";
/// Where they begin.
const COUNTERS_AT: usize = 32;

/// Writes the members, each with a comma before it. Numbers have their lowest byte first.
pub fn write(page: &[u8; HEALTH_BYTES], out: &mut Writer<'_>) {
    let [warning, low, high, spare, threshold, used, ..] = *page;
    // The second is in kelvin.
    let words = [warning.into(), u32::from(u16::from_le_bytes([low, high])), spare.into()];
    out.words("critical-warning temperature available-spare", &words);
    let words = [threshold.into(), used.into()];
    out.words("available-spare-threshold percentage-used", &words);
    let (halves, _) = page.split_at(COUNTERS_AT).1.as_chunks();
    let mut names = COUNTERS;
    let mut name = names;
    for (number, half) in halves.iter().enumerate() {
        let is_low = number % 2 == 0;
        if is_low {
            name = cut(&mut names, b' ');
        }
        if name.is_empty() {
            break;
        }
        out.ascii(", \"");
        out.raw(name);
        out.ascii(if is_low { "-lo\": " } else { "-hi\": " });
        out.unsigned(u64::from_le_bytes(*half));
    }
}
