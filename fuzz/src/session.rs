//! A whole session on the simulated guest: the input's bytes are read as a list of acts, requests
//! valid, odd and broken among them, hang-ups, kills, faults, and what other programs of the guest
//! do. Acts and oracle are those of the seeded sessions, `qga_simulation`.
//!
//! On one core of the machine that it was made on `cargo xtask fuzz --fast session` holds 26,000 a
//! second; with the address sanitizer, which watches each of a hundred allocations, it is a quarter
//! of that. Neither the core nor the guest has unsafe code.

/// Runs one input.
pub fn run(data: &[u8]) {
    qga_simulation::run_bytes(data);
}
