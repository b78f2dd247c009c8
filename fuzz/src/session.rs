//! A whole session on the simulated guest: the input's bytes are read as a list of acts, requests valid,
//! odd and broken among them, hang-ups, kills, faults, and what other programs of the guest do. Acts and oracle
//! are those of the seeded sessions, `qga_simulation`.
//!
//! It is the simulation that takes the time: an empty session 13 us, one of 64 bytes 40 us, with the address
//! sanitizer, which watches each of a hundred allocations, 30 and 90 us, before libFuzzer looks at anything.
//! `cargo xtask fuzz --fast session` goes without: neither the core nor the guest has unsafe code.

/// Runs one input.
pub fn run(data: &[u8]) {
    qga_simulation::run_bytes(data);
}
