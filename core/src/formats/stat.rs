//! The times of the CPUs, `/proc/stat` of proc(5): one line in, a CPU's times out.

use super::fields::Fields;
use crate::bytes::decimal;

/// How long a tick is: 1 / `sysconf(_SC_CLK_TCK)`, which is 100 on every machine that Linux still
/// runs on.
pub const TICK_MS: u64 = 10;

/// A CPU's line, in ticks of [`TICK_MS`].
#[derive(Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Which CPU; nothing for all of them together.
    pub number: Option<u64>,
    /// user, nice, system, idle: each kernel has them.
    pub times: [u64; 4],
    /// iowait, irq, softirq (2.6.0), steal (2.6.11), guest (2.6.24), guest_nice (2.6.33), as far as
    /// the kernel counts them: all before one that is there are there.
    pub later: [Option<u64>; 6],
}

impl Cpu {
    /// Reads one line; nothing if it is not one of a CPU.
    #[inline(never)]
    pub fn parse(line: &[u8]) -> Option<Cpu> {
        let mut fields = Fields::new(line);
        let number = match fields.word().strip_prefix(b"cpu")? {
            [] => None,
            digits => Some(decimal(digits)?),
        };
        let times = [(); 4].map(|()| fields.number());
        let mut later = [None; 6];
        fields.numbers(&mut later);
        (!fields.failed).then_some(Cpu { number, times, later })
    }
}
