//! A whole session on the simulated guest: the input's bytes are read as a list of acts, requests valid,
//! odd and broken among them, hang-ups, kills, faults, and what other programs of the guest do. Acts and oracle
//! are those of the seeded sessions, `qga_simulation`.
//!
//! Fast: `cargo +nightly fuzz run --no-trace-compares -s none session -- -max_len=64 -entropic=0 -use_counters=0`.
//! Neither the core nor the guest has unsafe code, in which alone an address sanitizer finds anything.

/// Runs one input.
pub fn run(data: &[u8]) {
    qga_simulation::run_bytes(data);
}
